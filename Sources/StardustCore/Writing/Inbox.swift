internal import Glibc
internal import Platform
internal import Synchronization

/// Queues submissions from the event loops for the sequencer. Bounded in packets and bytes. Bytes
/// count as soon as they are received, so a partly received body counts too.
package final class Inbox: Sendable {
    private let monitor = Monitor(State())
    private let bytesMax: Int
    /// Submissions queued so far. The sequencer reads it without the lock before it sleeps.
    private let arrivals = Atomic<UInt>(0)

    private struct State {
        var waiting: [Submission] = []
        var packets = 0
        /// Received but not yet answered, whether queued or not.
        var bytes = 0
        var isClosed = false
    }

    package init(bytesMax: Int) { self.bytesMax = bytesMax }

    // MARK: Receiving

    /// The bytes that one request holds: received but not yet answered. The rest is released when
    /// the reservation ends, however its request ends.
    package struct Reservation: ~Copyable, Sendable {
        private let inbox: Inbox
        package private(set) var bytes = 0

        fileprivate init(_ inbox: Inbox) { self.inbox = inbox }

        deinit { inbox.release(bytes) }

        /// Reserves room for arriving bytes. If there is none, reserves nothing and returns false.
        package mutating func take(_ count: Int) -> Bool {
            guard inbox.reserve(count) else { return false }
            bytes += count
            return true
        }

        /// Counts bytes that have already arrived. Returns false if they exceed the limit: then the
        /// caller should stop reading from the client.
        package mutating func add(_ count: Int) -> Bool {
            bytes += count
            return inbox.add(count)
        }

        /// Whether there is room to read more.
        package var hasRoom: Bool { inbox.hasRoom(beside: 0) }

        /// Whether there would be room without this reservation.
        package var othersLeaveRoom: Bool { inbox.hasRoom(beside: bytes) }

        /// Releases bytes that were answered or dropped.
        package mutating func give(back count: Int) {
            precondition(count <= bytes, "a request releases only what it has reserved")
            bytes -= count
            inbox.release(count)
        }
    }

    /// An empty reservation for one request.
    package func reservation() -> Reservation { Reservation(self) }

    private func reserve(_ count: Int) -> Bool {
        monitor.withLock { state in
            guard state.bytes + count <= bytesMax else { return false }
            state.bytes += count
            return true
        }
    }

    private func add(_ count: Int) -> Bool {
        monitor.withLock { state in
            state.bytes += count
            return state.bytes <= bytesMax
        }
    }

    private func release(_ count: Int) {
        guard count > 0 else { return }
        monitor.withLock { $0.bytes -= count }
    }

    private func hasRoom(beside own: Int) -> Bool {
        monitor.withLock { $0.bytes - own <= bytesMax }
    }

    package var bytesInFlight: Int { monitor.withLock { $0.bytes } }

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
    func take() -> [Submission] {
        awaitBriefly()
        return takeWaiting()
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

    private func takeWaiting() -> [Submission] {
        monitor.wait { state in
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
    }

    /// Refuses new submissions. Those already queued are still processed.
    func close() { monitor.change { $0.isClosed = true } }
}
