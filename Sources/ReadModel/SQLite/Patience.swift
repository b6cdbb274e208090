internal import Synchronization

/// Tells long-running work that the process is ending.
package final class StopSignal: Sendable {
    private let isGiven = Atomic(false)

    package init() {}

    package func give() { isGiven.store(true, ordering: .relaxed) }

    fileprivate var isSet: Bool { isGiven.load(ordering: .relaxed) }
}

/// How long an operation may take.
package struct Patience: Sendable {
    let deadline: ContinuousClock.Instant
    private let signal: StopSignal

    package init(until deadline: ContinuousClock.Instant, or signal: StopSignal) {
        (self.deadline, self.signal) = (deadline, signal)
    }

    package var isOver: Bool { signal.isSet || ContinuousClock.now > deadline }
}
