internal import NIOCore
internal import Synchronization

/// Whether event loops turn: each notes the time, once a second.
package final class LoopPulse: Sendable {
    private let beats = Mutex<[Int: ContinuousClock.Instant]>([:])

    package init() {}

    /// Since when the slowest loop has not turned; nil if none is watched.
    package var oldest: ContinuousClock.Instant? { beats.withLock { $0.values.min() } }

    func watch(_ loops: EventLoopIterator) {
        for (number, loop) in loops.enumerated() {
            loop.scheduleRepeatedTask(initialDelay: .zero, delay: .seconds(1)) { _ in
                self.beats.withLock { $0[number] = .now }
            }
        }
    }
}
