package import LedgerFormat
package import Platform

/// Decides what the publisher does next: extend the tree, sign, ask the witnesses, or wait. Events
/// and the time are passed in; it uses no threads and no files.
package struct PublishingPlan: Sendable {
    package typealias Instant = ContinuousClock.Instant

    /// What writing and signing are like, whatever the witnesses do.
    private var files = Phase.publishing
    /// How often in a row the witnesses' quorum was missed, and what was missing.
    private var missed: (rounds: Int, reason: String) = (0, "")
    /// The size of the newest checkpoint that may be shown.
    package private(set) var publishedSize: LedgerSize
    package var life = ThreadLife.running
    package private(set) var tree = Tree.trusted
    private var schedule: CheckpointSchedule
    /// Hashes of entries after the tree, without gaps; the first belongs to `pendingStart`.
    private var pending: [Digest] = []
    private var pendingStart: Position
    /// The outcome of asking the witnesses, until it is processed.
    private var roundEnd: WitnessCouncil.Outcome?

    /// The state of publishing.
    package enum Phase: Hashable, Sendable {
        case publishing
        /// Nothing can be written at present; retried.
        case stalled(String, isNoSpace: Bool)
        /// Nothing is signed until an operator intervenes.
        case stopped(String)

        package var isStopped: Bool { if case .stopped = self { true } else { false } }
    }

    /// Whether the tree's files match the entries.
    package enum Tree: Sendable {
        case trusted
        /// A proof did not lead to the checkpoint's root.
        case distrusted
        /// Being rebuilt, and still smaller than the published checkpoint.
        case rebuilding
    }

    package enum Work: Sendable {
        case extend([Digest])
        /// Read entries back, because their hashes were dropped.
        case catchUp
        case sign
        /// Show the newest checkpoint to the witnesses again.
        case ask
        case takeRound(WitnessCouncil.Outcome)
        case rebuild
        case end
    }

    package enum Step: Sendable {
        case work(Work)
        /// There is nothing to do until then. `wakesOnGrowth`: each new entry is a reason to check
        /// again.
        case wait(until: Instant?, wakesOnGrowth: Bool)
    }

    /// Takes the sizes of the tree, the newest signed checkpoint and the newest published one.
    /// `needsRound`: the newest signed one is not yet published.
    package init(
        tree: LedgerSize, signed: LedgerSize?, published: LedgerSize, needsRound: Bool,
        now: Instant
    ) {
        pendingStart = tree.nextPosition
        publishedSize = published
        schedule = CheckpointSchedule(newest: signed, began: now)
        schedule.needsRound = needsRound
    }

    /// The state of publishing. A quorum that is missed once may be a witness's restart.
    package var phase: Phase {
        guard case .publishing = files, missed.rounds > 1 else { return files }
        return .stalled(missed.reason, isNoSpace: false)
    }

    // MARK: Events

    /// Entries were appended. If too many hashes accumulate, they are dropped and later read back.
    package mutating func append(_ hashes: [Digest], from position: Position) {
        if pending.isEmpty { pendingStart = position }
        if pending.count > PublishingLimits.treePendingMax { pending = [] }
        guard pendingStart.value + UInt64(pending.count) == position.value else { return }
        pending += hashes
    }

    package var pendingCount: Int { pending.count }
    package var hasManyPending: Bool { pending.count >= PublishingLimits.treePending }

    /// Whether there is work that does not depend on the time.
    package var hasNews: Bool {
        life >= .stopping || roundEnd != nil || tree == .distrusted || hasManyPending
    }

    /// The last piece of work succeeded.
    package mutating func succeeded() {
        if case .stalled = files { files = .publishing }
    }

    package mutating func stalled(_ reason: String, isNoSpace: Bool) {
        // Once stopped, publishing must not resume just because the disk has room again.
        if !files.isStopped { files = .stalled(reason, isNoSpace: isNoSpace) }
    }

    package mutating func stopPublishing(_ reason: String) { files = .stopped(reason) }

    package mutating func distrustTree() {
        // Queries during a rebuild find the tree unfinished, which is expected.
        if tree == .trusted { tree = .distrusted }
    }

    /// A checkpoint is about to be signed, or shown to the witnesses again.
    package mutating func attempts(now: Instant) { schedule.attempted(now) }
    package mutating func signed(_ size: LedgerSize, now: Instant) { schedule.signed(size, now) }
    package mutating func beganRound() { schedule.isRoundUnderWay = true }
    package mutating func roundEnded(_ outcome: WitnessCouncil.Outcome) { roundEnd = outcome }

    /// Processing of a round's outcome begins. Until its result is stored, it is as if no witness
    /// had been asked.
    package mutating func tookRound() {
        schedule.isRoundUnderWay = false
        schedule.needsRound = true
    }

    /// Whether the newest checkpoint has enough cosignatures is now known; if not, what is missing.
    package mutating func judged(missing: String?) {
        schedule.needsRound = missing != nil
        if let missing { missed = (missed.rounds + 1, missing) }
    }

    package mutating func published(_ size: LedgerSize) {
        publishedSize = size
        missed.rounds = 0
    }

    // MARK: Decisions

    /// The next step for a tree and a ledger of these sizes. `isWanted`: somebody waits for a
    /// checkpoint.
    package mutating func next(
        tree size: LedgerSize, head: LedgerSize, isWanted: Bool, now: Instant
    ) -> Step {
        if let outcome = roundEnd {
            roundEnd = nil
            return .work(.takeRound(outcome))
        }
        if life >= .stopping { return .work(.end) }
        if tree == .rebuilding, size >= publishedSize { tree = .trusted }
        if tree == .distrusted {
            tree = .rebuilding
            return .work(.rebuild)
        }
        let due = phase.isStopped ? nil : schedule.due(head: head, isWanted: isWanted)
        let isDue = due.map { $0 <= now } ?? false
        // Everything published must be provable at once.
        if hasManyPending || (isDue || size < publishedSize) && size < head {
            return .work(extend(size, head))
        }
        if isDue { return .work(schedule.needsRound(at: head) ? .ask : .sign) }
        // Nothing is left to write, so an earlier failure is over.
        succeeded()
        // Once publishing has stopped, nothing is due, and only many pending hashes are work.
        return .wait(until: due, wakesOnGrowth: !phase.isStopped && due == nil)
    }

    private mutating func extend(_ size: LedgerSize, _ head: LedgerSize) -> Work {
        defer { pending = [] }
        guard pendingStart == size.nextPosition, !pending.isEmpty else { return .catchUp }
        defer { pendingStart = head.nextPosition }
        return .extend(pending)
    }
}

