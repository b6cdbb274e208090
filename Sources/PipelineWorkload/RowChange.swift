/// A row that a worker wrote, as a line of the change feed and as a PostgreSQL statement.
package struct RowChange: Sendable {
    package var table: String
    package var isUpdate: Bool
    /// Every column that the worker set; the first is the key.
    package var row: [(name: String, value: PipelineValue)]
    package var committedAt: String
    /// Log sequence number; ascends within a pipeline.
    package var lsn: UInt64

    /// The change as a line for `POST /v1/model/changes`, without its line end.
    package var feedLine: String {
        let change: PipelineValue = [
            "table": .text(table), "op": .text(isUpdate ? "update" : "insert"),
            "row": .object(row), "committed_at": .text(committedAt), "lsn": .text(lsnText),
        ]
        return change.json
    }

    private var lsnText: String {
        String(lsn >> 32, radix: 16, uppercase: true) + "/"
            + String(lsn & 0xFFFF_FFFF, radix: 16, uppercase: true)
    }

    /// The change as a SQL statement that ends with a semicolon.
    package var statement: String {
        guard isUpdate else {
            let names = row.map(\.name).joined(separator: ", ")
            let values = row.map(\.value.sql).joined(separator: ", ")
            return "INSERT INTO \(table) (\(names)) VALUES (\(values));"
        }
        let sets = row.dropFirst().map { "\($0.name) = \($0.value.sql)" }.joined(separator: ", ")
        return "UPDATE \(table) SET \(sets) WHERE \(row[0].name) = \(row[0].value.sql);"
    }
}
