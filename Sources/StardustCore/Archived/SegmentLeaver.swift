internal import LedgerFormat
internal import LedgerStorage
internal import Logging
internal import Platform
internal import Publishing

/// Removes old segments from the disk once every store has them, and brings them back when asked.
///
/// The archive process is not believed: the daemon itself hashes every store's copy, and its own file
/// at the same time. Nothing leaves while all stores are on the ledger's own file system.
package final class SegmentLeaver: Sendable {
    private let map: LedgerMap
    private let ledgerID: UUID128
    private let publisher: Publisher
    private let client: ArchiveClient
    private let currentRetention: @Sendable () -> Retention
    /// Tells file systems apart.
    private let devices: Devices
    private let logger: Logger
    private let metrics: Metrics
    private let monitor = Monitor(State())

    /// What stays on the disk: whichever keeps more.
    package struct Retention: Hashable, Sendable {
        package var bytes = 10 << 30
        package var time = Duration.seconds(30 * 86_400)
        /// How long nothing may be shipped before no more packets are taken; nil for ever.
        package var stopAfterLag: Duration?

        package init() {}
    }

    /// The file system of a path, and of the ledger; nil if nobody can tell.
    struct Devices: Sendable {
        var own: UInt64?
        var of: @Sendable (_ path: String) -> UInt64?
    }

    private struct State {
        var isStopping = false
        var hasEnded = false
        /// Segments that were asked back, and stay.
        var recalled: Set<Position> = []
        /// Why nothing leaves; nil if nothing is in the way.
        var obstacle: String?
        /// Since when nobody says that anything was shipped.
        var silentSince: ContinuousClock.Instant?
        /// Why no packet is taken; nil if they are.
        var refusal: String?
    }

    init(
        _ map: LedgerMap, _ ledgerID: UUID128, _ publisher: Publisher, _ client: ArchiveClient,
        _ retention: @escaping @Sendable () -> Retention, _ devices: Devices, logger: Logger,
        metrics: Metrics
    ) {
        (self.map, self.ledgerID, self.publisher) = (map, ledgerID, publisher)
        (self.client, currentRetention, self.devices) = (client, retention, devices)
        (self.logger, self.metrics) = (logger, metrics)
        metrics.archivedSegments.set(map.extents.count(where: \.isArchived))
        startThread("leaver") { self.run() }
    }

    /// Why no packet is taken, because nothing could be shipped for too long; nil if they are.
    package var refusal: String? { monitor.withLock { $0.refusal } }

    package var obstacle: String? { monitor.withLock { $0.obstacle } }

    /// Brings archived segments back that have a position of `range`. Returns how many there are;
    /// they come one after the other.
    package func recall(_ range: ClosedRange<UInt64>) -> Int {
        let wanted = map.extents.filter { segment in
            segment.isArchived && segment.first.value <= range.upperBound
                && segment.end.value > range.lowerBound
        }
        monitor.change { $0.recalled.formUnion(wanted.map(\.first)) }
        return wanted.count
    }

    func stop() {
        monitor.change { $0.isStopping = true }
        monitor.wait { $0.hasEnded ? () : nil }
    }

    private var isStopping: Bool { monitor.withLock { $0.isStopping } }

    private func run() {
        while !isStopping {
            lookAtLag()
            let hasMore = step()
            if hasMore { continue }
            let seen = monitor.withLock { $0.recalled }
            monitor.wait(atMost: .now + LedgerLimits.leaverPause) {
                $0.isStopping || $0.recalled != seen
            }
        }
        monitor.change { $0.hasEnded = true }
    }

    /// Moves one segment. False if there is nothing to do now.
    private func step() -> Bool {
        let recalled = monitor.withLock { $0.recalled }
        do {
            if try bringBackOne(of: recalled) {
                // There may be more.
            } else if let segment = try candidate(recalled) {
                try leave(segment)
            } else {
                return false
            }
            metrics.archivedSegments.set(map.extents.count(where: \.isArchived))
            note(obstacle: nil)
            return true
        } catch {
            note(obstacle: "\((error as? Obstacle)?.detail ?? "\(error)")")
            return false
        }
    }

    private struct Obstacle: Error {
        var detail: String
    }

    private func note(obstacle: String?) {
        let isNew = monitor.withLock { state in
            defer { state.obstacle = obstacle }
            return state.obstacle != obstacle
        }
        if isNew, let obstacle {
            logger.log(.segmentStays, "no segment leaves the disk: \(obstacle)")
        }
    }

    /// Refuses packets while no store got anything for longer than the settings allow, and while the
    /// archive process has not answered for so long.
    private func lookAtLag() {
        guard let limit = currentRetention().stopAfterLag else { return takePacketsAgain() }
        let lag = (try? client.stores())?.lag
        monitor.change { state in
            var reason: String?
            if let lag {
                state.silentSince = nil
                if lag > limit { reason = "no store of the archive got anything for \(lag)" }
            } else {
                let since = state.silentSince ?? .now
                state.silentSince = since
                let silence = ContinuousClock.now - since
                if silence > limit {
                    reason = "the archive process has not answered for \(silence)"
                }
            }
            if let reason, state.refusal == nil {
                logger.log(.archiveBehind, "no packets are taken: \(reason)")
            }
            if reason == nil, state.refusal != nil {
                logger.log(.archiveCaughtUp, "packets are taken again")
            }
            state.refusal = reason
        }
    }

    private func takePacketsAgain() {
        monitor.change { state in
            if state.refusal != nil { logger.log(.archiveCaughtUp, "packets are taken again") }
            (state.refusal, state.silentSince) = (nil, nil)
        }
    }

    // MARK: Leaving

    /// The oldest segment that need not stay; nil if all must.
    private func candidate(_ recalled: Set<Position>) throws -> SegmentExtent? {
        let here = map.extents.filter { $0.isSealed && !$0.isArchived }
        guard let oldest = here.first(where: { !recalled.contains($0.first) }) else { return nil }
        let (bytes, retention) = (here.reduce(0) { $0 + $1.bytes }, currentRetention())
        guard bytes - oldest.bytes >= retention.bytes,
            let covered = publisher.published?.checkpoint.size, covered.entries >= oldest.end.value,
            let last = try map.entry(Position(oldest.end.value - 1))
        else { return nil }
        let age = Timestamp.systemNow().microseconds - last.receivedAt.microseconds
        return Duration.microseconds(age) >= retention.time ? oldest : nil
    }

    private func leave(_ segment: SegmentExtent) throws {
        try map.leave(segment, copies: try storesElsewhere()) {
            (store, range) throws(FileFailure) in
            if isStopping {
                throw .archiveUnreachable("\(segment.first)", "the daemon is stopping")
            }
            return try client.read(segment.first, range, store: store)
        }
        metrics.segmentsLeft.add()
        logger.log(
            .segmentLeft,
            "the segment at position \(segment.first) has left the disk for the archive")
    }

    /// How many stores there are. Fails unless one of them is on another file system.
    private func storesElsewhere() throws -> Int {
        let stores: ArchiveClient.Stores
        do throws(ArchiveClient.Unanswered) { stores = try client.stores() } catch {
            throw Obstacle(detail: "the archive process does not answer: \(error.detail)")
        }
        guard stores.ledgerID == ledgerID else {
            throw Obstacle(detail: "the archive process is of the ledger \(stores.ledgerID)")
        }
        let isElsewhere = stores.names.contains { name in
            guard name.hasPrefix("file://") else { return true }
            let path = String(name.dropFirst("file://".count))
            guard let own = devices.own, let other = devices.of(path) else { return false }
            return own != other
        }
        guard isElsewhere else {
            throw Obstacle(
                detail: "every store is on the ledger's own file system, so one disk has all copies"
            )
        }
        return stores.names.count
    }

    // MARK: Coming back

    /// Brings the first segment back that can be had. False if none is wanted.
    private func bringBackOne(of recalled: Set<Position>) throws -> Bool {
        var failure: (any Error)?
        for segment in map.extents where segment.isArchived && recalled.contains(segment.first) {
            do {
                try bringBack(segment)
                return true
            } catch { failure = error }
        }
        if let failure { throw failure }
        return false
    }

    private func bringBack(_ segment: SegmentExtent) throws {
        let count = try client.stores().names.count
        var last: (any Error)?
        for store in 0..<count {
            do {
                try map.bringBack(segment) { (range) throws(FileFailure) in
                    try client.read(segment.first, range, store: store)
                }
                metrics.segmentsRecalled.add()
                logger.log(
                    .segmentRecalled, "the segment at position \(segment.first) is back on the disk"
                )
                return
            } catch { last = error }
        }
        throw last ?? Obstacle(detail: "the archive has no store")
    }
}
