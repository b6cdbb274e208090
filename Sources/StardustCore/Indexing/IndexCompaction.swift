internal import LedgerIndex
internal import LedgerStorage
internal import Platform

/// Writes full buffers and merges runs in the background, each on its own thread, so that a long
/// merge does not keep buffers in memory.
final class IndexCompaction: Sendable {
    private let index: TermIndex
    private let monitor = Monitor(State())

    private struct State {
        /// Incremented when there may be something to do.
        var wakeUps = 0
        var threads = 0
        var isStopping = false
        var failure: IndexFailure?
    }

    init(_ index: TermIndex) {
        self.index = index
        start()
    }

    func start() {
        monitor.change { state in
            precondition(state.threads == 0, "it is already running")
            state = State(threads: 2)
        }
        startThread("index-buffers") {
            self.run { () throws(IndexFailure) in try self.index.writeWaitingBuffer() }
        }
        startThread("index-merges") {
            self.run { () throws(IndexFailure) in
                try self.index.merge { self.monitor.withLock { $0.isStopping } }
            }
        }
    }

    /// Finishes the current buffer, abandons the current merge, and waits for both threads to end.
    func stop() {
        monitor.change { $0.isStopping = true }
        monitor.wait { $0.threads == 0 ? () : nil }
    }

    /// Throws the failure that ended the threads, if any.
    func check() throws(IndexFailure) {
        if let failure = monitor.withLock({ $0.failure }) { throw failure }
    }

    /// Announces a buffer to write. Blocks while too many are waiting.
    func wake() throws(IndexFailure) {
        monitor.change { $0.wakeUps += 1 }
        monitor.wait { state in
            index.waitingBuffers <= LedgerLimits.indexBuffersWaiting || state.failure != nil
                ? () : nil
        }
        try check()
    }

    /// Runs `step` until it has nothing left to do, then waits to be woken.
    private func run(_ step: () throws(IndexFailure) -> Bool) {
        var seen = -1
        while let wakeUps = monitor.wait({ state -> Int?? in
            if state.isStopping || state.failure != nil { return .some(nil) }
            return state.wakeUps == seen ? nil : .some(state.wakeUps)
        }) {
            seen = wakeUps
            do throws(IndexFailure) {
                while !monitor.withLock({ $0.isStopping }), try step() {
                    // A written buffer makes room for the next one and may make a merge due.
                    monitor.change { $0.wakeUps += 1 }
                }
            } catch { monitor.change { $0.failure = $0.failure ?? error } }
        }
        monitor.change { $0.threads -= 1 }
    }
}
