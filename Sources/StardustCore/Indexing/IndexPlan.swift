package import LedgerFormat
package import Platform

/// Decides what the index's thread does next: index packets, read back missed ones, or wait. Events
/// and the time are passed in; it uses no threads and no files.
package struct IndexPlan: Sendable {
    package typealias Instant = ContinuousClock.Instant

    package private(set) var phase = Phase.catchingUp
    /// How much of the ledger the index reflects.
    package private(set) var size = LedgerSize.empty
    package var life = ThreadLife.running
    /// How many callers wait for the index to advance.
    package var waiting = 0
    /// There are observers to notify whenever the index advances.
    package var isObserved = false
    /// Packets after `size`, without gaps, that need not be read back.
    private var fresh = FreshPackets()
    /// Until when a few packets wait for more.
    private var collectsUntil: Instant?
    /// A reader found a file damaged.
    private var isDistrusted = false
    /// The thread sleeps because it has nothing to do.
    private var isAsleep = false

    package init() {}

    /// The index's state.
    package enum Phase: Hashable, Sendable {
        /// Reading the packets it missed, or the whole ledger.
        case catchingUp
        case following
        /// It cannot be written at present; retried.
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
        /// A few packets wait for more, until this time at the latest.
        case collect(until: Instant)
        case sleep
    }

    // MARK: Events

    /// Packets were appended. If too many accumulate, they are dropped and later read back.
    package mutating func append(_ packets: [FreshPacket]) { fresh.append(packets) }

    /// The thread stays asleep while packets accumulate: waking it for each batch would take
    /// processor time from the packets that follow.
    package var isWorthWaking: Bool { isAsleep || isAwaited || fresh.areManyEnough }

    /// The index was opened or started over, and reflects this size.
    package mutating func opened(at size: LedgerSize) {
        (self.size, phase) = (size, .catchingUp)
    }

    package mutating func advanced(to size: LedgerSize) {
        self.size = size
        if phase != .catchingUp { phase = .following }
    }

    package mutating func rebuilt(upTo size: LedgerSize) { self.size = size }
    package mutating func follows() { phase = .following }
    package mutating func distrust() { (isDistrusted, phase) = (true, .catchingUp) }

    package mutating func stalled(_ reason: String, isNoSpace: Bool) {
        phase = .stalled(reason, isNoSpace: isNoSpace)
    }

    // MARK: Decisions

    /// Whether appends to a ledger of this size must wait for the index.
    package func isFarBehind(_ ledger: LedgerSize) -> Bool {
        size.entries + UInt64(LedgerLimits.indexLag) < ledger.entries
    }

    /// Whether waiting for the index to cover a size is pointless.
    package func isWaitingHopeless(for size: LedgerSize) -> Bool {
        if life >= .refusesWaiters { return true }
        switch phase {
        case .stalled: return true
        // Rebuilding this much takes too long.
        case .catchingUp: return size.entries - self.size.entries > LedgerLimits.indexLag
        case .following: return false
        }
    }

    /// Whether somebody wants the newest packets at once.
    private var isAwaited: Bool { waiting > 0 || isObserved }

    /// Whether collected packets are indexed before their delay is over.
    package var hasCollected: Bool { isAwaited || life >= .stopping || fresh.areManyEnough }

    /// What is in memory is indexed before the thread ends. Whatever is not is read back from the
    /// segments after the next start.
    private mutating func last() -> Work {
        fresh.drop(before: size.nextPosition)
        guard fresh.begin(at: size.nextPosition) else { return .end }
        return .fresh(fresh.take(LedgerLimits.indexStep))
    }

    /// The next step for a ledger of this size.
    package mutating func next(head: LedgerSize, now: Instant) -> Step {
        isAsleep = false
        if life >= .stopping { return .work(last()) }
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
