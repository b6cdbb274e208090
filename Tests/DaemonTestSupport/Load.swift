import Foundation
import Synchronization
import TestSupport

/// Emits packets one after the other on several connections and remembers each receipt.
package final class Load: Sendable {
    private let state = Mutex<(acknowledged: [String: Int], next: Int, doubled: Int)>(
        ([:], 0, 0))
    private let isRunning = Atomic<Bool>(true)
    private let group = DispatchGroup()

    package var acknowledged: [String: Int] { state.withLock { $0.acknowledged } }
    package var doubled: Int { state.withLock { $0.doubled } }

    package init() {}

    package func start(_ socket: String, connections: Int) {
        isRunning.store(true, ordering: .relaxed)
        for _ in 0..<connections {
            group.enter()
            Thread.detachNewThread {
                self.emit(socket)
                self.group.leave()
            }
        }
    }

    private func emit(_ socket: String) {
        guard let client = try? HTTPClient(socket) else { return }
        while isRunning.load(ordering: .relaxed) {
            let number = state.withLock { state in
                state.next += 1
                return state.next
            }
            let (id, bytes) = Sample.numbered(number)
            // A daemon that is killed answers nothing; the packet is then in doubt.
            guard let answer = try? client.emit(bytes), answer.status == 201 else { return }
            let position = answer.json["position"] as! Int
            state.withLock { state in
                if state.acknowledged.updateValue(position, forKey: id) != nil {
                    state.doubled += 1
                }
            }
        }
    }

    package func stop() {
        isRunning.store(false, ordering: .relaxed)
        group.wait()
    }
}
