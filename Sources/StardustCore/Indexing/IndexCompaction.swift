internal import LedgerIndex
internal import LedgerStorage
internal import Platform

/// Writes full buffers and merges runs behind the follower, on a thread for each: a long merge must
/// not keep buffers in memory.
final class IndexCompaction: Sendable {
    private let index: TermIndex
    private let monitor = Monitor(State())

    private struct State {
        /// Counted up when there may be something to do.
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
            precondition(state.threads == 0, "it is started once")
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

    /// Ends after the buffer in hand; a merge in hand is given up.
    func stop() {
        monitor.change { $0.isStopping = true }
        monitor.wait { $0.threads == 0 ? () : nil }
    }

    /// Why it ended by itself, if it did.
    func check() throws(IndexFailure) {
        if let failure = monitor.withLock({ $0.failure }) { throw failure }
    }

    /// Says that there is a buffer to write. Waits while too many are.
    func wake() throws(IndexFailure) {
        monitor.change { $0.wakeUps += 1 }
        monitor.wait { state in
            index.waitingBuffers <= LedgerLimits.indexBuffersWaiting || state.failure != nil
                ? () : nil
        }
        try check()
    }

    /// Takes steps while there are any, then waits to be woken.
    private func run(_ step: () throws(IndexFailure) -> Bool) {
        var seen = -1
        while let wakeUps = monitor.wait({ state -> Int?? in
            if state.isStopping || state.failure != nil { return .some(nil) }
            return state.wakeUps == seen ? nil : .some(state.wakeUps)
        }) {
            seen = wakeUps
            do throws(IndexFailure) {
                while !monitor.withLock({ $0.isStopping }), try step() {
                    // A buffer that was written may make a merge due, and room for the next.
                    monitor.change { $0.wakeUps += 1 }
                }
            } catch { monitor.change { $0.failure = $0.failure ?? error } }
        }
        monitor.change { $0.threads -= 1 }
    }
}
