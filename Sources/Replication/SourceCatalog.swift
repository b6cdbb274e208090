internal import LedgerFormat
internal import Platform
package import ReadModel

/// What the stream does not report about a table's columns.
package protocol SourceColumns {
    /// The value existing rows received when a column was added. Throws `schema` if that cannot be
    /// known.
    func valueOfExistingRows(
        _ column: String, of table: String, _ typeOID: UInt32
    ) throws(ReplicationFailure) -> ModelValue

    /// The engine's tables as the catalogue describes them at this moment.
    func tables() throws(ReplicationFailure) -> [String: SourceTable]

    /// The type that a domain is based on; other types are their own. Throws `schema` for a type
    /// whose values may change without a change of the rows.
    func baseType(of oid: UInt32) throws(ReplicationFailure) -> UInt32

    /// Why the publication does not cover what is followed; nil if it does.
    func obstacle() throws(ReplicationFailure) -> String?

    /// Where the source's log ends.
    func position() throws(ReplicationFailure) -> LSN
}

/// The protocol's clock.
enum SourceClock {
    /// 2000-01-01 in microseconds since 1970.
    private static let epoch: Int64 = 946_684_800_000_000

    static func timestamp(_ microseconds: Int64) -> Timestamp {
        Timestamp(microseconds: microseconds.addingReportingOverflow(epoch).partialValue)
    }

    static var now: Int64 { Timestamp.systemNow().microseconds - epoch }
}

