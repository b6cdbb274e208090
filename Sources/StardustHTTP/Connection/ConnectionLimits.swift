internal import Platform

/// Limits on connections, each with its reason.
package enum ConnectionLimits {
    /// Header lines and their bytes: none of our clients needs a quarter of this.
    package static let headerBytes = 16 << 10
    package static let headerLines = 64
    /// Longest time from the first byte of a request to the end of its header.
    package static let headerTime: Duration = .seconds(5)
    /// Of a body at least this much must arrive in each period.
    package static let bodyPeriod: Duration = .seconds(5)
    package static let bodyBytesPerPeriod = 5 * 1024
    /// Longest time without receiving a byte, between requests and within an NDJSON body.
    package static let idleTime: Duration = .seconds(60)
    /// Longest time in which the client takes no byte of an answer, counted from the end of the
    /// request's body.
    package static let writeTime: Duration = .seconds(10)
    /// How often deadlines are checked.
    package static let deadlineInterval: Duration = .milliseconds(250)
    /// After an early error, this much of the body is still read, so that the client sees the
    /// answer.
    package static let discardBytes = 8 << 20
    package static let discardTime: Duration = .seconds(2)
    /// What each connection of a user adds to the pause before more is read and dropped.
    package static let discardPause: Duration = .milliseconds(1)
    /// How often those who may do nothing are told so, by something that costs more than a refusal.
    static let strangersPace = Pace(burst: 64, perSecond: 100)
    /// How long the acceptor rests if no descriptor is free.
    package static let acceptPauseMicroseconds: UInt32 = 100_000
    /// How often the daemon looks whether its socket is still there.
    package static let socketInterval: Duration = .seconds(5)
    /// How long a stopping daemon waits for current requests.
    package static let drainTime: Duration = .seconds(3)
    /// How long it then waits for threads that still work.
    package static let poolPatience: Duration = .seconds(1)
    /// How long after a query's time its answer may still come before the client is told: what is
    /// found by then must still be written out, on a thread that gives way to others.
    package static let lateness: Duration = .seconds(2)
    /// How often it checks whether they have all ended.
    package static let drainInterval: Duration = .milliseconds(10)
    /// Unsent answer bytes on a connection. Above the first, further answers are kept as positions;
    /// below the second, writing resumes.
    package static let answerBytesMax = 1 << 20
    package static let answerBytesMin = 256 << 10
    /// Size of the pieces an answer is written in. A client that takes one within `writeTime` is
    /// reading, however slowly.
    package static let writeBytes = 16 << 10
    /// Bytes read from a connection before others get their turn: most of a chunk of lines.
    package static let readBytes = 128 << 10
    /// How soon to look whether there is room for more lines of an answer.
    package static let roomPause: Duration = .milliseconds(50)
    /// An answer smaller than this fits in the socket's own buffer, and is not counted.
    package static let smallAnswerBytes = 64 << 10
    /// After an answer larger than this, free memory is returned to the system. Making the answer
    /// took several times its size, in the heap of whichever thread made it.
    package static let largeAnswerBytes = 8 << 20
    /// Shortest time between two checkpoints on one connection. There are at most ten new ones a
    /// second, and a client reading in a loop must not take the processor from writers.
    package static let checkpointPace: Duration = .milliseconds(10)
    /// Threads in each pool. Work on `disk` and `sql` is bound by the processors. Some `waiting`
    /// threads sleep until the index has caught up; there are enough that a long query does not
    /// hold up a short one, and few enough that what they hold in memory stays bounded. Only one
    /// chain, one feed, and one comparison of all rows with all packets is worked on at a time.
    package static let diskThreads = 2
    package static let waitingThreads = 4
    package static let chainThreads = 1
    package static let sqlThreads = 2
    package static let feedThreads = 1
    package static let driftThreads = 1
    /// Each waits for one answer of the archive at a time.
    package static let archiveThreads = 4

    package static func checkRelations() {
        precondition(drainTime + poolPatience < .seconds(5))
        precondition(answerBytesMin <= answerBytesMax)
    }
}
