internal import LedgerIndex

/// Writes full buffers and merges runs behind the follower, on a thread of its own.
final class IndexCompaction: Sendable {
    private let index: TermIndex
    private let monitor = Monitor(State())

    private struct State {
        var isWanted = false
        var isRunning = false
        var isStopping = false
        var failure: IndexFailure?
    }

    init(_ index: TermIndex) {
        self.index = index
        start()
    }

    func start() {
        monitor.change { state in
            precondition(!state.isRunning, "one thread compacts")
            state = State(isWanted: true, isRunning: true)
        }
        startThread { self.run() }
    }

    /// Ends after the step in hand.
    func stop() {
        monitor.change { $0.isStopping = true }
        monitor.wait { $0.isRunning ? nil : () }
    }

    /// Why it ended by itself, if it did.
    func check() throws(IndexFailure) {
        if let failure = monitor.withLock({ $0.failure }) { throw failure }
    }

    /// Says that there is a buffer to write. Waits while too many are.
    func wake() throws(IndexFailure) {
        monitor.change { $0.isWanted = true }
        monitor.wait { state in
            index.waitingBuffers <= LedgerLimits.indexBuffersWaiting || state.failure != nil
                ? () : nil
        }
        try check()
    }

    private func run() {
        while monitor.wait({ state -> Bool? in
            if state.isStopping { return false }
            guard state.isWanted else { return nil }
            state.isWanted = false
            return true
        }) {
            do throws(IndexFailure) {
                while try step() {}
            } catch {
                monitor.change { $0.failure = error }
                break
            }
        }
        monitor.change { $0.isRunning = false }
    }

    /// One buffer, else one merge; nothing more when it is to stop.
    private func step() throws(IndexFailure) -> Bool {
        if monitor.withLock({ $0.isStopping }) { return false }
        if try index.writeWaitingBuffer() {
            monitor.change { _ in }
            return true
        }
        return try index.merge()
    }
}
