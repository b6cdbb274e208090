/// Limits on emitting, each with its reason.
package enum EmissionLimits {
    /// Payload bytes of one NDJSON connection that may wait for the disk before reading pauses: two
    /// batches, so that one is parsed while the other is written.
    package static let streamBytesInFlight = 16 << 20
    /// Lines of one NDJSON connection that may be in progress.
    package static let streamLinesInFlight = 1 << 16
    /// Payload bytes handed to the sequencer together.
    package static let streamChunkBytes = 256 << 10
    /// Kept answers read back from the ledger at once: a third of a megabyte.
    package static let linesReadBack = 1024
    /// Lines handed over together.
    package static let streamChunkLines = 1024
    /// The same once most of them were refused: a refusal takes ten times as long as a packet, and
    /// the loop serves others in between.
    package static let streamChunkLinesRefused = 64
    /// Memory of a line from when it is read until it is answered: a receipt, or a refusal.
    package static let receiptBytes = 200
    package static let problemBytes = 800
    /// Memory of an answer that the client has not taken: a receipt's position, or beside a
    /// refusal's text.
    package static let receiptBytesKept = 24
    package static let problemBytesKept = 64
    /// How soon to retry a body that found no room: about the time a batch takes.
    package static let retryDelay: Duration = .milliseconds(5)

    package static func checkRelations() {
        precondition(streamChunkBytes <= streamBytesInFlight)
    }
}
