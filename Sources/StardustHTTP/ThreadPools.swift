internal import NIOPosix

/// Threads for what blocks, apart from each other, so that nobody waits for what is slower by nature.
struct ThreadPools: Sendable {
    /// For reading records and asking the index.
    let quick = NIOThreadPool(numberOfThreads: 2)
    /// For what may wait until the index has followed. More than processors, so that a long question
    /// holds up no short one.
    let waiting = NIOThreadPool(numberOfThreads: 8)
    /// For SQL of others, which may use its whole time.
    let sql = NIOThreadPool(numberOfThreads: 2)
    /// For the change feed, of which there is one at a time.
    let feed = NIOThreadPool(numberOfThreads: 1)
    /// For comparing all rows with all packets.
    let drift = NIOThreadPool(numberOfThreads: 1)

    private var all: [NIOThreadPool] { [quick, waiting, sql, feed, drift] }

    init() { for pool in all { pool.start() } }

    func shutDown() async throws {
        for pool in all { try await pool.shutdownGracefully() }
    }
}
