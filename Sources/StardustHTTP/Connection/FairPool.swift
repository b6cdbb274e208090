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

    private struct State {
        var queues: [ObjectIdentifier: [Job]] = [:]
        /// Parties with work, the next one first.
        var turns: [Budgets.Party] = []
        var running: [ObjectIdentifier: Int] = [:]
        var threads = 0

        /// The next job of a party that does not occupy enough threads already.
        mutating func next(atMost most: Int) -> (Budgets.Party, Job)? {
            let turn = turns.firstIndex { party in
                running[ObjectIdentifier(party), default: 0] < most || party.isPrivileged
            }
            guard let turn else { return nil }
            let party = turns.remove(at: turn)
            let key = ObjectIdentifier(party)
            let job = queues[key]!.removeFirst()
            if queues[key]!.isEmpty { queues[key] = nil } else { turns.append(party) }
            running[key, default: 0] += 1
            return (party, job)
        }

        mutating func ended(_ party: Budgets.Party) {
            let key = ObjectIdentifier(party)
            let left = running[key, default: 1] - 1
            running[key] = left > 0 ? left : nil
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
            let key = ObjectIdentifier(party)
            if state.queues[key] == nil { state.turns.append(party) }
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
        var party: Budgets.Party?
        while let (next, job) = next(after: party) {
            job()
            party = next
        }
    }

    /// The next job after one of `party`; a thread that gets none ends its run.
    private func next(after party: Budgets.Party?) -> (Budgets.Party, Job)? {
        state.withLock { state in
            if let party { state.ended(party) }
            if let next = state.next(atMost: countPerParty) { return next }
            state.threads -= 1
            return nil
        }
    }

    func shutDown() async throws { try await threads.shutdownGracefully() }
}
