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
    /// How long a stopping daemon waits for the next segment's preparation to end.
    package static let preparerPatience: Duration = .seconds(1)
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

    /// With an archive, a segment that has entries is sealed after this at the latest.
    package static let segmentAge: Duration = .seconds(86_400)
    /// How long sealing waits after it failed.
    static let sealingPause: Duration = .seconds(60)
    /// How often it is looked whether a segment may leave the disk.
    static let leaverPause: Duration = .seconds(5)
    /// Blocks of the archive's cache whose files stay open: 1 GiB, and a fraction of a process's limit
    /// on descriptors.
    package static let blocksOpen = 4096

    /// How far an entry's time of receipt may be ahead of the one before: no engine rests for a year.
    package static let clockStepMax: Duration = .seconds(366 * 86_400)
    /// Open connections: far more than any engine needs, far fewer than a process may have.
    package static let connections = 16_384

    /// What clients may take, with the reasons.
    static func terms(
        of resource: Budgets.Resource, _ settings: RunningLedger.Settings
    ) -> Budgets.Terms {
        switch resource {
        // An administrator can always look in. Who may do nothing needs no more than to learn that.
        case .connections:
            Budgets.Terms(
                total: settings.connections, reserve: min(16, settings.connections / 4),
                floor: min(32, settings.connections / 4),
                strangers: min(64, settings.connections / 4))
        // Every worker can always send one packet of the largest size.
        case .bodyBytes:
            Budgets.Terms(
                total: settings.bytesInFlight,
                reserve: min(4 * settings.packetBytes, settings.bytesInFlight / 8),
                floor: settings.packetBytes)
        // Together with bodies and caches this stays below half a gigabyte.
        case .answerBytes: Budgets.Terms(total: 128 << 20, reserve: 16 << 20, floor: 2 << 20)
        // Parties take turns, so a long queue of one keeps nobody else waiting.
        case .jobs: Budgets.Terms(total: 512, reserve: 16, floor: 16)
        // Each looks at every batch that arrives.
        case .followers: Budgets.Terms(total: 256, reserve: 8, floor: 8)
        }
    }

    package static func checkRelations() {
        precondition(batchBytes <= bytesInFlight)
        precondition(indexPacketsCollected <= indexStep)
        precondition(indexStep <= indexLag)
    }
}