#if PostgreSQL
    /// Queries the source's catalogue.
    final class SourceCatalog: SourceColumns, Sendable {
        let client: PostgresClient
        private let schema: String
        private let publication: String
        /// How long the server may take to answer from its catalogue.
        private static let patience = ReplicationLimits.catalogueTime

        init(_ client: PostgresClient, _ settings: SyncSettings) {
            self.client = client
            (schema, publication) = (settings.schema, settings.publication)
        }

        struct Column {
            var name: String
            /// Of a domain, the type that it is based on.
            var type: ColumnType
            var isRequired: Bool
            /// As PostgreSQL writes it.
            var typeName: String
            /// What kind of type it is, if its values may change without a change of the rows.
            var unwatched: String?
        }

        /// Each type with the one that it is based on, and that one's kind.
        private static let bases = """
            WITH RECURSIVE kinds AS (
                SELECT t.oid, t.typbasetype, COALESCE(e.typtype, t.typtype) AS kind
                FROM pg_type t
                LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'
                     AND e.typtype <> 'd'
            ), base(oid, type, kind) AS (
                SELECT oid, oid, kind FROM kinds
                UNION ALL
                SELECT b.oid, t.typbasetype, u.kind FROM base b
                JOIN pg_type t ON t.oid = b.type AND t.typtype = 'd'
                JOIN kinds u ON u.oid = t.typbasetype
            )
            """

        /// The first that is no system type (`FirstNormalObjectId`).
        private static let firstOwnType: UInt32 = 16_384

        func baseType(of oid: UInt32) throws(ReplicationFailure) -> UInt32 {
            if oid < Self.firstOwnType { return oid }
            let rows = try client.rows(
                "\(Self.bases) SELECT type::bigint, kind, type::regtype FROM base "
                    + "WHERE oid = $1::text::oid AND kind <> 'd'", ["\(oid)"], within: Self.patience
            )
            // A type that is gone belongs to a column that is gone.
            guard let row = rows.first else { return oid }
            if let kind = Self.unwatched[row[1] ?? ""] {
                throw .schema(
                    "the type \(row[2] ?? "?") is \(kind), whose changes are not replicated")
            }
            return row[0].flatMap { UInt32($0) } ?? oid
        }

        /// The published columns; empty if there is no such table.
        func columns(of table: String) throws(ReplicationFailure) -> [Column] {
            try client.rows(
                """
                \(Self.bases)
                SELECT a.attname, b.type::bigint, a.attnotnull,
                       format_type(a.atttypid, a.atttypmod), b.kind
                FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
                JOIN pg_namespace n ON n.oid = c.relnamespace
                JOIN base b ON b.oid = a.atttypid AND b.kind <> 'd'
                WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped
                  AND a.attgenerated = '' ORDER BY a.attnum
                """, [schema, table], within: Self.patience
            ).map { row in
                Column(
                    name: row[0] ?? "",
                    type: ColumnType(postgresOID: row[1].flatMap { UInt32($0) } ?? 0),
                    isRequired: row[2] == "t", typeName: row[3] ?? "",
                    unwatched: Self.unwatched[row[4] ?? ""])
            }
        }

        /// By `pg_type.typtype`: labels and members may be renamed without a change of the rows.
        private static let unwatched = [
            "e": "an enumeration", "c": "a composite type", "r": "a range", "m": "a multirange",
        ]

        func tables() throws(ReplicationFailure) -> [String: SourceTable] {
            var tables: [String: SourceTable] = [:]
            let rows = try client.rows(
                """
                SELECT c.relname, pg_relation_filenode(c.oid), a.attname, a.attnum,
                       a.atttypid::bigint, a.atttypmod, a.xmin::text, a.atthasmissing,
                       a.attgenerated = '', COALESCE(d.oid, 0)::bigint,
                       (SELECT COALESCE(max(x.attnum), 0) FROM pg_attribute x
                        WHERE x.attrelid = c.oid AND x.attisdropped),
                       concat_ws(',', p.oid, p.xmin, r.oid, r.xmin, p.puballtables)
                FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
                JOIN pg_namespace n ON n.oid = c.relnamespace
                LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
                LEFT JOIN pg_publication p ON p.pubname = $2
                LEFT JOIN pg_publication_rel r ON r.prpubid = p.oid AND r.prrelid = c.oid
                WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND a.attnum > 0
                  AND NOT a.attisdropped
                """, [schema, publication], within: Self.patience)
            for row in rows {
                guard let name = row[0], EngineSchema.table(name) != nil, let column = row[2],
                    let number = row[3].flatMap({ Int64($0) }),
                    let type = row[4].flatMap({ Int64($0) }),
                    let modifier = row[5].flatMap({ Int64($0) })
                else { continue }
                let empty = SourceTable(
                    file: row[1] ?? "", publication: row[11] ?? "",
                    lastDropped: row[10].flatMap { Int64($0) } ?? 0, columns: [:])
                tables[name, default: empty].columns[column] = SourceTable.Column(
                    number: number, type: type, modifier: modifier, version: row[6] ?? "",
                    hasMissing: row[7] == "t", isPublished: row[8] == "t",
                    defaultID: row[9].flatMap { Int64($0) } ?? 0)
            }
            return tables
        }

        /// Holds the tables as the transaction's snapshot sees them. TRUNCATE and statements that
        /// rewrite a table do not respect snapshots: older ones then find no rows. Throws
        /// `connection` if one was faster; another attempt takes a newer snapshot.
        func lockUnchanged() throws(ReplicationFailure) {
            let tables = EngineSchema.tables.map { "\(schema.quoted).\($0.name)" }
            _ = try client.rows(
                "LOCK TABLE \(tables.joined(separator: ", ")) IN ACCESS SHARE MODE")
            // The catalogue's row is the snapshot's, the function's answer is of this moment.
            let names = EngineSchema.tables.map { "'\($0.name)'" }.joined(separator: ", ")
            let changed = try client.rows(
                """
                SELECT c.relname FROM pg_class root
                JOIN pg_namespace n ON n.oid = root.relnamespace
                JOIN LATERAL (
                    SELECT root.oid AS relid UNION SELECT relid FROM pg_partition_tree(root.oid)
                ) part ON true
                JOIN pg_class c ON c.oid = part.relid
                WHERE n.nspname = $1 AND root.relname IN (\(names)) AND root.relkind IN ('r', 'p')
                  AND c.relfilenode <> 0 AND c.relfilenode <> pg_relation_filenode(c.oid)
                """, [schema], within: Self.patience)
            guard changed.isEmpty else {
                let list = changed.compactMap { $0.first ?? nil }.joined(separator: ", ")
                throw .connection("\(list) was emptied or rewritten while the copy began")
            }
        }

        /// A column that the stream names now may have been dropped at the source since.
        func valueOfExistingRows(
            _ column: String, of table: String, _ typeOID: UInt32
        ) throws(ReplicationFailure) -> ModelValue {
            let rows = try client.rows(
                """
                SELECT a.atthasmissing, (a.attmissingval::text::text[])[1], a.atthasdef
                FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
                JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE n.nspname = $1 AND c.relname = $2 AND a.attname = $3 AND NOT a.attisdropped
                  AND a.atttypid = $4::text::oid
                """, [schema, table, column, "\(typeOID)"], within: Self.patience)
            guard let row = rows.first else {
                throw .schema(
                    "\(table).\(column) was added and dropped again at the source, or its type has "
                        + "changed")
            }
            if row[0] == "t" {
                guard let text = row[1] else { return .null }
                return try value(text, ColumnType(postgresOID: try baseType(of: typeOID)))
            }
            // Each row may have received a different value, which was never sent.
            guard row[2] != "t" else {
                throw .schema(
                    "\(table).\(column) was added at the source with a default whose values for "
                        + "existing rows are not known")
            }
            return .null
        }

        private func value(
            _ text: String, _ type: ColumnType
        ) throws(ReplicationFailure) -> ModelValue {
            // Convert through an SQLite parameter, as all values are, so that there is one way.
            do throws(SQLiteFailure) {
                let connection = try SQLiteConnection(":memory:", .create)
                let statement = try connection.prepare("SELECT CAST(? AS \(Self.affinity(type)))")
                var binder = ValueBinder()
                let bytes = Array(text.utf8)
                guard try binder.bind(statement, 1, type, bytes.span) else {
                    throw SQLiteFailure.mismatch(
                        "\(text) does not have the form of its type", place: ":memory:")
                }
                return try statement.step() ? statement.value(0) : .null
            } catch { throw .model(.database(error)) }
        }

        private static func affinity(_ type: ColumnType) -> String {
            switch type {
            case .integer, .bigInteger, .boolean: "INTEGER"
            case .float, .uuid, .timestamp, .text, .textArray, .jsonb, .json, .other: "BLOB"
            }
        }

        // MARK: The server

        struct Server {
            var walLevel: String
            var version: Int
            /// Milliseconds; 0 for never.
            var senderTimeout: Int
            var lsn: LSN
        }

        func position() throws(ReplicationFailure) -> LSN { try server().lsn }

        func server() throws(ReplicationFailure) -> Server {
            let rows = try client.rows(
                """
                SELECT current_setting('wal_level'), current_setting('server_version_num'),
                       (SELECT setting FROM pg_settings WHERE name = 'wal_sender_timeout'),
                       CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
                            ELSE pg_current_wal_lsn() END
                """, within: Self.patience)
            guard let row = rows.first, let version = row[1].flatMap({ Int($0) }),
                let lsn = row[3].flatMap({ LSN($0) })
            else { throw .protocolViolated("no settings") }
            return Server(
                walLevel: row[0] ?? "", version: version,
                senderTimeout: row[2].flatMap { Int($0) } ?? 60_000, lsn: lsn)
        }

        func slot(_ name: String) throws(ReplicationFailure) -> SlotFacts? {
            let rows = try client.rows(
                """
                SELECT s.plugin, s.database = current_database(), s.active_pid,
                       s.confirmed_flush_lsn, s.wal_status,
                       pg_wal_lsn_diff(now.lsn, s.restart_lsn)::bigint, now.lsn
                FROM pg_replication_slots s, (
                    SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
                                ELSE pg_current_wal_lsn() END AS lsn) now
                WHERE s.slot_name = $1
                """, [name], within: Self.patience)
            guard let row = rows.first else { return nil }
            return SlotFacts(
                isOurKind: row[0] == "pgoutput" && row[1] == "t", activePID: row[2],
                confirmed: row[3].flatMap { LSN($0) }, walStatus: row[4] ?? "reserved",
                retainedBytes: row[5].flatMap { Int64($0) }, sourceLSN: row[6].flatMap { LSN($0) })
        }

        // MARK: The publication

        func obstacle() throws(ReplicationFailure) -> String? {
            switch try obstacle(publication: publication) {
            case nil: try children()
            case .missing: "the publication \(publication) is gone"
            case .wrong(let detail): "the publication \(publication) \(detail)"
            }
        }

        /// Rows of a table that inherits are read as the table's own, but not sent as such.
        private func children() throws(ReplicationFailure) -> String? {
            let names = EngineSchema.tables.map { "'\($0.name)'" }.joined(separator: ", ")
            let rows = try client.rows(
                """
                SELECT i.inhrelid::regclass, c.relname FROM pg_inherits i
                JOIN pg_class c ON c.oid = i.inhparent
                JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE n.nspname = $1 AND c.relname IN (\(names)) LIMIT 1
                """, [schema], within: Self.patience)
            return rows.first.map { "\($0[0] ?? "a table") inherits from \($0[1] ?? "another")" }
        }

        /// Why the publication is not suitable; nil if it is.
        func obstacle(publication: String) throws(ReplicationFailure) -> PublicationObstacle? {
            let found = try client.rows(
                """
                SELECT pubinsert AND pubupdate AND pubdelete AND pubtruncate
                FROM pg_publication WHERE pubname = $1
                """, [publication], within: Self.patience)
            guard let row = found.first else { return .missing }
            guard row[0] == "t" else {
                return .wrong("does not publish all of insert, update, delete and truncate")
            }
            let tables = try client.rows(
                """
                SELECT t.tablename, to_jsonb(t) ->> 'rowfilter', to_jsonb(r) ->> 'prattrs',
                       r.oid IS NULL AND NOT p.puballtables
                FROM pg_publication_tables t
                JOIN pg_publication p ON p.pubname = t.pubname
                LEFT JOIN pg_publication_rel r ON r.prpubid = p.oid
                     AND r.prrelid = format('%I.%I', t.schemaname, t.tablename)::regclass
                WHERE t.pubname = $1 AND t.schemaname = $2
                """, [publication, schema], within: Self.patience)
            for table in EngineSchema.tables {
                guard let row = tables.first(where: { $0[0] == table.name }) else {
                    return .wrong("does not publish \(schema).\(table.name)")
                }
                guard row[3] != "t" else {
                    return .wrong("publishes a whole schema; name the tables instead")
                }
                guard row[1] == nil, row[2] == nil else {
                    return .wrong("publishes only some rows or columns of \(table.name)")
                }
            }
            return nil
        }

        /// Lists the tables by name: FOR ALL TABLES would stop updates at the source of any table
        /// without a key.
        func createPublication(_ name: String) throws(ReplicationFailure) {
            _ = try client.rows(Self.creation(of: name, schema: schema))
        }

        static func creation(of publication: String, schema: String) -> String {
            let tables = EngineSchema.tables.map { "\(schema.quoted).\($0.name)" }
            return "CREATE PUBLICATION \(publication.quoted) FOR TABLE "
                + tables.joined(separator: ", ")
        }
    }

    enum PublicationObstacle {
        case missing
        case wrong(String)
    }
#endif
