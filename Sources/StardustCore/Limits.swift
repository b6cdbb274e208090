/// Bounds of the running ledger, each with its reason.
package enum LedgerLimits {
    /// Payload bytes in memory that are not yet on disk, including partly received bodies.
    package static let bytesInFlight = 64 << 20
    /// Packets waiting for the sequencer: bounds the per-packet overhead of small packets.
    package static let packetsInFlight = 1 << 18
    /// Payload bytes in one batch: about 10 ms of writing, so that no client waits long for others.
    package static let batchBytes = 8 << 20
    /// How far the index may lag before appends wait for it: about two seconds of indexing.
    package static let indexLag = 200_000
    /// Packets indexed in one step, after which readers see them and the state is checked again.
    package static let indexStep = 1 << 12
    /// How long the sequencer polls for the next packet before it sleeps: one worker's round trip.
    package static let watchTime: Duration = .microseconds(150)
    /// Payload bytes held in memory for the index. Any excess is read back from the segments.
    package static let indexFreshBytes = 32 << 20
    /// Full buffers that may wait to be written before indexing pauses: 40 MiB each.
    package static let indexBuffersWaiting = 1
    /// How often a rebuild reports its progress.
    package static let progressInterval: Duration = .seconds(1)
    /// Packets worth waking the index's thread for, and how long fewer wait while no reader asks.
    package static let indexPacketsCollected = 1 << 11
    package static let indexDelay: Duration = .milliseconds(50)
    /// How long a query may take, including the wait for the index.
    package static let queryTime: Duration = .seconds(5)
    /// Memory for parsed packets that chains read recently: roughly ten thousand of them.
    package static let packetCacheBytes = 64 << 20

    /// Parsed packets, and their payload bytes, that one chain walk keeps: enough for most chains.
    package static let chainPacketsKept = 10_000
    package static let chainBytesKept = 64 << 20
    /// Positions that such a walk takes from one list at a time.
    package static let chainListPiece = 4096

    package static func checkRelations() {
        precondition(batchBytes <= bytesInFlight)
        precondition(indexPacketsCollected <= indexStep)
        precondition(indexStep <= indexLag)
    }
}
