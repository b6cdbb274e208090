package import LedgerFormat
package import Platform

/// What the publisher does next: extend the tree, sign, ask the witnesses, or wait. It is told what
/// happens and what time it is, and knows neither threads nor files.
package struct PublishingPlan: Sendable {
    package typealias Instant = ContinuousClock.Instant

    package private(set) var phase = Phase.publishing
    /// The size of the newest checkpoint that may be shown.
    package private(set) var publishedSize: LedgerSize
    package var life = ThreadLife.running
    package private(set) var tree = Tree.trusted
    private var schedule: CheckpointSchedule
    /// Hashes of entries after the tree, without gaps; the first belongs to `pendingStart`.
    private var pending: [Digest] = []
    private var pendingStart: Position
    /// What the witnesses answered, until it is taken up.
    private var roundEnd: WitnessCouncil.Outcome?

    /// How publishing stands.
    package enum Phase: Hashable, Sendable {
        case publishing
        /// It cannot be written for now; tried again.
        case stalled(String, isNoSpace: Bool)
        /// Nothing is signed until an operator has looked.
        case stopped(String)

        package var isStopped: Bool { if case .stopped = self { true } else { false } }
    }

    /// Whether the tree's files are what the entries give.
    package enum Tree: Sendable {
        case trusted
        /// A proof did not lead to the checkpoint's root.
        case distrusted
        /// Being rebuilt, and not yet as far as what was published.
        case rebuilding
    }

    package enum Work: Sendable {
        case extend([Digest])
        /// Read entries back: their hashes were not kept.
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
        /// Nothing to do until then. `wakesOnGrowth`: each further entry is a reason to look again.
        case wait(until: Instant?, wakesOnGrowth: Bool)
    }

    /// The tree, the newest checkpoint signed and the newest one published are of these sizes.
    /// `needsRound`: the newest one signed is not published.
    package init(
        tree: LedgerSize, signed: LedgerSize?, published: LedgerSize, needsRound: Bool,
        now: Instant
    ) {
        pendingStart = tree.nextPosition
        publishedSize = published
        schedule = CheckpointSchedule(newest: signed, began: now)
        schedule.needsRound = needsRound
    }

    // MARK: Events

    /// Entries were appended. Where their hashes pile up they are dropped, and read back later.
    package mutating func append(_ hashes: [Digest], from position: Position) {
        if pending.isEmpty { pendingStart = position }
        if pending.count > PublishingLimits.treePendingMax { pending = [] }
        guard pendingStart.value + UInt64(pending.count) == position.value else { return }
        pending += hashes
    }

    package var pendingCount: Int { pending.count }
    package var hasManyPending: Bool { pending.count >= PublishingLimits.treePending }

    /// Something to look at that no time brings.
    package var hasNews: Bool {
        life >= .stopping || roundEnd != nil || tree == .distrusted || hasManyPending
    }

    /// What was being done worked.
    package mutating func succeeded() {
        if case .stalled = phase { phase = .publishing }
    }

    package mutating func stalled(_ reason: String, isNoSpace: Bool) {
        // What has stopped is not started again by a disk that has room once more.
        if !phase.isStopped { phase = .stalled(reason, isNoSpace: isNoSpace) }
    }

    package mutating func stopPublishing(_ reason: String) { phase = .stopped(reason) }

    package mutating func distrustTree() {
        // What is asked during a rebuild finds the tree unfinished, which is no news.
        if tree == .trusted { tree = .distrusted }
    }

    /// A checkpoint is about to be signed, or shown to the witnesses again.
    package mutating func attempts(now: Instant) { schedule.attempted(now) }
    package mutating func signed(_ size: LedgerSize, now: Instant) { schedule.signed(size, now) }
    package mutating func beganRound() { schedule.isRoundUnderWay = true }
    package mutating func roundEnded(_ outcome: WitnessCouncil.Outcome) { roundEnd = outcome }

    /// A round's outcome is taken up. Until what came of it is kept, it is as if nobody had been
    /// asked.
    package mutating func tookRound() {
        schedule.isRoundUnderWay = false
        schedule.needsRound = true
    }

    /// The newest checkpoint has enough cosignatures, or not.
    package mutating func judged(isEnough: Bool) { schedule.needsRound = !isEnough }

    package mutating func published(_ size: LedgerSize) { publishedSize = size }

    // MARK: Decisions

    /// What comes next, with a tree and a ledger of these sizes. `isWanted`: somebody waits for a
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
        // What was published must be provable at once.
        if hasManyPending || (isDue || size < publishedSize) && size < head {
            return .work(extend(size, head))
        }
        if isDue { return .work(schedule.needsRound(at: head) ? .ask : .sign) }
        // Nothing is left to be written, so nothing fails any longer.
        succeeded()
        // Once publishing has stopped nothing is due: only full rows of hashes matter.
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

    /// Whether the newest checkpoint is shown to the witnesses again rather than a newer one signed.
    func needsRound(at head: LedgerSize) -> Bool { needsRound && head == signedSize }

    mutating func attempted(_ now: PublishingPlan.Instant) { lastAttempt = now }

    mutating func signed(_ size: LedgerSize, _ now: PublishingPlan.Instant) {
        (lastAttempt, signedSize, needsRound) = (now, size, false)
    }
}
