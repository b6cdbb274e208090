internal import Glibc
internal import Platform
internal import Synchronization

/// Where event loops leave submissions for the sequencer. Bounded in packets and bytes; the bytes
/// count from when they are received, so that half a body has its share.
package final class Inbox: Sendable {
    private let monitor = Monitor(State())
    private let bytesMax: Int
    /// Submissions left so far; looked at without the lock while the sequencer is about to sleep.
    private let arrivals = Atomic<UInt>(0)

    private struct State {
        var waiting: [Submission] = []
        var packets = 0
        /// Received and not yet answered for, waiting or not.
        var bytes = 0
        var isClosed = false
    }

    init(bytesMax: Int) { self.bytesMax = bytesMax }

    // MARK: Receiving

    /// The bytes that one request holds: received, and not answered yet. What is left of them is
    /// given back when the reservation ends, however its request ends.
    package struct Reservation: ~Copyable, Sendable {
        private let inbox: Inbox
        package private(set) var bytes = 0

        fileprivate init(_ inbox: Inbox) { self.inbox = inbox }

        deinit { inbox.release(bytes) }

        /// Takes room for bytes that arrive. False if there is none; then nothing was taken.
        package mutating func take(_ count: Int) -> Bool {
            guard inbox.reserve(count) else { return false }
            bytes += count
            return true
        }

        /// Counts bytes that have arrived already. False if they exceed the room: then the client
        /// should not be read any further.
        package mutating func add(_ count: Int) -> Bool {
            bytes += count
            return inbox.add(count)
        }

        /// Whether there is room to read on.
        package var hasRoom: Bool { inbox.hasRoom }

        /// Gives bytes back that were answered, or dropped.
        package mutating func give(back count: Int) {
            precondition(count <= bytes, "a request gives back only what it has taken")
            bytes -= count
            inbox.release(count)
        }
    }

    /// A reservation of nothing yet, for one request.
    func reservation() -> Reservation { Reservation(self) }

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

    private var hasRoom: Bool { monitor.withLock { $0.bytes <= bytesMax } }

    var bytesInFlight: Int { monitor.withLock { $0.bytes } }

    /// Leaves a submission. Nil where it was taken, and then it is completed; its bytes are
    /// reserved already.
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

    /// Everything that waits, up to a batch; waits for the first. Empty when closed and done.
    func take() -> [Submission] {
        awaitBriefly()
        return takeWaiting()
    }

    /// A lone worker sends its next packet as soon as it has a receipt: waking up for it costs more
    /// than looking around for as long as that takes. Whoever else can run does meanwhile.
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

    /// Refuses what comes from now on; what waits is still taken.
    func close() { monitor.change { $0.isClosed = true } }
}
