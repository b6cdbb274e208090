internal import Platform
internal import UnixSignals

/// Calls `run`, which blocks, on its own thread, and `stop` when a signal asks it to end.
func withSignals<Answer: Sendable>(
    stop: @escaping @Sendable () -> Void, run: @escaping @Sendable () -> Answer
) async -> Answer {
    let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
    return await withTaskGroup(of: Void.self) { group in
        group.addTask { for await _ in signals { stop() } }
        defer { group.cancelAll() }
        return await withCheckedContinuation { continuation in
            startThread("work") { continuation.resume(returning: run()) }
        }
    }
}
