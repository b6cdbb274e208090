package import LedgerFormat
package import Platform

/// What the index's thread does next: take packets, read back what it missed, or wait. It is told
/// what happens and what time it is, and knows neither threads nor files.
package struct IndexPlan: Sendable {
    package typealias Instant = ContinuousClock.Instant

    package private(set) var phase = Phase.catchingUp
    /// How much of the ledger the index reflects.
    package private(set) var size = LedgerSize.empty
    package var life = ThreadLife.running
    /// How many wait for the index to come nearer.
    package var waiting = 0
    /// Somebody is told whenever it has come nearer.
    package var isObserved = false
    /// Packets after `size` that need not be read back, without gaps.
    private var fresh = FreshPackets()
    /// A few packets wait for more until then.
    private var collectsUntil: Instant?
    /// A reader found a file damaged.
    private var isDistrusted = false
    /// The thread has nothing to do, and sleeps until there is.
    private var isAsleep = false

    package init() {}

    /// How the index stands.
    package enum Phase: Hashable, Sendable {
        /// Reading what it missed while it was away, or all of a ledger.
        case catchingUp
        case following
        /// It cannot be written for now; tried again.
        case stalled(String, isNoSpace: Bool)
    }

    package enum Work: Sendable {
        case fresh(ArraySlice<FreshPacket>)
        /// Packets must be read back from the segments.
        case missed
        /// The index has caught up.
        case announce
        /// A file is damaged: the index is rebuilt.
        case reopen
        case end
    }

    package enum Step: Sendable {
        case work(Work)
        /// A few packets wait for more, until then at the latest.
        case collect(until: Instant)
        case sleep
    }

    // MARK: Events

    /// Packets were appended. Where they pile up they are dropped, and read back later.
    package mutating func append(_ packets: [FreshPacket]) { fresh.append(packets) }

    /// While packets collect the thread is left asleep: waking it for each batch would take the
    /// processor from the very packets that come next.
    package var isWorthWaking: Bool { isAsleep || isAwaited || fresh.areManyEnough }

    /// The index was opened, or made anew, and reflects this much.
    package mutating func opened(at size: LedgerSize) {
        (self.size, phase) = (size, .catchingUp)
    }

    package mutating func advanced(to size: LedgerSize) {
        self.size = size
        if phase != .catchingUp { phase = .following }
    }

    package mutating func rebuilt(upTo size: LedgerSize) { self.size = size }
    package mutating func follows() { phase = .following }
    package mutating func distrust() { isDistrusted = true }

    package mutating func stalled(_ reason: String, isNoSpace: Bool) {
        phase = .stalled(reason, isNoSpace: isNoSpace)
    }

    // MARK: Decisions

    /// Whether appends of a ledger of this size wait for the index.
    package func isFarBehind(_ ledger: LedgerSize) -> Bool {
        size.entries + UInt64(LedgerLimits.indexLag) < ledger.entries
    }

    /// Whether the index will not reflect a size in a time that anybody should wait.
    package func isWaitingHopeless(for size: LedgerSize) -> Bool {
        if life >= .refusesWaiters { return true }
        switch phase {
        case .stalled: return true
        // A rebuild takes longer.
        case .catchingUp: return size.entries - self.size.entries > LedgerLimits.indexLag
        case .following: return false
        }
    }

    /// Whether somebody wants the newest packets at once.
    private var isAwaited: Bool { waiting > 0 || isObserved }

    /// Whether packets that were collected are taken before their time.
    package var hasCollected: Bool { isAwaited || life >= .stopping || fresh.areManyEnough }

    /// What comes next, with a ledger of this size.
    package mutating func next(head: LedgerSize, now: Instant) -> Step {
        isAsleep = false
        if life >= .stopping { return .work(.end) }
        if isDistrusted {
            isDistrusted = false
            return .work(.reopen)
        }
        fresh.drop(before: size.nextPosition)
        if fresh.begin(at: size.nextPosition) {
            let until = collectsUntil ?? now + LedgerLimits.indexDelay
            guard hasCollected || now >= until else {
                collectsUntil = until
                return .collect(until: until)
            }
            collectsUntil = nil
            return .work(.fresh(fresh.take(LedgerLimits.indexStep)))
        }
        collectsUntil = nil
        if size < head { return .work(.missed) }
        if phase != .following { return .work(.announce) }
        isAsleep = true
        return .sleep
    }
}
