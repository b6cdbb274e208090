internal import NIOPosix

/// Threads for blocking work, in separate pools, so that fast work never waits behind work that is
/// slower by nature.
struct ThreadPools: Sendable {
    private let pools: [Pool: NIOThreadPool]

    init() {
        var pools: [Pool: NIOThreadPool] = [:]
        for pool in Pool.allCases { pools[pool] = NIOThreadPool(numberOfThreads: pool.threads) }
        self.pools = pools
        for pool in pools.values { pool.start() }
    }

    subscript(_ pool: Pool) -> NIOThreadPool { pools[pool]! }

    func shutDown() async throws {
        for pool in pools.values { try await pool.shutdownGracefully() }
    }
}

/// Which threads do a piece of blocking work.
package enum Pool: Sendable, CaseIterable {
    /// Reads records and queries the index.
    case disk
    /// May wait for the index to catch up, for a checkpoint, or for SQLite.
    case waiting
    /// Runs clients' SQL, which may use up its whole time limit.
    case sql
    /// Applies the change feed.
    case feed
    /// Compares all rows with all packets.
    case drift

    fileprivate var threads: Int {
        switch self {
        case .disk: ConnectionLimits.diskThreads
        case .waiting: ConnectionLimits.waitingThreads
        case .sql: ConnectionLimits.sqlThreads
        case .feed: ConnectionLimits.feedThreads
        case .drift: ConnectionLimits.driftThreads
        }
    }
}
