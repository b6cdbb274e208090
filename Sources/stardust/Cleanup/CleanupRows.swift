internal import Cleanup
internal import LedgerFormat
internal import ReadModel

/// The read model as a run uses it: never an old one, nor another than the plan's.
final class CleanupRows {
    private let readers: ModelReaders
    private let folder: ModelFolder
    private let plan: CleanupPlan
    /// When our own log rows last changed it, and when somebody else had before.
    private var own: String?
    private var foreign: String?

    init(_ ledger: String, _ plan: CleanupPlan) {
        folder = ModelFolder(ledger)
        readers = ModelReaders(folder)
        self.plan = plan
    }

    var followsPostgres: Bool {
        get throws(Failure) {
            do throws(CleanupStop) { return try snapshot().state.source == .postgres } catch {
                throw Failure(error)
            }
        }
    }

    /// The rows of this moment. Throws if they are of another copy than the plan's, or behind it.
    func snapshot() throws(CleanupStop) -> ModelSnapshot {
        let snapshot: ModelSnapshot
        do throws(ModelFailure) {
            snapshot = try readers.snapshot(until: .now + .seconds(3600))
        } catch { throw CleanupStop(Failure(error)) }
        guard folder.current == plan.model else {
            throw CleanupStop(
                .refused, "the read model was replaced since the plan was made; make a new plan")
        }
        guard snapshot.state.phase == .live else {
            throw CleanupStop(
                .refused,
                "the read model is \(snapshot.state.phase.rawValue), so it may lack rows that name an "
                    + "asset; `stardust model status` says what to do")
        }
        guard let position = LSN(plan.lsn), snapshot.state.lsn >= position else {
            throw CleanupStop(
                .refused,
                "the read model is at \(snapshot.state.lsn), behind the plan's \(plan.lsn): was it restored? "
                    + "Make a new plan")
        }
        return snapshot
    }

    /// When all that the source had is known to be in the rows.
    func moment(of snapshot: borrowing ModelSnapshot, now: Timestamp) throws(CleanupStop)
        -> Timestamp
    {
        let state = snapshot.state
        if try !isOwn(snapshot) { note(state) }
        let heard = state.behindSince ?? foreign
        guard let text = heard, let moment = Timestamp(rfc3339: text),
            moment.microseconds + Int64(CleanupLook.validity / .microseconds(1)) > now.microseconds
        else {
            let hint =
                state.source == .feed
                ? ". Whoever feeds the read model says that nothing has changed since by an empty "
                    + "transaction: printf '{\"op\":\"begin\"}\\n{\"op\":\"commit\"}\\n' | stardust model apply"
                : "; `stardust model status` says why"
            throw CleanupStop(
                .refused,
                "the rows are as of \(heard ?? "an unknown time"), and must not be older than "
                    + "\(CleanupLook.validity.components.seconds) s\(hint)")
        }
        return min(moment, now)
    }

    /// Whether the newest change of a fed model is a clean-up's log row: another run's, too, says nothing of the
    /// source.
    private func isOwn(_ snapshot: borrowing ModelSnapshot) throws(CleanupStop) -> Bool {
        let state = snapshot.state
        guard state.source == .feed else { return false }
        if state.updatedAt == own { return true }
        guard let committed = state.committedAt.flatMap({ Timestamp(rfc3339: $0) }),
            let updated = state.updatedAt.flatMap({ Timestamp(rfc3339: $0) }),
            updated.microseconds - committed.microseconds < Self.logTime
        else { return false }
        do throws(SQLiteFailure) {
            return
                !(try snapshot.connection.rows(
                    "SELECT 1 FROM logs WHERE source = ?1 AND created_at = ?2 LIMIT 1",
                    [.string(CleanupLog.source), .string("\(committed)")])).isEmpty
        } catch { throw CleanupStop(.inputOutput, "\(error)") }
    }

    /// Microseconds between a record and the commit of its log row, at most.
    private static let logTime: Int64 = 10_000_000

    /// Tells these rows from later ones.
    func mark(_ state: ModelState) -> String {
        state.source == .postgres ? "\(state.committedLSN)" : state.updatedAt ?? ""
    }

    private func note(_ state: ModelState) {
        if state.updatedAt != own { foreign = state.updatedAt }
    }

    /// Calls `change`, which adds rows of our own: those do not tell that the source is heard.
    func changing(_ change: () async throws(CleanupStop) -> Void) async throws(CleanupStop) {
        do {
            let before = try snapshot()
            if !(try isOwn(before)) { note(before.state) }
        }
        try await change()
        own = try snapshot().state.updatedAt
    }

    func logged(_ ids: [UUID128]) throws(CleanupStop) -> Set<UUID128> {
        let snapshot = try snapshot()
        var found: Set<UUID128> = []
        do throws(SQLiteFailure) {
            for id in ids {
                let rows = try snapshot.connection.rows(
                    "SELECT 1 FROM logs WHERE log_id = ?1", [.string("\(id)")])
                if !rows.isEmpty { found.insert(id) }
            }
        } catch { throw CleanupStop(.inputOutput, "\(error)") }
        return found
    }
}
