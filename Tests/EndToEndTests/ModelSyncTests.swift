import DaemonTestSupport
import Foundation
import PipelineWorkload
import TestSupport
import Testing

/// The read model against the PostgreSQL that it follows.
@Suite(.needs(PostgresServer.obstacle == nil, "PostgreSQL 15 is not installed"))
struct ModelSyncTests {
    @Test
    func `killed at any moment, the read model is what PostgreSQL was at a border of transactions`()
        throws
    {
        try Soak.seeds("kills of the sync", 1, soak: 8) { try Self.followsThroughKills(seed: $0) }
    }

    private static let bordersMin = 25

    private static func followsThroughKills(seed: UInt64) throws -> Bool {
        let following = try Following()
        let server = following.server
        try server.psql("CREATE DATABASE reference")
        try server.makeEngine("reference")
        var load = ModelLoad(seed: seed + 16)
        var transactions = [load.foundation(800)]
        var rows = Self.workload()[...]
        while transactions.count < 3000 {
            transactions.append(load.transaction())
            if transactions.count > 300, let statements = rows.popFirst() {
                transactions.append(load.transaction(of: statements))
            }
        }
        // A first part stands before there is a slot, the others come while it is followed.
        let first = transactions.count / 3
        try server.psql(transactions[..<first].joined(separator: "\n"))
        var reference = Reference(server, transactions)
        let writer = try Writer(server, Array(transactions[first...]))
        var generator = SeededGenerator(seed: seed + 4)
        var (kills, borders) = (0, Set<String>())
        // The writer keeps ahead by a few borders. On a busy machine some kills find no progress; then
        // there are more of them, and later ones.
        while kills < 55 || (borders.count <= Self.bordersMin && kills < 400) {
            writer.write(share: borders.count + 2, of: Self.bordersMin + 3)
            let sync = try Background(following.arguments())
            // Some end within the copying, the others in the stream.
            usleep(
                UInt32.random(
                    in: kills < 8
                        ? 20_000...120_000
                        : 100_000...(700_000 + 10_000 * UInt32(max(0, kills - 55))),
                    using: &generator))
            sync.kill()
            kills += 1
            if kills == 20 || kills == 40 {
                writer.isPaused = true
                try server.restart(crashes: kills == 40)
                writer.isPaused = false
            }
            guard FileManager.default.fileExists(atPath: following.model) else { continue }
            let border = try following.query(ModelLoad.marker).first ?? ""
            // Where it has not come further, there is nothing new to compare; nor before the first
            // border, at which the reference begins.
            guard !border.isEmpty, borders.insert(border).inserted else { continue }
            try reference.advance(to: border)
            let comparison = try following.compare("reference")
            #expect(
                comparison.isEqual, "after \(kills) kills at \(border): \(comparison.differences)")
            if !comparison.differences.isEmpty { break }
        }
        try writer.finish()
        #expect(borders.count > Self.bordersMin, "only \(borders.count) borders")
        let end = try following.catchUp()
        #expect(end.status == 0, "\(end.error)")
        let comparison = try following.compare()
        #expect(comparison.isEqualAndFull, "\(comparison)")
        return comparison.isEqualAndFull
    }

    /// The pipeline's own rows, some in a transaction.
    static func workload() -> [ArraySlice<String>] {
        let statements = Pipeline(creators: 8).changes.map(\.statement)
        return stride(from: 0, to: statements.count, by: 5).map {
            statements[$0..<min($0 + 5, statements.count)]
        }
    }

    /// The same transactions once more in another database, only as far as is asked.
    struct Reference {
        private let server: PostgresServer
        private let transactions: [String]
        private var applied = 0
        private var border = ""

        init(_ server: PostgresServer, _ transactions: [String]) {
            (self.server, self.transactions) = (server, transactions)
        }

        /// Applies what stands up to the transaction that left this marker.
        mutating func advance(to marker: String) throws {
            guard marker != border else { return }
            let end = try #require(
                transactions[applied...].firstIndex {
                    $0.contains("'INFO', '\(marker)'") && $0.hasSuffix("COMMIT;")
                }, "no transaction \(marker) behind \(border)")
            try server.psql(
                transactions[applied...end].joined(separator: "\n"), database: "reference")
            (applied, border) = (end + 1, marker)
        }
    }

    /// Writes transactions at the source, each by itself, over some time.
    final class Writer: @unchecked Sendable {
        // Unchecked: what both threads touch is behind the lock.
        private let lock = NSCondition()
        private let batches: Int
        private var failure: (any Error)?
        private var isDone = false
        private var holds = false
        private var wanted = 0

        /// Waits for the transactions in hand.
        var isPaused: Bool {
            get { lock.withLock { holds } }
            set {
                lock.withLock { holds = newValue }
                if newValue { usleep(500_000) }
            }
        }

        private static let together = 8

        /// Lets it write this share of all batches.
        func write(share: Int, of whole: Int) {
            lock.withLock { wanted = max(wanted, batches * min(share, whole) / whole) }
        }

        private func isWanted(_ batch: Int) -> Bool { lock.withLock { !holds && batch < wanted } }

        init(_ server: PostgresServer, _ transactions: [String]) throws {
            batches = (transactions.count + Self.together - 1) / Self.together
            Thread.detachNewThread { [self] in
                do {
                    for batch in 0..<batches {
                        while !isWanted(batch) { usleep(10_000) }
                        let start = batch * Self.together
                        try server.psql(
                            transactions[start..<min(start + Self.together, transactions.count)]
                                .joined(separator: "\n"))
                        usleep(120_000)
                    }
                } catch { lock.withLock { failure = error } }
                lock.withLock {
                    isDone = true
                    lock.broadcast()
                }
            }
        }

        func finish() throws {
            write(share: 1, of: 1)
            try lock.withLock {
                while !isDone { lock.wait() }
                if let failure { throw failure }
            }
        }
    }
}
