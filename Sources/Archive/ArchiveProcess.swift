internal import LedgerFormat
internal import LedgerStorage
package import Logging
package import ObjectStore
internal import Platform
internal import Synchronization

/// Ships a ledger to its stores as it grows, each store on two threads of its own: one for parts, one
/// for whole segments. It keeps no state: where to go on, the stores say.
package final class ArchiveProcess: Sendable {
    private let source: any LedgerSource
    private let stores: [any ObjectStore]
    private let settings: Settings
    private let logger: Logger
    private let probe: Probe
    private let state: Monitor<State>

    package struct Settings: Hashable, Sendable {
        package var shipBytes = ArchiveLimits.shipBytes
        package var shipTime = ArchiveLimits.shipTime
        /// The file that says when a drill last passed; nil if nobody keeps one.
        package var drill: String?

        package init() {}
    }

    private struct State {
        var isStopping = false
        var running = 0
        /// Another machine's epoch: what there is of this writer is shipped, and nothing more comes.
        var successor: ArchivedEpochs.Epoch?
        /// The first failure that ends everything.
        var failure: ArchiveFailure?
        /// Those that keep their promises.
        var probed: Set<String> = []
        /// Since when each store lacks bytes that are durable, and how many.
        var lag: [String: (since: ContinuousClock.Instant?, bytes: Int)] = [:]
    }

    /// Says whether a store keeps the promises that an archive rests on.
    package typealias Probe =
        @Sendable (any ObjectStore, Patience) throws(StoreFailure) -> Bool

    /// Each store is probed once, before anything is shipped to it.
    package init(
        _ source: any LedgerSource, _ stores: [any ObjectStore], _ settings: Settings,
        logger: Logger, probe: @escaping Probe
    ) {
        (self.source, self.stores, self.settings) = (source, stores, settings)
        self.probe = probe
        self.logger = logger
        state = Monitor(State())
    }

    /// Ships until `stop`, or until another writer is found. Blocks.
    package func run() -> ArchiveFailure? {
        for store in stores {
            state.withLock { state in
                state.running += 2
                // Until something is shipped, all is late since now.
                state.lag[store.name] = (.now, 0)
            }
            startThread("parts") { self.end(with: self.repeating(store, self.shipParts)) }
            startThread("segments") { self.end(with: self.repeating(store, self.shipSegments)) }
        }
        return state.wait { $0.running == 0 ? $0 : nil }.failure
    }

    /// Ends every request that is under way.
    package func stop() { state.change { $0.isStopping = true } }

    private var isStopping: Bool { state.withLock { $0.isStopping } }

    private func end(with failure: ArchiveFailure?) {
        state.change { state in
            state.running -= 1
            guard let failure else { return }
            state.failure = state.failure ?? failure
            // The other stores are still to get what this writer took last.
            if case .superseded = failure { return }
            state.isStopping = true
        }
    }

    private func patience(_ store: any ObjectStore) -> Patience {
        Patience(
            nil, isOver: { [self] in isStopping },
            note: { [logger] failure in
                logger.log(
                    .archiveStoreFailed, "\(failure); trying again",
                    metadata: ["store": "\(store.name)"])
            })
    }

    /// Calls `body` until it ends without a failure, which is when the process stops or the writer has
    /// ended. A failure that says that something else is wrong with the ledger ends it too.
    private func repeating(
        _ store: any ObjectStore,
        _ body: (any ObjectStore, ArchivePlace) throws(ArchiveFailure) -> Void
    ) -> ArchiveFailure? {
        while !isStopping {
            do throws(ArchiveFailure) {
                try body(store, try ArchivePlace(store, source, patience(store)))
                return nil
            } catch {
                if case .superseded = error { return error }
                if isStopping { return nil }
                guard case .store(let failure) = error else {
                    logger.log(.archivingStopped, "\(error)", metadata: ["store": "\(store.name)"])
                    return error
                }
                logger.log(.archivingFailed, "\(error)", metadata: ["store": "\(store.name)"])
                pause(
                    failure.kind == .refused || failure.kind == .damaged
                        ? ArchiveLimits.refusedPause : ArchiveLimits.failedPause)
            }
        }
        return nil
    }

    /// For how many seconds no store got what is durable; 0 if one has everything.
    package var lagSeconds: Double {
        let since = state.withLock { $0.lag.values.map(\.since) }
        guard !since.isEmpty, since.allSatisfy({ $0 != nil }) else { return 0 }
        return since.compactMap(\.self).max().map { (ContinuousClock.now - $0) / .seconds(1) } ?? 0
    }

    /// Metrics in the text format of Prometheus.
    package var metrics: String {
        let lag = state.withLock { $0.lag }.sorted { $0.key < $1.key }
        var text = """
            # HELP stardust_archive_lag_seconds Age of the oldest durable byte that the store lacks.
            # TYPE stardust_archive_lag_seconds gauge

            """
        for (store, lag) in lag {
            let seconds = lag.since.map { (ContinuousClock.now - $0) / .seconds(1) } ?? 0
            text += "stardust_archive_lag_seconds{store=\"\(store)\"} \(seconds)\n"
        }
        text += """
            # HELP stardust_archive_pending_bytes Durable bytes that the store lacks.
            # TYPE stardust_archive_pending_bytes gauge

            """
        for (store, lag) in lag {
            text += "stardust_archive_pending_bytes{store=\"\(store)\"} \(lag.bytes)\n"
        }
        return text + drillMetric
    }

    private var drillMetric: String {
        guard let path = settings.drill else { return "" }
        let age = RunRecord(.drill, of: path, ledger: nil).map {
            Double(Timestamp.systemNow().microseconds - $0.time.microseconds) / 1e6
        }
        return """
            # HELP stardust_drill_age_seconds Time since a restore was last tried and came out right.
            # TYPE stardust_drill_age_seconds gauge
            stardust_drill_age_seconds \(age.map { "\($0)" } ?? "+Inf")

            """
    }

    private func pause(_ time: Duration) {
        state.wait(atMost: .now + time) { $0.isStopping }
    }

    private func current() throws(ArchiveFailure) -> SourceState {
        try asking { () throws(StoreFailure) in try source.state() }
    }

    // MARK: Shipping

    private func shipParts(
        _ store: any ObjectStore, _ place: ArchivePlace
    ) throws(ArchiveFailure) {
        try probeOnce(store)
        var place = place
        for finding in place.epochs.findings { logger.log(.archiveFinding, "\(finding)") }
        if place.successor == nil {
            try place.claim(patience(store))
            try keepSuperseded(place)
        }
        var shipper = PartShipper(place, source, patience(store))
        try shipper.resume(try current())
        var looked: ContinuousClock.Instant?
        var since = state.withLock { $0.lag[store.name]?.since }
        while !isStopping {
            if looked.map({ .now >= $0 + settings.shipTime }) ?? true {
                try asking { () throws(StoreFailure) in
                    try place.lookForSuccessor(patience(store))
                }
                looked = .now
            }
            if let successor = place.successor ?? state.withLock({ $0.successor }) {
                return try end(for: successor, place, &shipper)
            }
            let now = try current()
            if shipper.next == nil { try shipper.resume(now) }
            let pending = shipper.pending(now)
            if pending == 0 { since = nil } else { since = since ?? .now }
            state.withLock { $0.lag[store.name] = (since, pending) }
            let isDue =
                pending >= settings.shipBytes
                || since.map { .now >= $0 + settings.shipTime } ?? false
            if isDue || pending == 0 {
                while try shipper.ship(now), !isStopping {}
                since = nil
            }
            pause(ArchiveLimits.pause)
        }
    }

    /// Copies what older writers took after their epochs had ended.
    private func keepSuperseded(_ place: ArchivePlace) throws(ArchiveFailure) {
        for epoch in Set(place.epochs.all.map(\.note.number)) where epoch < place.epoch {
            guard let end = place.epochs.end(of: epoch) else { continue }
            try SupersededParts(
                place.store, place.layout, epoch: epoch, end: end, patience(place.store)
            ).copy()
        }
    }

    /// Has the daemon take no more packets, ships what it took, and copies what came after the
    /// epoch's end.
    private func end(
        for successor: ArchivedEpochs.Epoch, _ place: ArchivePlace, _ shipper: inout PartShipper
    ) throws(ArchiveFailure) {
        logger.log(.superseded, "\(ArchiveFailure.superseded(successor.note))")
        try asking { () throws(StoreFailure) in try source.supersede(successor.content) }
        state.change { $0.successor = successor }
        let now = try current()
        let end = place.epochs.end(of: place.epoch) ?? successor.note.start
        // Parts may have begun later, and sealed segments go no further than the epoch.
        try shipper.restart(at: end, now)
        while try shipper.ship(now) {}
        try SupersededParts(
            place.store, place.layout, epoch: place.epoch, end: end, patience(place.store)
        ).copy()
        throw .superseded(successor.note)
    }

    private func probeOnce(_ store: any ObjectStore) throws(ArchiveFailure) {
        if state.withLock({ $0.probed.contains(store.name) }) { return }
        let isGood = try asking { () throws(StoreFailure) in try probe(store, patience(store)) }
        guard isGood else { throw .promises(store.name) }
        state.change { _ = $0.probed.insert(store.name) }
    }

    private func shipSegments(
        _ store: any ObjectStore, _ place: ArchivePlace
    ) throws(ArchiveFailure) {
        if place.successor != nil { return }
        state.wait(atMost: nil) { $0.isStopping || $0.probed.contains(store.name) }
        var shipper = SegmentShipper(place, source, patience(store))
        try shipper.resume(try current())
        while !isStopping, state.withLock({ $0.successor }) == nil {
            while let mark = try shipper.ship(try current()), !isStopping {
                logger.log(
                    .segmentArchived, "archived the segment at position \(mark.first)",
                    metadata: ["store": "\(store.name)"])
            }
            pause(ArchiveLimits.failedPause)
        }
    }
}