/// When the next checkpoint is due.
private struct CheckpointSchedule: Sendable {
    private var signedSize: LedgerSize?
    private var lastAttempt: PublishingPlan.Instant
    /// The newest checkpoint lacks cosignatures.
    var needsRound = false
    var isRoundUnderWay = false

    init(newest: LedgerSize?, began: PublishingPlan.Instant) {
        (signedSize, lastAttempt) = (newest, began)
    }

    /// Nil if there is nothing to do until the ledger grows or a round ends.
    func due(head: LedgerSize, isWanted: Bool) -> PublishingPlan.Instant? {
        guard !isRoundUnderWay, head > (signedSize ?? .empty) || needsRound else { return nil }
        let interval =
            isWanted
            ? PublishingLimits.checkpointIntervalInDemand : PublishingLimits.checkpointInterval
        return lastAttempt + interval
    }

    /// Whether to show the newest checkpoint to the witnesses again rather than sign a newer one.
    func needsRound(at head: LedgerSize) -> Bool { needsRound && head == signedSize }

    mutating func attempted(_ now: PublishingPlan.Instant) { lastAttempt = now }

    mutating func signed(_ size: LedgerSize, _ now: PublishingPlan.Instant) {
        (lastAttempt, signedSize, needsRound) = (now, size, false)
    }
}
