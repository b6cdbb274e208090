/// Bounds of emitting, each with its reason.
package enum EmissionLimits {
    /// Payload bytes of one NDJSON connection that wait for the disk before it is read on: two
    /// batches, so that one is parsed while the other is written.
    package static let streamBytesInFlight = 16 << 20
    /// Lines of one NDJSON connection that are being worked on.
    package static let streamLinesInFlight = 1 << 16
    /// Payload bytes that are handed to the sequencer together.
    package static let streamChunkBytes = 256 << 10
    /// Lines of one NDJSON body whose answers the client has not taken.
    package static let streamLinesKept = 1_000_000
    /// Kept answers that are read back from the ledger at once: a third of a megabyte.
    package static let linesReadBack = 1024
    /// A refusal that the client has not taken counts as this many receipts: it is that much larger.
    package static let problemWeight = 16
    /// How soon a body is read on that found no room: about a batch.
    package static let retryDelay: Duration = .milliseconds(5)

    package static func checkRelations() {
        precondition(streamChunkBytes <= streamBytesInFlight)
    }
}
