/// Limits on emitting, each with its reason.
package enum EmissionLimits {
    /// Payload bytes of one NDJSON connection that may wait for the disk before reading pauses: two
    /// batches, so that one is parsed while the other is written.
    package static let streamBytesInFlight = 16 << 20
    /// Lines of one NDJSON connection that may be in progress.
    package static let streamLinesInFlight = 1 << 16
    /// Payload bytes handed to the sequencer together.
    package static let streamChunkBytes = 256 << 10
    /// Lines of one NDJSON body whose answers the client may leave untaken.
    package static let streamLinesKept = 1_000_000
    /// Kept answers read back from the ledger at once: a third of a megabyte.
    package static let linesReadBack = 1024
    /// A refusal the client has not taken counts as this many receipts, since it is that much
    /// larger.
    package static let problemWeight = 16
    /// How soon to retry a body that found no room: about the time a batch takes.
    package static let retryDelay: Duration = .milliseconds(5)

    package static func checkRelations() {
        precondition(streamChunkBytes <= streamBytesInFlight)
    }
}
