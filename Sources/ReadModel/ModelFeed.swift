internal import LedgerFormat
package import Packets

/// Applies a change feed to the read model, line by line.
///
/// Outside `begin` and `commit`, each line is a transaction of its own; `flush` makes several
/// durable together. An answer is returned once it is final.
///
/// Invariants:
///  1. `answers` has an entry, in order, for each line whose answer was not returned yet. Those of
///     an open transaction may still change.
///  2. A refused line changes nothing; if it is in a transaction, neither do the others in it.
package final class ModelFeed {
    private let writer: ModelWriter
    private var answers: [Answer] = []
    /// The number of the current line.
    private var line = 0
    private var state = State.idle
    /// The LSN up to which everything was applied when the open transaction began.
    private var lsnBefore = LSN.zero

    package struct Answer: Sendable {
        /// The line's number in its feed.
        package var line: Int
        package var outcome: Outcome
    }

    /// Indirect to save memory, since most of a large transaction's answers carry no data.
    package indirect enum Outcome: Sendable {
        case applied
        /// The row already has these values.
        case unchanged
        /// Its LSN is not beyond the last one applied.
        case skipped
        case refused(ModelRefusal)
        /// Its transaction was rolled back because of another line.
        case rolledBack
        case notJSON(JSONError)
        case failed(ModelFailure)
    }

    private enum State {
        case idle
        /// Each line is a transaction; they will be committed together.
        case together
        case transaction
        /// A line was refused: none of the transaction's other lines is applied.
        case doomed
    }

    package init(_ writer: ModelWriter) throws(ModelFailure) {
        self.writer = writer
        do throws(SQLiteFailure) {
            try writer.connection.run("PRAGMA ignore_check_constraints = OFF")
        } catch { throw .database(error) }
    }

    package var isWithinTransaction: Bool {
        switch state {
        case .idle, .together: false
        case .transaction, .doomed: true
        }
    }

    /// Makes durable what can be, and returns the answers that are final as a result. A crash
    /// before the commit loses the lines since the last flush, none of which was answered.
    package func flush() -> [Answer] {
        if case .together = state {
            state = .idle
            do throws(ModelFailure) { try writer.commit() } catch {
                writer.rollback()
                // Unchanged and skipped lines may have depended on rows that are now rolled back.
                for index in answers.indices where answers[index].outcome.isTaken {
                    answers[index].outcome = .failed(error)
                }
            }
        }
        if case .idle = state, owesMore {
            // If this fails, it is saved with the next change.
            try? writer.save()
            owesMore = false
        }
        guard !isWithinTransaction else { return [] }
        defer { answers = [] }
        return answers
    }

    /// Ends the feed: an unfinished transaction is rolled back.
    package func end() -> [Answer] {
        if isWithinTransaction { rollBack() }
        return flush()
    }

    // MARK: Lines

    package func take(_ text: Span<UInt8>, line: Int) {
        self.line = line
        var bytes: [UInt8] = []
        for index in text.indices { bytes.append(text[index]) }
        let document: JSONDocument
        do throws(JSONError) { document = try JSONDocument(bytes, limits: .answer) } catch {
            answer(.notJSON(error))
            losePlace()
            doom()
            return
        }
        wasNoted = false
        do throws(ModelRefusal) {
            let change = try FeedChange(document)
            switch change.operation {
            case .begin: try begin()
            case .commit: try commit()
            case .rollback:
                guard isWithinTransaction else {
                    throw ModelRefusal(.notAChange, "rollback without begin")
                }
                answer(.applied)
                rollBack()
            case .insert, .update, .delete, .truncate: try take(change, document)
            }
        } catch {
            if !wasNoted { noteRefused(document) }
            refused(error)
        }
    }

    /// Even a line that is not a valid change may carry the LSN of the change it was meant to be.
    private func noteRefused(_ document: JSONDocument) {
        guard let value = document.member("lsn", of: 0) else { return }
        guard let lsn = document.string(value).flatMap({ LSN($0) }) else { return losePlace() }
        if isWithinTransaction { met.append(lsn) } else { owe([lsn]) }
    }

    /// Refuses a line that was too long to be read.
    package func refuse(_ refusal: ModelRefusal, line: Int) {
        self.line = line
        losePlace()
        refused(refusal)
    }

    private func refused(_ refusal: ModelRefusal) {
        if case .doomed = state, refusals >= Self.refusalsMax {
            answer(.rolledBack)
            return
        }
        refusals += 1
        answer(.refused(refusal))
        doom()
    }

    /// Refusals of one transaction that are reported individually.
    private static let refusalsMax = 100
    private var refusals = 0

    // MARK: Positions

    /// LSNs of the open transaction's lines that were not applied before.
    private var met: [LSN] = []
    /// Whether the current line's LSN is already accounted for, in `met` or as owed.
    private var wasNoted = false
    /// A line could not be read, so it is unknown which change is missing. Later lines of this feed
    /// are applied, but do not count as applied when they are sent again.
    private var hasLostPlace = false
    /// Whether lines are owed that were not saved yet.
    private var owesMore = false
    private static let owedMax = 10_000

    private func isApplied(_ lsn: LSN) -> Bool {
        lsn <= (isWithinTransaction ? lsnBefore : writer.state.lsn)
            && !writer.state.refusedLSNs.contains(lsn)
    }

    /// Remembers lines that were not applied, so that their corrected versions are not skipped.
    private func owe(_ lsns: [LSN]) {
        guard !lsns.isEmpty else { return }
        writer.state.refusedLSNs.formUnion(lsns)
        owesMore = true
    }

    private func losePlace() { hasLostPlace = true }

    private func advance(to lsn: LSN?) {
        guard let lsn else { return }
        writer.state.refusedLSNs.remove(lsn)
        // With too much owed, `lsn` stops advancing: later lines are never skipped, so nothing is
        // lost.
        if !hasLostPlace, writer.state.refusedLSNs.count <= Self.owedMax {
            writer.state.lsn = max(lsn, writer.state.lsn)
        }
        writer.state.sourceLSN = max(writer.state.sourceLSN, writer.state.lsn)
    }

    private func answer(_ outcome: Outcome) {
        answers.append(Answer(line: line, outcome: outcome))
    }

    private func doom() { if case .transaction = state { state = .doomed } }

    private func begin() throws(ModelRefusal) {
        guard !isWithinTransaction else {
            throw ModelRefusal(.notAChange, "begin within a transaction")
        }
        // The lines before it do not depend on it.
        let before = flush()
        transactionStart = before.count
        (met, refusals, lsnBefore) = ([], 0, writer.state.lsn)
        do throws(ModelFailure) { try writer.begin() } catch {
            answers = before
            answer(.failed(error))
            state = .doomed
            return
        }
        state = .transaction
        answers = before
        answer(.applied)
    }

    /// Index of the open transaction's first answer.
    private var transactionStart = 0

    private func commit() throws(ModelRefusal) {
        switch state {
        case .idle, .together: throw ModelRefusal(.notAChange, "commit without begin")
        case .doomed:
            answer(.rolledBack)
            rollBack()
        case .transaction:
            state = .idle
            do throws(ModelFailure) {
                try writer.commit()
                answer(.applied)
            } catch {
                answer(.failed(error))
                rollBack()
            }
        }
    }

    private func rollBack() {
        writer.rollback()
        state = .idle
        owe(met)
        for index in transactionStart..<answers.count where answers[index].outcome.isTaken {
            answers[index].outcome = .rolledBack
        }
    }

    private func take(_ change: FeedChange, _ document: JSONDocument) throws(ModelRefusal) {
        wasNoted = true
        if isWithinTransaction, let lsn = change.lsn, !isApplied(lsn) { met.append(lsn) }
        switch state {
        case .doomed:
            answer(.rolledBack)
            return
        case .idle:
            do throws(ModelFailure) { try writer.begin() } catch {
                owe(change.lsn.map { [$0] } ?? [])
                answer(.failed(error))
                return
            }
            state = .together
        case .together, .transaction: break
        }
        if let lsn = change.lsn, isApplied(lsn) {
            answer(.skipped)
            return
        }
        do throws(ModelFailure) {
            let isChanged = try apply(change, document)
            answer(isChanged ? .applied : .unchanged)
            advance(to: change.lsn)
            if let time = change.committedAt { writer.state.committedAt = time }
        } catch {
            // Refused or failed: a later LSN must not make this line count as applied.
            if !isWithinTransaction { owe(change.lsn.map { [$0] } ?? []) }
            if case .refused(let refusal) = error { throw refusal }
            answer(.failed(error))
            doom()
        }
    }

    // MARK: Rows

    /// Whether the row changed.
    private func apply(
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

extension ModelFeed.Outcome {
    /// Whether the line was accepted.
    fileprivate var isTaken: Bool {
        switch self {
        case .applied, .unchanged, .skipped: true
        case .refused, .rolledBack, .notJSON, .failed: false
        }
    }
}

/// A row of the feed: values by column number.
private struct FeedRow {
    let table: ModelTable
    private(set) var values: [Int: ModelValue] = [:]
    private(set) var columns: UInt64 = 0

    init(
        _ document: JSONDocument, _ row: Int, _ table: ModelTable
    ) throws(ModelFailure) {
        self.table = table
        for key in JSONChildren(document.tokens, of: row) {
            let name = document.bytes.span.string(document.tokens[key])
            guard let number = table.number(name) else {
                throw .refused(
                    ModelRefusal(
                        .unknownColumn, table: table.name, column: name,
                        value: document.sourceText(key + 1),
                        "there is no such column; there are "
                            + table.columns.map(\.name).joined(separator: ", ")))
            }
            do throws(ModelRefusal) {
                values[number] = try FeedValue.read(
                    document, key + 1, table.columns[number], of: table.name)
            } catch { throw .refused(error) }
            columns |= 1 << UInt64(number)
        }
    }

    /// The value of the primary key.
    func key() throws(ModelFailure) -> ModelValue {
        guard let number = table.number(table.key), let value = values[number], value != .null
        else {
            throw .refused(
                ModelRefusal(
                    .missingValue, table: table.name, column: table.key,
                    "the key is needed to identify the row"))
        }
        return value
    }

    /// Turns a violated constraint into a refusal: SQLite names the columns or the check.
    func refusal(_ failure: SQLiteFailure) -> ModelRefusal? {
        guard failure.isConstraint else { return nil }
        let subject =
            failure.message.split(separator: ": ", maxSplits: 1).last.map(String.init) ?? ""
        let columns = subject.split(separator: ", ").map { name in
            String(name.split(separator: ".").last ?? name)
        }
        let column = columns.first { table.number($0) != nil }
        func shown(_ column: String?) -> String? {
            guard let column, let number = table.number(column) else { return nil }
            return self.values[number]?.shown
        }
        if failure.message.hasPrefix("UNIQUE") {
            let values = columns.compactMap(shown).joined(separator: ", ")
            return ModelRefusal(
                .notUnique, table: table.name, column: columns.joined(separator: ", "),
                value: values, "another row already has this value")
        }
        if failure.message.hasPrefix("NOT NULL") {
            return ModelRefusal(
                .missingValue, table: table.name, column: column, value: "null",
                "a value is required")
        }
        if subject == "\(table.name)_uuid4" {
            return ModelRefusal(
                .checkViolated, table: table.name, column: table.key, value: shown(table.key),
                "must be a UUID of version 4")
        }
        let check = table.schema.checks.first ?? subject
        let named = check.split(separator: " ").map(String.init).filter { table.number($0) != nil }
        let shownValues = named.map { "\($0) = \(shown($0) ?? "unchanged")" }
        return ModelRefusal(
            .checkViolated, table: table.name, column: named.first,
            value: shownValues.joined(separator: ", "), "\(check) does not hold")
    }
}

extension ModelValue {
    /// For messages.
    fileprivate var shown: String {
        switch self {
        case .null: "null"
        case .integer(let number): "\(number)"
        case .real(let number): "\(number)"
        case .text(let bytes): String(decoding: bytes, as: UTF8.self)
        }
    }
}
