internal import Glibc
internal import LedgerFormat
internal import Platform
internal import Synchronization

/// What checkpoints and proofs cost, and how much they slow down writers.
struct ProofBench {
    let socket: String

    // MARK: Proofs

    /// Median times in microseconds of proofs for randomly chosen packets and sizes.
    func proofTimes(
        _ packets: PacketSource, _ count: Int, times: Int
    ) throws(BenchFailure) -> (inclusion: Int, consistency: Int) {
        let connection = try LoadConnection(socket: socket)
        var generator = SystemRandomNumberGenerator()
        var (inclusion, consistency): ([Int], [Int]) = ([], [])
        for _ in 0..<times {
            let id = packets.id(Int.random(in: 0..<count, using: &generator))
            inclusion.append(try time("/v1/packets/\(id)/proof", connection))
            let from = Int.random(in: 1...count, using: &generator)
            consistency.append(
                try time("/v1/proofs/consistency?from=\(from)&to=\(count)", connection))
        }
        return (inclusion.sorted()[times / 2], consistency.sorted()[times / 2])
    }

    private func time(_ path: String, _ connection: LoadConnection) throws(BenchFailure) -> Int {
        let start = ContinuousClock.now
        let answer = try connection.get(path)
        guard answer.status == 200 else { throw BenchFailure("\(path): \(answer.text)") }
        return Int((.now - start) / .microseconds(1))
    }

    // MARK: Beside writers

    /// What a reader requests over and over.
    enum Loop: String {
        case checkpoint = "checkpoint"
        /// Goes up to the newest entry, so each answer needs a newly signed checkpoint.
        case newestProof = "the newest proof"
    }

    /// How much slower 64 connections are while a reader loops: the median over pairs of runs, one
    /// without the reader and one with it.
    func slowdown(
        _ loop: Loop, packets: Int, _ source: inout PacketSource
    ) throws(BenchFailure) -> (ratio: Double, askedPerSecond: Int) {
        var (ratios, asked): ([Double], Double) = ([], 0)
        for _ in 0..<5 {
            let alone = try Load.requests(
                socket: socket, connections: 64, packets: packets, &source)
            let looping = Looping(self, loop)
            let beside = try Load.requests(
                socket: socket, connections: 64, packets: packets, &source)
            asked += Double(looping.stop()) / (beside.wall / .seconds(1)) / 5
            ratios.append(alone.perSecond / beside.perSecond)
        }
        return (ratios.sorted()[2], Int(asked))
    }

    private func ask(_ loop: Loop, _ connection: LoadConnection) throws(BenchFailure) -> Bool {
        switch loop {
        case .checkpoint: return try connection.get("/checkpoint").status == 200
        case .newestProof:
            let status = try connection.get("/v1/status")
            guard let size = status.text.firstMatch(of: /"ledger_size":([0-9]+)/)?.1 else {
                return false
            }
            return try connection.get("/v1/proofs/consistency?from=1&to=\(size)").status == 200
        }
    }

    /// Sends one request after another on its own thread.
    private final class Looping: Sendable {
        private let isRunning = Atomic<Bool>(true)
        private let state = Monitor<(count: Int, hasEnded: Bool)>((0, false))

        init(_ bench: ProofBench, _ loop: Loop) { startThread("looping") { self.run(bench, loop) } }

        private func run(_ bench: ProofBench, _ loop: Loop) {
            // A connection that fails sends no more requests, which the count shows.
            if let connection = try? LoadConnection(socket: bench.socket) {
                while isRunning.load(ordering: .relaxed), (try? bench.ask(loop, connection)) == true
                {
                    state.withLock { $0.count += 1 }
                }
            }
            state.change { $0.hasEnded = true }
        }

        /// Stops the loop and returns the number of requests.
        func stop() -> Int {
            isRunning.store(false, ordering: .relaxed)
            return state.wait { $0.hasEnded ? $0.count : nil }
        }
    }

    // MARK: Hashing

    /// Seconds to hash a chain of a million entries, and the tree over them.
    static func hashing() -> (chain: Double, tree: Double) {
        let count = 1_000_000
        let entry = [UInt8](repeating: 7, count: Entry.byteCount)
        var start = ContinuousClock.now
        var last = Digest.zero
        for _ in 0..<count { last = Merkle.leaf(entry.span) }
        let chain = (ContinuousClock.now - start) / .seconds(1)
        start = .now
        var range = CompactRange()
        for _ in 0..<count { range.append(last) }
        precondition(range.root != last)
        return (chain, (.now - start) / .seconds(1))
    }
}
