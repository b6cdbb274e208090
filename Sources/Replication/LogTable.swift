#if PostgreSQL
    internal import ReadModel

    /// The engine's table of logs, for a user who may do no more than add rows to it.
    package final class LogTable {
        private let client: PostgresClient

        /// A row's values as PostgreSQL reads them.
        package struct Row {
            package var id: String
            package var source: String
            package var level: String
            package var message: String
            /// JSON.
            package var metadata: String
            package var time: String

            package init(
                id: String, source: String, level: String, message: String, metadata: String,
                time: String
            ) {
                (self.id, self.source, self.level) = (id, source, level)
                (self.message, self.metadata, self.time) = (message, metadata, time)
            }
        }

        package init(_ url: String, _ context: SourceContext) throws(ReplicationFailure) {
            client = try PostgresClient(url, .sql, context)
        }

        /// Adds a row, unless there is one of its id. Without a target, `ON CONFLICT` needs no right to read.
        package func add(_ row: Row) throws(ReplicationFailure) {
            _ = try client.rows(
                """
                INSERT INTO logs (log_id, source, level, message, metadata, created_at)
                VALUES ($1::uuid, $2, $3, $4, $5::jsonb, $6::timestamptz) ON CONFLICT DO NOTHING
                """, [row.id, row.source, row.level, row.message, row.metadata, row.time])
        }
    }
#endif
