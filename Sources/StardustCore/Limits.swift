/// Bounds of the running ledger, each with its reason.
package enum LedgerLimits {
    /// Payload bytes in memory on their way to the disk, half-received bodies included.
    package static let bytesInFlight = 64 << 20
    /// Packets waiting for the sequencer: bounds what small packets cost beside their bytes.
    package static let packetsInFlight = 1 << 18
    /// Payload bytes of one batch: about 10 ms of writing, so that nobody waits long behind others.
    package static let batchBytes = 8 << 20
    /// How far the index may be behind before appends wait for it: about two seconds of indexing.
    package static let indexLag = 200_000
    /// Packets that are indexed before readers see them, and the rest of the state is looked at.
    package static let indexStep = 1 << 12
    /// How long the sequencer looks for the next packet before it sleeps: a round trip of a worker.
    package static let watchTime: Duration = .microseconds(150)
    /// Payload bytes that wait for the index; beyond it they are read back from the segments.
    package static let indexFreshBytes = 32 << 20
    /// Full buffers that wait to be written before indexing waits for them: 40 MiB each.
    package static let indexBuffersWaiting = 1
    /// How often somebody is told how far a rebuild is.
    package static let progressInterval: Duration = .seconds(1)
    /// Packets that are worth waking up for, and how long fewer may wait for more while nobody asks.
    package static let indexPacketsCollected = 1 << 11
    package static let indexDelay: Duration = .milliseconds(50)
    /// How long a look-up may take, waiting for the index included.
    package static let queryTime: Duration = .seconds(5)
    /// Memory for parsed packets that chains read lately: some ten thousand.
    package static let packetCacheBytes = 64 << 20

    /// Packets, and their payload bytes, that one walk over chains keeps parsed: most chains whole.
    package static let chainPacketsKept = 10_000
    package static let chainBytesKept = 64 << 20
    /// Positions of one list that such a walk takes at a time.
    package static let chainListPiece = 4096

    package static func checkRelations() {
        precondition(batchBytes <= bytesInFlight)
        precondition(indexPacketsCollected <= indexStep)
        precondition(indexStep <= indexLag)
    }
}
