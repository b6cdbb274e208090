internal import CPlatform
internal import NIOPosix
internal import StardustCore
internal import Synchronization

/// Threads for blocking work. Where several parties have work, they take turns, so that nobody's
/// queue keeps others waiting for more than the work in hand.
final class FairPool: Sendable {
    typealias Job = @Sendable () -> Void

    private let threads: NIOThreadPool
    private let count: Int
    /// Threads that one user's party may occupy.
    private let countPerParty: Int
    /// Its threads give way to those that append and answer.
    private let isPatient: Bool
    private let state = Mutex(State())

    private typealias Key = ObjectIdentifier

    private struct State {
        var queues: [Key: [Job]] = [:]
        /// Parties with work, the next one first.
        var turns: [Key] = []
        var privileged: Set<Key> = []
        var running: [Key: Int] = [:]
        var threads = 0

        /// The next job of a party that does not occupy enough threads already.
        mutating func next(atMost most: Int) -> (Key, Job)? {
            let turn = turns.firstIndex {
                running[$0, default: 0] < most || privileged.contains($0)
            }
            guard let turn else {
                return nil
            }
            let party = turns.remove(at: turn)
            let job = queues[party]!.removeFirst()
            if queues[party]!.isEmpty { queues[party] = nil } else { turns.append(party) }
            running[party, default: 0] += 1
            return (party, job)
        }

        mutating func ended(_ party: Key) {
            let left = running[party, default: 1] - 1
            running[party] = left > 0 ? left : nil
        }
    }

    /// With `keepsOneFree`, one user's party never occupies all threads.
    init(threads count: Int, keepsOneFree: Bool, isPatient: Bool) {
        (self.count, self.isPatient) = (count, isPatient)
        countPerParty = keepsOneFree ? max(1, count - 1) : count
        threads = NIOThreadPool(numberOfThreads: count)
        threads.start()
    }

    func submit(_ party: Budgets.Party, _ job: @escaping Job) {
        let needsThread = state.withLock { state in
            let key = Key(party)
            if party.isPrivileged { state.privileged.insert(key) }
            if state.queues[key] == nil { state.turns.append(key) }
            state.queues[key, default: []].append(job)
            guard state.threads < count else { return false }
            state.threads += 1
            return true
        }
        guard needsThread else { return }
        threads.submit { [self] _ in work() }
    }

    private func work() {
        if isPatient { stardust_give_way() }
        var party: Key?
        while let (next, job) = next(after: party) {
            job()
            party = next
        }
    }

    /// The next job after one of `party`; a thread that gets none ends its run.
    private func next(after party: Key?) -> (Key, Job)? {
        state.withLock { state in
            if let party { state.ended(party) }
            if let next = state.next(atMost: countPerParty) { return next }
            state.threads -= 1
            return nil
        }
    }

    func shutDown() async throws { try await threads.shutdownGracefully() }
}
