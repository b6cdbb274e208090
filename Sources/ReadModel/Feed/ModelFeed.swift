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
        do throws(JSONError) { document = try JSONDocument(bytes, limits: .feed) } catch {
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
            let isChanged = try RowWriter(writer).apply(change, document)
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
