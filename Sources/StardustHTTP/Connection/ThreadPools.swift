/// Threads for blocking work, in separate pools, so that fast work never waits behind work that is
/// slower by nature.
struct ThreadPools: Sendable {
    private let pools: [Pool: FairPool]

    init() {
        var pools: [Pool: FairPool] = [:]
        for pool in Pool.allCases {
            pools[pool] = FairPool(
                threads: pool.threads, keepsOneFree: pool.isPatient, isPatient: pool.isPatient)
        }
        self.pools = pools
    }

    subscript(_ pool: Pool) -> FairPool { pools[pool]! }

    func shutDown() async throws {
        for pool in pools.values { try await pool.shutDown() }
    }
}

/// Which threads do a piece of blocking work.
package enum Pool: Sendable, CaseIterable {
    /// Reads records and queries the index.
    case disk
    /// May wait for the index to catch up, for a checkpoint, or for SQLite.
    case waiting
    /// Walks chains, whose memory is bounded one by one.
    case chains
    /// Runs clients' SQL, which may use up its whole time limit.
    case sql
    /// Applies the change feed.
    case feed
    /// Compares all rows with all packets.
    case drift
    /// Answers what needs bytes from the archive, however slow that is.
    case archive

    fileprivate var threads: Int {
        switch self {
        case .disk: ConnectionLimits.diskThreads
        case .waiting: ConnectionLimits.waitingThreads
        case .chains: ConnectionLimits.chainThreads
        case .sql: ConnectionLimits.sqlThreads
        case .feed: ConnectionLimits.feedThreads
        case .drift: ConnectionLimits.driftThreads
        case .archive: ConnectionLimits.archiveThreads
        }
    }

    /// Whether its work gives way to appending. Writers wait for `disk`, and the feed for `feed`.
    fileprivate var isPatient: Bool { self != .disk && self != .feed }
}
