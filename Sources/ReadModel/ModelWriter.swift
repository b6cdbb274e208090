internal import LedgerFormat
internal import Platform

/// The only writer of the read model. Used by one thread at a time.
///
/// Invariants:
///  1. Outside a transaction, `state` in memory equals what is stored in the file.
///  2. `lsn` and the rows it covers are committed together.
package final class ModelWriter {
    package let folder: ModelFolder
    package let number: Int
    private let identity: FileIdentity?
    package let connection: SQLiteConnection
    package private(set) var tables: [ModelTable] = []
    /// What the source's catalogue said about the tables, as far as it is known.
    package private(set) var source: [String: SourceTable] = [:]
    package var state: ModelState
    private var savedState: ModelState
    private var statements: [StatementKey: SQLiteStatement] = [:]

    package static let columnsMax = 64

    private struct StatementKey: Hashable {
        var operation: Operation
        var table: Int
        var columns: UInt64
    }

    package enum Operation: Hashable, Sendable {
        /// Parameters: the column numbers, starting at 1.
        case insert
        /// The same, plus the row's key after the last column's number.
        case update
        /// Parameter 1 is the key.
        case delete
    }

    // MARK: Opening

    /// Opens the copy in use; nil if there is none. The caller holds the lock.
    package init?(_ folder: ModelFolder) throws(ModelFailure) {
        do throws(FileFailure) {
            try folder.adoptPlainFile()
        } catch { throw .file(error) }
        try folder.unshare()
        guard let number = folder.current else { return nil }
        self.folder = folder
        self.number = number
        do throws(SQLiteFailure) {
            connection = try SQLiteConnection(folder.file(number), .readWrite)
            identity = FileIdentity(folder.file(number))
            guard let state = try ModelState(connection) else {
                throw SQLiteFailure.notAModel(folder.link)
            }
            self.state = state
            savedState = state
            try Self.configure(connection)
        } catch { throw .database(error) }
        try readTables()
    }

    /// Creates a new copy that is not in use yet, with the given tables. A crash before
    /// `finishCopy` leaves a worthless file, which the next copy removes.
    package init(
        copyingInto folder: ModelFolder, _ schemas: [TableSchema], _ state: ModelState
    ) throws(ModelFailure) {
        self.folder = folder
        do throws(FileFailure) {
            number = (try folder.numbers().last ?? 0) + 1
            try folder.make(number)
        } catch { throw .file(error) }
        self.state = state
        savedState = state
        do throws(SQLiteFailure) {
            connection = try SQLiteConnection(folder.file(number), .create)
            identity = FileIdentity(folder.file(number))
            try connection.run("PRAGMA page_size = \(Self.pageBytes)", "PRAGMA synchronous = FULL")
            try connection.run("BEGIN", SQLiteSchema.state, SourceTable.schema)
            try state.save(connection)
            for schema in schemas { try connection.run(SQLiteSchema.statement(schema)) }
            try connection.run("COMMIT")
            // The copy counts only once the link is renamed, and it is synced before that. Until
            // then a crash only costs the copy, so journal and syncs are off.
            try connection.run(
                "PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF",
                "PRAGMA cache_size = -\(Self.cacheKiB)", "PRAGMA ignore_check_constraints = ON")
        } catch { throw .database(error) }
        try readTables()
    }

    private static let pageBytes = 8192
    private static let cacheKiB = 48 << 10
    private static let checkpointPages = 4096

    private static func configure(_ connection: SQLiteConnection) throws(SQLiteFailure) {
        // Without FULL, a power cut may lose commits that were already reported to the slot.
        try connection.run(
            "PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL",
            "PRAGMA cache_size = -\(cacheKiB)", "PRAGMA wal_autocheckpoint = \(checkpointPages)",
            "PRAGMA journal_size_limit = \(1 << 26)", "PRAGMA temp_store = MEMORY",
            // The source has already checked them; `ModelFeed` turns the checks back on.
            "PRAGMA ignore_check_constraints = ON")
    }

    /// Creates an empty read model for the change feed and puts it in use.
    package static func makeEmpty(_ folder: ModelFolder) throws(ModelFailure) -> ModelWriter {
        let copy = try ModelWriter(
            copyingInto: folder, EngineSchema.tables, ModelState(.feed, .copying))
        copy.state.phase = .live
        return try copy.finishCopy()
    }

    /// Completes a copy once its rows are in: adds the indexes and what is derived, and puts it in
    /// use. A crash before the link is renamed leaves the old copy in use.
    package func finishCopy() throws(ModelFailure) -> ModelWriter {
        do throws(SQLiteFailure) {
            statements = [:]
            for statement in SQLiteSchema.indexes { try connection.run(statement) }
            for statement in SQLiteSchema.derived { try connection.run(statement) }
            for statement in SQLiteSchema.fillDerived { try connection.run(statement) }
            // The checkpoint syncs the whole file. Never sync through a descriptor of our own:
            // closing it would release SQLite's locks, which keep others from removing its log.
            try connection.run("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL")
            try touch()
            try connection.run("PRAGMA wal_checkpoint(TRUNCATE)")
        } catch { throw .database(error) }
        do throws(FileFailure) { try folder.use(number) } catch { throw .file(error) }
        guard let writer = try ModelWriter(folder) else {
            throw .missing("\(folder.link) disappeared while it was being made")
        }
        return writer
    }

    /// Stores what the source's catalogue says about a table.
    package func keep(_ facts: SourceTable, of table: String) throws(ModelFailure) {
        try database { () throws(SQLiteFailure) in try facts.save(table, connection) }
        source[table] = facts
    }

    private func readTables() throws(ModelFailure) {
        try database { () throws(SQLiteFailure) in source = try SourceTable.read(connection) }
        var found: [ModelTable] = []
        for schema in EngineSchema.tables {
            do throws(SQLiteFailure) {
                let columns = try connection.rows(
                    "SELECT name, type, \"notnull\", dflt_value IS NOT NULL "
                        + "FROM pragma_table_info(?)", [.string(schema.name)])
                found.append(
                    ModelTable(
                        index: found.count, schema: schema,
                        columns: columns.map { row in
                            ModelTable.Column(
                                name: row[0].string!, type: ColumnType(declared: row[1].string!),
                                isRequired: row[2].integer == 1, hasDefault: row[3].integer == 1)
                        }))
            } catch { throw .database(error) }
        }
        tables = found
        // The old statements number their parameters by column.
        statements = [:]
    }

    package func table(_ name: some StringProtocol) -> ModelTable? {
        tables.first { $0.name == name }
    }

    /// Throws `missing` if readers no longer see what is written here: somebody removed the files or
    /// put others in their place.
    package func checkInUse() throws(ModelFailure) {
        guard folder.current == number, identity == FileIdentity(folder.file(number)) else {
            throw .missing(
                "\(folder.link) was removed or replaced while changes were applied to it. Make a new "
                    + "copy: `stardust model sync --resync`")
        }
    }

    // MARK: Transactions

    package func begin() throws(ModelFailure) {
        try database { () throws(SQLiteFailure) in try connection.run("BEGIN IMMEDIATE") }
    }

    /// Makes all changes durable, together with `state`. A crash before this returns leaves either
    /// all of it or the previous commit.
    package func commit() throws(ModelFailure) {
        try database { () throws(SQLiteFailure) in
            // On a full disk, SQLite rolls back by itself: `state` must not be saved without its
            // rows.
            guard connection.isInTransaction else {
                throw SQLiteFailure(
                    code: 0, message: "the transaction was rolled back", place: connection.path)
            }
            try touch()
            try connection.run("COMMIT")
        }
        savedState = state
    }

    /// Undoes all changes since `begin`.
    package func rollback() {
        state = savedState
        // If SQLite has already rolled back by itself, there is nothing to do.
        if connection.isInTransaction { try? connection.run("ROLLBACK") }
        // Columns may have been added, and are gone again. If this fails, the next statement fails.
        try? readTables()
    }

    /// Saves `state` alone.
    package func save() throws(ModelFailure) {
        try begin()
        try commit()
    }

    private func touch() throws(SQLiteFailure) {
        state.updatedAt = "\(Timestamp.systemNow())"
        try state.save(connection)
    }

    // MARK: Rows

    /// The statement for a set of columns, given as bits by column number from 0.
    package func statement(
        _ operation: Operation, _ table: ModelTable, columns: UInt64 = 0
    ) throws(SQLiteFailure) -> SQLiteStatement {
        let key = StatementKey(operation: operation, table: table.index, columns: columns)
        if let statement = statements[key] { return statement }
        let chosen = table.columns.indices.filter { columns >> UInt64($0) & 1 == 1 }
        let names = chosen.map { table.columns[$0].name.quoted }
        let name = table.name.quoted
        let sql =
            switch operation {
            case .insert:
                "INSERT INTO \(name) (\(names.joined(separator: ", "))) VALUES ("
                    + chosen.map { "?\($0 + 1)" }.joined(separator: ", ") + ")"
            case .update:
                "UPDATE \(name) SET "
                    + zip(names, chosen).map { "\($0) = ?\($1 + 1)" }.joined(separator: ", ")
                    + " WHERE \(table.key.quoted) = ?\(table.columns.count + 1)"
            case .delete: "DELETE FROM \(name) WHERE \(table.key.quoted) = ?1"
            }
        let statement = try connection.prepare(sql, isKept: true)
        statements[key] = statement
        return statement
    }

    /// Removes all rows of a table, and everything derived from them.
    package func truncate(_ table: ModelTable) throws(ModelFailure) {
        let derived = SQLiteSchema.derivedTables(of: table.name)
        try database { () throws(SQLiteFailure) in
            // Without triggers, SQLite empties a table at once instead of row by row.
            let triggers = try connection.rows(
                "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?",
                [.string(table.name)])
            for trigger in triggers {
                try connection.run("DROP TRIGGER \(trigger[0].string!.quoted)")
            }
            for name in [table.name] + derived { try connection.run("DELETE FROM \(name.quoted)") }
            for trigger in triggers { try connection.run(trigger[1].string!) }
        }
    }

    /// Adds a column that the source gained, with the value its existing rows received.
    package func addColumn(
        _ name: String, _ type: ColumnType, to table: ModelTable, filledWith value: ModelValue
    ) throws(ModelFailure) {
        guard table.columns.count < Self.columnsMax else {
            throw .drifted("\(table.name) has more than \(Self.columnsMax) columns")
        }
        try database { () throws(SQLiteFailure) in
            try connection.run(
                "ALTER TABLE \(table.name.quoted) ADD COLUMN \(name.quoted) \(type.sqliteName)")
            if value != .null {
                _ = try connection.rows(
                    "UPDATE \(table.name.quoted) SET \(name.quoted) = ?", [value])
            }
        }
        try readTables()
    }

    private func database(_ body: () throws(SQLiteFailure) -> Void) throws(ModelFailure) {
        do throws(SQLiteFailure) { try body() } catch { throw .database(error) }
    }
}

/// A table as stored in the file: the engine's columns, and those that the source has gained since.
package struct ModelTable: Sendable {
    package var index: Int
    package var schema: TableSchema
    package var columns: [Column]

    package struct Column: Hashable, Sendable {
        package var name: String
        package var type: ColumnType
        package var isRequired: Bool
        package var hasDefault: Bool
    }

    package var name: String { schema.name }
    package var key: String { schema.key.name }

    package func number(_ column: some StringProtocol) -> Int? {
        columns.firstIndex { $0.name == column }
    }
}
