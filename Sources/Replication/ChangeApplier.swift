internal import LedgerFormat
package import Logging
internal import Platform
package import ReadModel

/// Applies the changes of a stream to the read model, source transaction by source transaction.
///
/// Invariants:
///  1. Rows and the LSN at which their transaction ends are committed together, and only between
///     source transactions.
///  2. A change that does not affect exactly one row is drift: its whole transaction is discarded.
package final class ChangeApplier {
    package let writer: ModelWriter
    private let catalog: any SourceColumns
    private let schema: String
    private let logger: Logger
    private var decoder = PgOutputDecoder()
    private var binder = ValueBinder()
    /// The stream's relations as our tables; nil for a table that is not ours.
    private var relations: [UInt32: Relation?] = [:]

    /// Whether a source transaction is open.
    package private(set) var isWithinTransaction = false
    /// Whether there are rows, or transactions without rows, that are not committed here yet.
    package private(set) var hasPending = false
    package private(set) var rowsPending = 0
    package private(set) var rowsApplied = 0
    /// Descriptions that came with transactions that were applied before.
    private var described: [UInt32: SourceRelation] = [:]
    /// The newest transaction applied here comes again. A source whose log has none like it has
    /// another history: an older copy of its data was put back.
    private var awaitsKnown: Bool
    private let confirmed: LSN?
    /// Whether the open transaction was applied before and is being sent again.
    private var isSkipping = false

    private struct Relation {
        var table: ModelTable
        /// Our column numbers, in the stream's order.
        var columns: [Int]
        /// The key's place in the stream's order.
        var key: Int
    }

    /// `confirmed` is where the stream begins; nil if it is not known.
    package init(
        _ writer: ModelWriter, _ catalog: any SourceColumns, schema: String,
        confirmed: LSN? = nil, logger: Logger
    ) {
        self.confirmed = confirmed
        awaitsKnown = confirmed.map { $0 < writer.state.committedLSN } ?? false
        (self.writer, self.catalog, self.schema, self.logger) = (writer, catalog, schema, logger)
    }

    // MARK: Messages

    package func apply(_ message: Span<UInt8>) throws(ReplicationFailure) {
        switch try decoder.decode(message) {
        case .begin(let final, _, _): try begin(final)
        case .commit(let end, let time):
            isWithinTransaction = false
            let time = Self.time(time)
            guard !isSkipping else {
                let state = writer.state
                if end == state.committedLSN, time == state.committedAt { awaitsKnown = false }
                return
            }
            writer.state.lsn = max(writer.state.lsn, end)
            (writer.state.committedLSN, writer.state.committedAt) = (end, time)
        case .relation(let relation) where isWithinTransaction && isSkipping:
            described[relation.id] = relation
        case .relation(let relation):
            described[relation.id] = nil
            try describe(relation)
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
        guard !isWithinTransaction else { throw .protocolViolated("a transaction within another") }
        isWithinTransaction = true
        // `final` is the start of the commit record. The end of an applied transaction is after it.
        isSkipping = final < writer.state.lsn
        if isSkipping { return }
        try checkHistory()
        try beginHere()
    }

    private func checkHistory() throws(ReplicationFailure) {
        guard awaitsKnown else { return }
        throw .schema(
            "the source's log lacks the last transaction that was applied here: an older copy of its "
                + "data was put back")
    }

    /// Everything before this position was sent.
    package func passed(_ lsn: LSN) throws(ReplicationFailure) {
        if lsn > writer.state.committedLSN { try checkHistory() }
    }

    /// What may be reported as durable: nothing new before the source's log is known to be the same.
    package var reportable: LSN { awaitsKnown ? confirmed ?? .zero : writer.state.lsn }

    private func beginHere() throws(ReplicationFailure) {
        guard !hasPending else { return }
        do throws(ModelFailure) { try writer.begin() } catch { throw .model(error) }
        hasPending = true
    }

    /// Makes everything applied so far durable. Call it only between source transactions. After a
    /// crash before this returns, the server sends what was lost again.
    package func commit() throws(ReplicationFailure) {
        precondition(!isWithinTransaction, "part of a transaction is never committed")
        do throws(ModelFailure) {
            if hasPending { try writer.commit() } else { try writer.save() }
        } catch { throw .model(error) }
        rowsApplied += rowsPending
        (hasPending, rowsPending) = (false, 0)
    }

    /// Discards what was not committed.
    package func rollback() {
        writer.rollback()
        (hasPending, rowsPending, isWithinTransaction) = (false, 0, false)
    }

    /// The table of a change; nil if there is nothing to do for it.
    private func relation(_ id: UInt32) throws(ReplicationFailure) -> Relation? {
        guard isWithinTransaction else { throw .protocolViolated("a change outside a transaction") }
        if isSkipping { return nil }
        if let relation = described.removeValue(forKey: id) { try describe(relation) }
        guard let known = relations[id] else {
            throw .protocolViolated("a change to relation \(id), which was never described")
        }
        guard let relation = known else { return nil }
        rowsPending += 1
        return relation
    }

    // MARK: Rows

    private func insert(_ relation: Relation, _ message: Span<UInt8>) throws(ReplicationFailure) {
        // NULL is bound explicitly: an omitted column would get its default.
        var columns: UInt64 = 0
        for (place, field) in decoder.new.enumerated() where field.kind != .unchanged {
            columns |= 1 << UInt64(try number(place, relation))
        }
        try run(.insert, relation, columns, message) { _ throws(SQLiteFailure) in }
    }

    private func update(
        _ relation: Relation, _ hasOld: Bool, _ message: Span<UInt8>
    ) throws(ReplicationFailure) {
        // Set only the columns that were sent: a large value that did not change is not sent.
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

    /// Runs a statement with the new row's values for `columns`. It must change exactly one row.
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
                    "the source now allows values in \(table.name) that it did not allow when it "
                        + "was copied (\(error.message))")
            }
            throw .model(.drifted("\(operation) in \(table.name): \(error.message)"))
        }
        guard writer.connection.changes == 1 else {
            let key = operation == .delete ? decoder.old : decoder.new
            let id =
                relation.key < key.count ? message.extracting(key[relation.key].bytes) : message
            throw .model(
                .drifted(
                    "\(operation) in \(table.name) hit \(writer.connection.changes) rows, not one: "
                        + String(decoding: id.prefix(100), as: UTF8.self)))
        }
    }

    // MARK: Relations

    /// Compares the source's current form of a table with ours.
    private func describe(_ relation: SourceRelation) throws(ReplicationFailure) {
        guard relation.schema == schema, let table = writer.table(relation.name) else {
            logger.log(
                .tableSkipped, "skipping a published table that is not one of the engine's",
                metadata: ["table": "\(relation.schema).\(relation.name)"])
            relations[relation.id] = .some(nil)
            return
        }
        var added: [SourceRelation.Column] = []
        for column in relation.columns {
            let there = ColumnType(postgresOID: try catalog.baseType(of: column.typeOID))
            guard let number = table.number(column.name) else {
                added.append(column)
                continue
            }
            let here = table.columns[number].type
            guard here == there else {
                throw .schema(
                    "\(table.name).\(column.name) is \(there.postgresName) at the source, but was "
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

    /// Finds what the stream does not report: columns that swapped names or reappeared under an old
    /// name, and rows that were rewritten.
    private func compareWithCatalogue(
        _ table: ModelTable, _ relation: SourceRelation, _ added: [String]
    ) throws(ReplicationFailure) {
        let known = writer.source[table.name]
        guard var now = try catalog.tables()[table.name], now != known else { return }
        try checkAdded(added, of: table.name, now, known)
        // The catalogue describes the present, but the stream may still be in the past. Then the
        // change is yet to come, and will show in the stream itself.
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

    /// An added column's value for existing rows is in the catalogue, or NULL. Neither holds if the
    /// rows were rewritten with it, or if the column is not the one the stream describes.
    private func checkAdded(
        _ names: [String], of table: String, _ now: SourceTable, _ known: SourceTable?
    ) throws(ReplicationFailure) {
        for name in names {
            guard let column = now.columns[name] else { continue }
            // The catalogue may describe a later column of that name.
            guard known.map({ now.lastDropped <= $0.lastNumber }) ?? true else {
                throw .schema(
                    "at the source, columns were added to \(table) and dropped again: whether "
                        + "\(name) is one of them is not known")
            }
            guard known?.columns[name]?.isPublished != false else {
                throw .schema("at the source, \(table).\(name) was generated and no longer is")
            }
            guard column.hasMissing || known.map({ $0.file == now.file }) ?? true else {
                throw .schema(
                    "\(table).\(name) was added at the source, and the existing rows were "
                        + "rewritten: their values are not known")
            }
        }
    }

    private func check(_ table: String, _ now: SourceTable?) throws(ReplicationFailure) {
        guard let now else { throw .schema("the source has lost \(table): renamed or dropped") }
        guard let change = writer.source[table]?.change(to: now) else { return }
        throw .schema("at the source, \(table) \(change)")
    }

    /// Compares all tables with the source's catalogue, because the schema may change without any
    /// rows. Harmless changes are recorded, so that they are not combined with later ones. Call it
    /// only between source transactions.
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
            let type = try catalog.baseType(of: column.typeOID)
            // A description may arrive when no transaction is open here.
            try beginHere()
            do throws(ModelFailure) {
                try writer.addColumn(
                    column.name, ColumnType(postgresOID: type), to: table,
                    filledWith: value)
            } catch { throw .model(error) }
            logger.log(
                .columnAdded, "added a column that the source gained",
                metadata: ["column": "\(table.name).\(column.name)"])
        }
        // Column numbers have changed.
        let known = relations
        for (id, relation) in known where relation?.table.name == table.name { relations[id] = nil }
    }

    /// Formats the protocol's time, in microseconds since 2000-01-01, as text.
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
