internal import LedgerFormat
internal import Platform
internal import Synchronization

/// How the clock stands to the last entry: for the sequencer, status and readiness.
package final class ClockState: Sendable {
    private let clock: @Sendable () -> Timestamp
    /// How far an entry's time may be ahead of the one before.
    private let stepMax: Duration
    /// How far the clock may be behind the last entry before anybody is told.
    private static let behindMax: Int64 = 1_000_000
    /// Microseconds since 1970 at which the last entry was received; nothing is known before
    /// recovery.
    private let last = Atomic<Int64>(.max)

    init(stepMax: Duration, clock: @escaping @Sendable () -> Timestamp) {
        (self.stepMax, self.clock) = (stepMax, clock)
    }

    var now: Timestamp { clock() }

    /// Notes when the last entry was received; for an empty ledger, when the ledger was made.
    func note(_ receivedAt: Timestamp) {
        last.store(receivedAt.microseconds, ordering: .relaxed)
    }

    private var lastReceivedAt: Timestamp? {
        let last = last.load(ordering: .relaxed)
        return last == .max ? nil : Timestamp(microseconds: last)
    }

    /// Why nothing may be appended now, if the clock cannot be right: far ahead for one packet, it
    /// would give its time to every later one.
    func refusal(_ now: Timestamp) -> String? {
        guard let lastReceivedAt else { return nil }
        let step = Double(now.microseconds) - Double(lastReceivedAt.microseconds)
        guard step > stepMax / .microseconds(1) else { return nil }
        return
            "the clock says \(now), but the last entry was received at \(lastReceivedAt). Set the "
            + "clock, or raise clock_step_days_max if the ledger has rested for so long"
    }

    /// What is not well about the clock, in words.
    package var warning: String? {
        let now = clock()
        if let refusal = refusal(now) { return refusal }
        guard let lastReceivedAt,
            lastReceivedAt.microseconds - Self.behindMax > now.microseconds
        else { return nil }
        return "the clock is behind the last entry: new entries keep its time, \(lastReceivedAt)"
    }
}
