/// Bounds of connections, each with its reason.
package enum ConnectionLimits {
    /// Header lines and their bytes: no client of ours needs a quarter of that.
    package static let headerBytes = 16 << 10
    package static let headerLines = 64
    /// Open connections, and those of one uid other than the daemon's: far above any engine, far
    /// below the descriptors that a process may have.
    package static let connections = 16_384
    package static let connectionsPerUser = 4_096
    /// From the first byte of a request to the end of its header.
    package static let headerTime: Duration = .seconds(5)
    /// A body may take this long at any speed; after that it must keep `bodyBytesPerSecond`.
    package static let bodyGraceTime: Duration = .seconds(5)
    package static let bodyBytesPerSecond = 1024
    /// Without a byte: between requests, and within an NDJSON body.
    package static let idleTime: Duration = .seconds(60)
    /// Without the client taking a byte of an answer, counted from the end of its body.
    package static let writeTime: Duration = .seconds(10)
    /// How often deadlines are checked.
    package static let deadlineInterval: Duration = .milliseconds(250)
    /// After an early error the rest of the body is read, so that the client sees the answer.
    package static let discardBytes = 8 << 20
    package static let discardTime: Duration = .seconds(2)
    /// How long a stopping daemon waits for requests that are under way.
    package static let drainTime: Duration = .seconds(3)
    /// Between looks whether all of them have ended.
    package static let drainInterval: Duration = .milliseconds(10)
    /// Answers that wait in a connection: above the first they are kept as positions, below the
    /// second they are written again.
    package static let answerBytesMax = 1 << 20
    package static let answerBytesMin = 256 << 10
    /// Pieces in which an answer is written: a client that takes one within `writeTime` is reading,
    /// if slowly.
    package static let writeBytes = 16 << 10
    /// An answer after which free memory is returned to the system: it took several times as much,
    /// in whatever thread's heap.
    package static let largeAnswerBytes = 8 << 20
    /// Between two checkpoints on one connection: there are at most ten new ones a second, and a
    /// reader in a loop must not take the processor from writers.
    package static let checkpointPace: Duration = .milliseconds(10)
    /// Threads of each pool. `disk` and `sql` do work that the processors bound; most of `waiting`
    /// sleep until the index has followed, so that a long query holds up no short one. There is one
    /// feed at a time, and one comparison of all rows with all packets.
    package static let diskThreads = 2
    package static let waitingThreads = 8
    package static let sqlThreads = 2
    package static let feedThreads = 1
    package static let driftThreads = 1

    package static func checkRelations() {
        precondition(connectionsPerUser <= connections)
        precondition(drainTime < .seconds(5))
        precondition(answerBytesMin <= answerBytesMax)
    }
}
