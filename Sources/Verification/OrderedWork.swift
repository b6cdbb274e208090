internal import LedgerStorage
internal import Platform

/// Runs numbered pieces of work on several threads. The results are taken in order, and at most two
/// per thread wait to be taken.
final class OrderedWork<Output: Sendable>: Sendable {
    private let monitor: Monitor<State>
    private let count: Int

    private struct State {
        var nextToStart = 0
        var nextToTake = 0
        var done: [Int: Output] = [:]
    }

    init(count: Int, threads: Int, _ work: @escaping @Sendable (Int) -> Output) {
        self.count = count
        monitor = Monitor(State())
        let (monitor, ahead) = (monitor, 2 * threads)
        for _ in 0..<min(threads, count) {
            startThread("verifier") {
                while let number = Self.claim(monitor, count, ahead) {
                    let output = work(number)
                    monitor.change { $0.done[number] = output }
                }
            }
        }
    }

    private static func claim(_ monitor: Monitor<State>, _ count: Int, _ ahead: Int) -> Int? {
        monitor.wait { state -> Int?? in
            if state.nextToStart == count { return .some(nil) }
            guard state.nextToStart < state.nextToTake + ahead else { return nil }
            defer { state.nextToStart += 1 }
            return state.nextToStart
        }
    }

    /// Waits for the next result. Must not be called more often than there are pieces.
    func next() -> Output {
        let number = monitor.withLock { $0.nextToTake }
        precondition(number < count)
        let output = monitor.wait { $0.done.removeValue(forKey: number) }
        monitor.change { $0.nextToTake += 1 }
        return output
    }

    /// Starts no further pieces, because nobody will take their results.
    func abandon() { monitor.change { $0.nextToStart = count } }
}
