internal import LedgerFormat
package import Logging
package import ReadModel

/// Applies the changes of a stream to the read model, source transaction by source transaction.
///
/// Invariants:
///  1. Rows and the end of their transaction's LSN are committed together, at a border of source
///     transactions.
///  2. A change that does not meet exactly one row is drift: nothing of its transaction is kept.
package final class ChangeApplier {
    package let writer: ModelWriter
    private let catalog: any SourceColumns
    private let schema: String
    private let logger: Logger
    private var decoder = PgOutputDecoder()
    private var binder = ValueBinder()
    /// What the stream's relations are here; nil for a table that is none of ours.
    private var relations: [UInt32: Relation?] = [:]

    /// Whether a source transaction is under way.
    package private(set) var isWithinTransaction = false
    /// Whether there are rows, or transactions without rows, that were not committed here.
    package private(set) var hasPending = false
    package private(set) var rowsPending = 0
    package private(set) var rowsApplied = 0
    /// The number of the source transaction under way.
    private var transaction: UInt32 = 0
    /// A transaction that is applied already, and comes again.
    private var isSkipping = false

    private struct Relation {
        var table: ModelTable
        /// Numbers of the columns here, in the stream's order.
        var columns: [Int]
        /// The key's place in the stream's order.
        var key: Int
    }

    package init(
        _ writer: ModelWriter, _ catalog: any SourceColumns, schema: String, logger: Logger
    ) {
        (self.writer, self.catalog, self.schema, self.logger) = (writer, catalog, schema, logger)
    }

    // MARK: Messages

    package func apply(_ message: Span<UInt8>) throws(ReplicationFailure) {
        switch try decoder.decode(message) {
        case .begin(let final, _, let transaction):
            self.transaction = transaction
            try begin(final)
        case .commit(let end, let time):
            isWithinTransaction = false
            guard !isSkipping else { return }
            writer.state.lsn = max(writer.state.lsn, end)
            writer.state.committedAt = Self.time(time)
        case .relation(let relation): try describe(relation)
        case .insert(let id):
            if let relation = try relation(id) { try insert(relation, message) }
        case .update(let id, let hasOld):
            if let relation = try relation(id) { try update(relation, hasOld, message) }
        case .delete(let id):
            if let relation = try relation(id) { try delete(relation, message) }
        case .truncate(let ids):
            for id in ids {
                guard let relation = try relation(id) else { continue }
                do throws(ModelFailure) { try writer.truncate(relation.table) } catch {
                    throw .model(error)
                }
            }
        case .other: break
        }
    }

    private func begin(_ final: LSN) throws(ReplicationFailure) {
        guard !isWithinTransaction else { throw .protocolViolated("a transaction in another") }
        isWithinTransaction = true
        // The end of an applied transaction lies behind the start of its commit record.
        isSkipping = final < writer.state.lsn
        if !isSkipping { try beginHere() }
    }

    private func beginHere() throws(ReplicationFailure) {
        guard !hasPending else { return }
        do throws(ModelFailure) { try writer.begin() } catch { throw .model(error) }
        hasPending = true
    }

    /// Makes everything that was applied durable. Only at a border of source transactions.
    package func commit() throws(ReplicationFailure) {
        precondition(!isWithinTransaction, "a part of a transaction is never committed")
        do throws(ModelFailure) {
            if hasPending { try writer.commit() } else { try writer.save() }
        } catch { throw .model(error) }
        rowsApplied += rowsPending
        (hasPending, rowsPending) = (false, 0)
    }

    /// Forgets what was not committed.
    package func rollback() {
        writer.rollback()
        (hasPending, rowsPending, isWithinTransaction) = (false, 0, false)
    }

    /// The table of a change; nil where there is nothing to do for it.
    private func relation(_ id: UInt32) throws(ReplicationFailure) -> Relation? {
        guard isWithinTransaction else { throw .protocolViolated("a change in no transaction") }
        guard let known = relations[id] else {
            throw .protocolViolated("a change of relation \(id), which was not described")
        }
        guard let relation = known, !isSkipping else { return nil }
        rowsPending += 1
        return relation
    }

    // MARK: Rows

    private func insert(_ relation: Relation, _ message: Span<UInt8>) throws(ReplicationFailure) {
        // NULL is bound as such: a column that is left out would get its default.
        var columns: UInt64 = 0
        for (place, field) in decoder.new.enumerated() where field.kind != .unchanged {
            columns |= 1 << UInt64(try number(place, relation))
        }
        try run(.insert, relation, columns, message) { _ throws(SQLiteFailure) in }
    }

    private func update(
        _ relation: Relation, _ hasOld: Bool, _ message: Span<UInt8>
    ) throws(ReplicationFailure) {
        // Only what came: a large value that was not changed keeps what it has.
        var columns: UInt64 = 0
        for (place, field) in decoder.new.enumerated() where field.kind != .unchanged {
            let isKey = place == relation.key
            if isKey, !hasOld { continue }
            columns |= 1 << UInt64(try number(place, relation))
        }
        let fields = hasOld ? decoder.old : decoder.new
        guard columns != 0 else { return }
        guard relation.key < fields.count, fields[relation.key].kind == .text else {
            throw .protocolViolated("an update of \(relation.table.name) without its key")
        }
        let key = fields[relation.key].bytes
        let parameter = relation.table.columns.count + 1
        try run(.update, relation, columns, message) { statement throws(SQLiteFailure) in
            try statement.bind(parameter, text: message.extracting(key))
        }
    }

    private func delete(_ relation: Relation, _ message: Span<UInt8>) throws(ReplicationFailure) {
        guard relation.key < decoder.old.count, decoder.old[relation.key].kind == .text else {
            throw .protocolViolated("a deletion from \(relation.table.name) without its key")
        }
        let key = decoder.old[relation.key].bytes
        try run(.delete, relation, 0, message) { statement throws(SQLiteFailure) in
            try statement.bind(1, text: message.extracting(key))
        }
    }

    private func number(_ place: Int, _ relation: Relation) throws(ReplicationFailure) -> Int {
        guard place < relation.columns.count else {
            throw .protocolViolated("a row of \(relation.table.name) with too many columns")
        }
        return relation.columns[place]
    }

    /// Runs a statement with the new row's values for `columns`; it must change one row.
    private func run(
        _ operation: ModelWriter.Operation, _ relation: Relation, _ columns: UInt64,
        _ message: Span<UInt8>, _ more: (SQLiteStatement) throws(SQLiteFailure) -> Void
    ) throws(ReplicationFailure) {
        let table = relation.table
        do throws(SQLiteFailure) {
            let statement = try writer.statement(operation, table, columns: columns)
            for (place, number) in relation.columns.enumerated()
            where columns >> UInt64(number) & 1 == 1 {
                let field = decoder.new[place]
                guard field.kind == .text else {
                    try statement.bindNull(number + 1)
                    continue
                }
                let text = message.extracting(field.bytes)
                try binder.bind(statement, table, number, text)
            }
            try more(statement)
            try statement.run()
        } catch {
            guard error.isConstraint else { throw .model(.database(error)) }
            guard error.isOfKey else {
                throw .schema(
                    "the source allows in \(table.name) what it did not when it was copied "
                        + "(\(error.message))")
            }
            throw .model(.drifted("\(operation) in \(table.name): \(error.message)"))
        }
        guard writer.connection.changes == 1 else {
            let key = operation == .delete ? decoder.old : decoder.new
            let id =
                relation.key < key.count ? message.extracting(key[relation.key].bytes) : message
            throw .model(
                .drifted(
                    "\(operation) in \(table.name) met \(writer.connection.changes) rows, not one: "
                        + String(decoding: id.prefix(100), as: UTF8.self)))
        }
    }

    // MARK: Relations

    /// Compares a table as the source has it now with what is here.
    private func describe(_ relation: SourceRelation) throws(ReplicationFailure) {
        guard relation.schema == schema, let table = writer.table(relation.name) else {
            logger.warning(
                "a table that is none of the engine's is published, and skipped",
                metadata: ["table": "\(relation.schema).\(relation.name)"])
            relations[relation.id] = .some(nil)
            return
        }
        var added: [SourceRelation.Column] = []
        for column in relation.columns {
            guard let number = table.number(column.name) else {
                added.append(column)
                continue
            }
            let (here, there) = (
                table.columns[number].type, ColumnType(postgresOID: column.typeOID)
            )
            guard here == there else {
                throw .schema(
                    "\(table.name).\(column.name) is \(there.postgresName) at the source, and was "
                        + "\(here.postgresName)")
            }
        }
        let gone = table.columns.filter { column in
            !relation.columns.contains { $0.name == column.name }
                && !writer.state.absentColumns.contains("\(table.name).\(column.name)")
        }
        guard gone.isEmpty else {
            let names = gone.map(\.name).joined(separator: ", ")
            throw .schema("\(table.name) has lost \(names) at the source: renamed or dropped")
        }
        try compareWithCatalogue(table, relation, added.map(\.name))
        if !added.isEmpty { try add(added, to: table) }
        guard let table = writer.table(relation.name),
            let key = relation.columns.firstIndex(where: { $0.name == table.key })
        else { throw .schema("\(relation.name) has lost its key at the source") }
        let columns = relation.columns.compactMap { table.number($0.name) }
        guard columns.count == relation.columns.count else { return }
        relations[relation.id] = Relation(table: table, columns: columns, key: key)
    }

    /// What the stream does not tell: columns that changed places or came again under an old name, and
    /// rows that were written anew.
    private func compareWithCatalogue(
        _ table: ModelTable, _ relation: SourceRelation, _ added: [String]
    ) throws(ReplicationFailure) {
        let known = writer.source[table.name]
        guard var now = try catalog.tables()[table.name], now != known else { return }
        try checkAdded(added, of: table.name, now, known)
        // The catalogue is of this moment, the stream may tell of an earlier one: then the change is
        // still to come, and will be seen in the stream itself.
        let published = now.columns.filter { $0.value.isPublished }
        let isOfNow =
            published.count == relation.columns.count
            && relation.columns.allSatisfy { published[$0.name]?.type == Int64($0.typeOID) }
        guard isOfNow else { return }
        try check(table.name, now)
        now.columns = now.columns.filter { column in
            known?.columns[column.key] != nil || added.contains(column.key)
                || !column.value.isPublished
        }
        try beginHere()
        do throws(ModelFailure) { try writer.keep(now, of: table.name) } catch {
            throw .model(error)
        }
    }

    /// A column's value for rows that stood is in the catalogue, or NULL; but not where the rows were
    /// written anew with it, nor where the column is not the one that the stream tells of.
    private func checkAdded(
        _ names: [String], of table: String, _ now: SourceTable, _ known: SourceTable?
    ) throws(ReplicationFailure) {
        for name in names {
            guard let column = now.columns[name] else { continue }
            // Numbers of transactions go in a circle.
            let isLater = UInt32(column.version).map { Int32(bitPattern: $0 &- transaction) > 0 }
            guard isLater != true else {
                throw .schema("at the source, \(table).\(name) came and went and came again")
            }
            guard known?.columns[name]?.isPublished != false else {
                throw .schema("at the source, \(table).\(name) was generated, and is no longer")
            }
            guard column.hasMissing || known.map({ $0.file == now.file }) ?? true else {
                throw .schema(
                    "\(table).\(name) was added at the source, and the rows that stood were written "
                        + "anew: their values are not known")
            }
        }
    }

    private func check(_ table: String, _ now: SourceTable?) throws(ReplicationFailure) {
        guard let now else { throw .schema("the source has lost \(table): renamed or dropped") }
        guard let change = writer.source[table]?.change(to: now) else { return }
        throw .schema("at the source, \(table) \(change)")
    }

    /// Compares all tables with the source's catalogue: a change of the schema may come without rows.
    /// What is harmless is kept, so that it is not taken together with something later. Only at a
    /// border of source transactions.
    package func checkSource() throws(ReplicationFailure) {
        if let obstacle = try catalog.obstacle() { throw .schema(obstacle) }
        let now = try catalog.tables()
        for table in writer.tables {
            try check(table.name, now[table.name])
            guard let facts = now[table.name], let known = writer.source[table.name],
                facts != known, facts.columns.count == known.columns.count
            else { continue }
            try beginHere()
            do throws(ModelFailure) { try writer.keep(facts, of: table.name) } catch {
                throw .model(error)
            }
        }
    }

    /// Where the source's log ends.
    package func sourcePosition() throws(ReplicationFailure) -> LSN { try catalog.position() }

    private func add(
        _ columns: [SourceRelation.Column], to table: ModelTable
    ) throws(ReplicationFailure) {
        for column in columns {
            let value = try catalog.valueOfExistingRows(column.name, of: table.name, column.typeOID)
            // A description may come outside a change's transaction here.
            try beginHere()
            do throws(ModelFailure) {
                try writer.addColumn(
                    column.name, ColumnType(postgresOID: column.typeOID), to: table,
                    filledWith: value)
            } catch { throw .model(error) }
            logger.notice(
                "a column that the source has got is taken along",
                metadata: ["column": "\(table.name).\(column.name)"])
        }
        // Numbers of columns have changed.
        let known = relations
        for (id, relation) in known where relation?.table.name == table.name { relations[id] = nil }
    }

    /// Microseconds since 2000-01-01, as the protocol counts, as text.
    static func time(_ microseconds: Int64) -> String {
        SourceClock.timestamp(microseconds).description
    }
}

extension Span<UInt8> {
    /// At most `count` bytes, copied.
    func prefix(_ count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        for index in 0..<Swift.min(count, self.count) { bytes.append(self[index]) }
        return bytes
    }
}
