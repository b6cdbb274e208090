/// Bounds of connections, each with its reason.
package enum SocketLimits {
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
    /// How often deadlines are looked at.
    package static let deadlineInterval: Duration = .milliseconds(250)
    /// After an early error the rest of the body is read, so that the client sees the answer.
    package static let discardBytes = 8 << 20
    package static let discardTime: Duration = .seconds(2)
    /// Payload bytes of one NDJSON connection that wait for the disk before it is read on: two
    /// batches, so that one is parsed while the other is written.
    package static let streamBytesInFlight = 16 << 20
    /// Answers that wait in a connection: above the first they are kept as positions, below the
    /// second they are written again.
    package static let answerBytesMax = 1 << 20
    package static let answerBytesMin = 256 << 10
    /// Lines of one NDJSON body whose answers the client has not taken.
    package static let streamLinesKept = 1_000_000
    /// Payload bytes that are handed to the sequencer together.
    package static let streamChunkBytes = 256 << 10
    /// How long a stopping daemon waits for requests that are under way.
    package static let drainTime: Duration = .seconds(3)
    /// Pieces in which an answer is written: whoever takes one within `writeTime` is reading, if slowly.
    package static let writeBytes = 16 << 10
    /// Lines of one NDJSON connection that are being worked on.
    package static let streamLinesInFlight = 1 << 16
    /// A refusal that the client has not taken counts as this many receipts: it is that much larger.
    package static let problemWeight = 16
    /// Payload bytes after which a page of a list ends.
    package static let pageBytes = 4 << 20
    /// How long an answer may take where others wait for the same thread: a few hundred packets.
    package static let quickTime: Duration = .milliseconds(2)
    /// Bytes of packets, or of a document made of them, in such an answer.
    package static let quickBytes = 512 << 10
    /// An answer after which free memory goes back to the system: it took some times as much, in
    /// whatever thread's heap.
    package static let largeAnswerBytes = 8 << 20
    /// Packets that such an answer may ask for: the usual page.
    package static let quickPackets = 100
    /// How often a follower hears that nothing came.
    package static let heartbeatInterval: Duration = .seconds(15)
    /// Packets and payload bytes that are read for a follower before it has taken them.
    package static let followPackets = 256
    package static let followBytes = 1 << 20
    /// How long one look for a follower's packets may keep a reader: others wait for it.
    package static let followTime: Duration = .milliseconds(200)
    /// How long a witness waits for a whole request: a few kilobytes.
    package static let witnessRequestTime: Duration = .seconds(15)
    /// Between two checkpoints on one connection: they come ten times a second at most.
    package static let checkpointPace: Duration = .milliseconds(10)
    /// Rows of one answer to SQL.
    package static let sqlRows = 10_000
    /// Bytes of a question in SQL, its parameters included.
    package static let sqlBytes = 1 << 20
    /// How long rows and packets may be compared.
    package static let driftTime: Duration = .seconds(300)
    /// Bytes of one row change.
    package static let changeBytes = 16 << 20
    /// Packets of one page of a list, and unless said otherwise.
    package static let pageMax = 1_000
    package static let pageDefault = 100

    package static func checkRelations() {
        precondition(streamChunkBytes <= streamBytesInFlight)
        precondition(connectionsPerUser <= connections)
        precondition(drainTime < .seconds(5))
        precondition(pageDefault <= pageMax)
        precondition(quickPackets <= pageMax)
    }
}
