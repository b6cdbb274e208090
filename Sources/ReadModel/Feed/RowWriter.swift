internal import Packets

/// Writes the rows of a change feed, one change at a time, within the writer's open transaction.
struct RowWriter {
    private let writer: ModelWriter

    init(_ writer: ModelWriter) { self.writer = writer }

    /// Whether the row changed.
    func apply(
        _ change: FeedChange, _ document: JSONDocument
    ) throws(ModelFailure) -> Bool {
        guard let table = writer.table(change.table!) else {
            throw .refused(
                ModelRefusal(
                    .unknownTable, table: change.table,
                    "there is no such table; there are "
                        + writer.tables.map(\.name).joined(separator: ", ")))
        }
        switch change.operation {
        case .insert: return try insert(try FeedRow(document, change.row!, table))
        case .update:
            let row = try FeedRow(document, change.row!, table)
            let old = try change.oldKey.map { index throws(ModelFailure) in
                try FeedRow(document, index, table).key()
            }
            return try update(row, old)
        case .delete:
            let row = try FeedRow(document, change.row!, table)
            let key = try row.key()
            try run(.delete, row, columns: 0) { statement throws(SQLiteFailure) in
                try statement.bind(1, key)
            }
            try expectRow(row, key)
            return true
        default:
            try writer.truncate(table)
            return true
        }
    }

    private func insert(_ row: FeedRow) throws(ModelFailure) -> Bool {
        let table = row.table
        for (number, column) in table.columns.enumerated()
        where column.isRequired && !column.hasDefault && (row.values[number] ?? .null) == .null {
            throw .refused(
                ModelRefusal(
                    .missingValue, table: table.name, column: column.name, "a value is required"))
        }
        do throws(ModelFailure) {
            try run(.insert, row, columns: row.columns)
            return true
        } catch {
            guard case .refused(let refusal) = error, refusal.code == .notUnique else {
                throw error
            }
            // Whichever unique column was checked first, the row itself may already exist.
            guard let differing = try difference(row) else { return false }
            guard refusal.column == table.key else { throw error }
            throw .refused(
                ModelRefusal(
                    .notUnique, table: table.name, column: table.key, value: refusal.value,
                    "a row with this key exists, with a different \(differing)"))
        }
    }

    /// The first column in which the existing row differs; nil if it is equal.
    private func difference(_ row: FeedRow) throws(ModelFailure) -> String? {
        let numbers = row.values.keys.sorted()
        let names = numbers.map { row.table.columns[$0].name.quoted }.joined(separator: ", ")
        do throws(SQLiteFailure) {
            let standing = try writer.connection.rows(
                "SELECT \(names) FROM \(row.table.name.quoted) WHERE \(row.table.key.quoted) = ?",
                [row.values[row.table.number(row.table.key)!]!])
            guard let standing = standing.first else { return row.table.key }
            let place = zip(numbers, standing).first { row.values[$0.0]! != $0.1 }
            return place.map { row.table.columns[$0.0].name }
        } catch { throw .database(error) }
    }

    private func update(_ row: FeedRow, _ old: ModelValue?) throws(ModelFailure) -> Bool {
        let key = try row.key()
        let number = row.table.number(row.table.key)!
        let columns = old == nil ? row.columns & ~(1 << UInt64(number)) : row.columns
        guard columns != 0 else {
            throw .refused(
                ModelRefusal(.notAChange, table: row.table.name, "the update sets no column"))
        }
        try run(.update, row, columns: columns) { statement throws(SQLiteFailure) in
            try statement.bind(row.table.columns.count + 1, old ?? key)
        }
        try expectRow(row, old ?? key)
        return true
    }

    private func expectRow(_ row: FeedRow, _ key: ModelValue) throws(ModelFailure) {
        guard writer.connection.changes == 0 else { return }
        throw .refused(
            ModelRefusal(
                .rowNotFound, table: row.table.name, column: row.table.key, value: key.string,
                "there is no row with this key"))
    }

    private func run(
        _ operation: ModelWriter.Operation, _ row: FeedRow, columns: UInt64,
        _ more: (SQLiteStatement) throws(SQLiteFailure) -> Void = { _ throws(SQLiteFailure) in }
    ) throws(ModelFailure) {
        do throws(SQLiteFailure) {
            let statement = try writer.statement(operation, row.table, columns: columns)
            for (number, value) in row.values where columns >> UInt64(number) & 1 == 1 {
                try statement.bind(number + 1, value)
            }
            try more(statement)
            try statement.run()
        } catch {
            throw row.refusal(error).map(ModelFailure.refused) ?? .database(error)
        }
    }
}
