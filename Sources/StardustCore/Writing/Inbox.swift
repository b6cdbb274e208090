internal import Glibc
internal import Platform
internal import Synchronization

/// Queues submissions from the event loops for the sequencer. Bounded in packets; `Budgets` bounds
/// their bytes.
package final class Inbox: Sendable {
    private let monitor = Monitor(State())
    /// Submissions queued so far. The sequencer reads it without the lock before it sleeps.
    private let arrivals = Atomic<UInt>(0)

    private struct State {
        var waiting: [Submission] = []
        var packets = 0
        var isClosed = false
    }

    package init() {}

    // MARK: Receiving

    /// Queues a submission, whose bytes are already reserved. Returns nil if it accepts it: then it
    /// is completed.
    func offer(_ submission: Submission) -> AppendRefusal? {
        monitor.change { state in
            if state.isClosed { return .stopping }
            if state.packets + submission.packets.count > LedgerLimits.packetsInFlight {
                return .tooMuchInFlight
            }
            state.packets += submission.packets.count
            state.waiting.append(submission)
            arrivals.add(1, ordering: .releasing)
            return nil
        }
    }

    // MARK: The sequencer's side

    /// Returns the waiting submissions, up to a batch. Blocks until there is one. Empty once the
    /// inbox is closed and drained.
    func take() -> [Submission] { take(until: nil)! }

    /// The same; nil if there is none until an instant.
    func take(until deadline: ContinuousClock.Instant?) -> [Submission]? {
        awaitBriefly()
        guard let deadline else { return monitor.wait(Self.takeWaiting) }
        return monitor.wait(until: deadline, Self.takeWaiting)
    }

    /// A lone worker sends its next packet as soon as it has a receipt. Polling for that long costs
    /// less than sleeping and waking up. Other runnable threads run meanwhile.
    private func awaitBriefly() {
        let seen = arrivals.load(ordering: .acquiring)
        if monitor.withLock({ !$0.waiting.isEmpty || $0.isClosed }) { return }
        let deadline = ContinuousClock.now + LedgerLimits.watchTime
        while arrivals.load(ordering: .acquiring) == seen, ContinuousClock.now < deadline {
            sched_yield()
        }
    }

    private static func takeWaiting(_ state: inout State) -> [Submission]? {
        if state.waiting.isEmpty { return state.isClosed ? [] : nil }
        var (count, bytes) = (0, 0)
        while count < state.waiting.count, bytes < LedgerLimits.batchBytes {
            bytes += state.waiting[count].bytes.count
            state.packets -= state.waiting[count].packets.count
            count += 1
        }
        defer { state.waiting.removeFirst(count) }
        return Array(state.waiting.prefix(count))
    }

    /// Refuses new submissions. Those already queued are still processed.
    func close() { monitor.change { $0.isClosed = true } }
}
