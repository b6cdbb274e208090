internal import Glibc
package import LedgerFormat
package import LedgerStorage
package import Logging
internal import Packets
package import Platform
package import Publishing
internal import ReadModel
internal import Synchronization

/// An open ledger that many clients append to and read at once.
package final class RunningLedger: Sendable {
    package let identity: LedgerIdentity
    private let inbox = Inbox()
    /// What clients may take of this process.
    package let budgets: Budgets
    package let clock: ClockState
    package let room: DiskRoom
    package let metrics = Metrics()
    package let packetCache = PacketCache()
    package let health = HealthWatch()
    /// When this process began.
    package let startedAt = Timestamp.systemNow()
    let live: LiveSettings
    /// The engine's tables; nil if this process keeps no read model.
    package let model: RunningModel?

    private let volume: any Volume
    private let logger: Logger
    private let transport: WitnessCouncil.Transport
    private let monitor = Monitor(Phase.recovering)
    private let supersedingTurn = Mutex(())
    /// How many segments the opening has followed, of how many.
    private let opening = Mutex<(done: Int, all: Int)>((0, 0))
    /// Set at opening and kept until the process ends, because answers may still be in progress
    /// after the ledger has stopped.
    private let opened = Monitor<Opened?>(nil)

    private struct Opened {
        var map: LedgerMap
        var follower: IndexFollower
        /// Nil if the files are damaged.
        var publisher: Publisher?
        /// Nil if there is no archive.
        var epoch: WriterEpoch?
        /// Nil if nothing leaves the disk.
        var leaver: SegmentLeaver?
        /// Nil if there is no archive that could be asked.
        var archive: ArchiveClient?
    }

    /// A ledger's state between opening and end.
    package enum Phase: Sendable {
        case recovering
        case serving
        /// Nothing is appended. Every sound entry is served.
        case readOnly(ReadOnlyReason)
        /// A sync failed: nothing more is appended, and the daemon ends.
        case broken(FileFailure)
        /// It could not be opened at all.
        case failed(OpenFailure)
        case stopped
    }

    /// Prepares to run a ledger whose lock the caller holds. `start` opens it.
    package init(
        _ volume: any Volume, settings: Settings, report: SettingsReport = SettingsReport(),
        logger: Logger,
        transport: @escaping WitnessCouncil.Transport = { _, _, _ in
            .failure(WitnessCouncil.Unreachable("this process does not ask witnesses"))
        },
        clock: @escaping @Sendable () -> Timestamp = Timestamp.systemNow
    ) throws(OpenFailure) {
        identity = try Ledger.identity(volume)
        self.volume = volume
        let live = LiveSettings(SettingsInForce(settings, report))
        self.live = live
        self.logger = logger
        self.clock = ClockState(stepMax: settings.clockStepMax, clock: clock)
        room = DiskRoom(metrics, logger)
        self.transport = transport
        model = settings.modelFolder.map { RunningModel(ModelFolder($0)) }
        budgets = Budgets { live.current.terms[$0.rawValue] }
    }

    // MARK: Settings

    /// The settings in force; whoever needs several of them keeps this value meanwhile.
    package var inForce: SettingsInForce { live.current }

    private var settings: Settings { live.current.values }

    /// Which segment is being opened, in words.
    var openingProgress: String {
        let (done, all) = opening.withLock { $0 }
        return all == 0 ? "" : ": segment \(done + 1) of \(all)"
    }

    /// Waits until the ledger is open, or cannot be opened. Blocks.
    package func awaitOpening() {
        monitor.wait { phase -> Void? in if case .recovering = phase { nil } else { () } }
    }

    /// Puts other settings into force, all or none. Only some may differ: `SettingsReport.waiting` is for
    /// the others. Blocks on the disk.
    package func reload(_ values: Settings, _ report: SettingsReport) throws(FileFailure) {
        let opened = opened.withLock { $0 }
        let council = try opened?.publisher?.council(values.witnessPolicy)
        let cache = try values.archive.flatMap { (access) throws(FileFailure) in
            try opened?.archive?.cache(with: access, logger)
        }
        live.current = SettingsInForce(values, report)
        if let council { opened?.publisher?.replace(council) }
        if let cache { opened?.archive?.replace(cache, bytesMax: values.archive?.cacheBytes ?? 0) }
    }

    /// Notes why the settings in force stay, but for the access log, which is open anew.
    package func noteReload(_ report: SettingsReport, accessLog: AccessLog?) {
        var values = live.current.values
        values.accessLog = accessLog
        live.current = SettingsInForce(values, report)
    }

    // MARK: Running

    /// Opens the ledger and serves it on its own threads. `ended` is called once, when nothing more
    /// will be appended: with the failure, or with nil after `stop`.
    package func start(ended: @escaping @Sendable (RunFailure?) -> Void) {
        health.start(self, root: (volume as? PosixVolume)?.root)
        startThread("sequencer") {
            let failure = self.run()
            self.health.stop()
            ended(failure)
        }
    }

    /// Refuses new packets. Packets already waiting are made durable, the ledger is marked as
    /// closed, and then `ended` is called.
    package func stop() { inbox.close() }

    private func run() -> RunFailure? {
        var opened: OpenedLedger
        let archive = settings.archive?.client(live, metrics, logger)
        do throws(OpenFailure) {
            opened = try Ledger.open(
                volume, isReadOnly: settings.isReadOnly, archive: archive
            ) { done, all in self.opening.withLock { $0 = (done, all) } }
        } catch { return refuseAll(error) }
        let map = opened.map
        watch(map, opened.repairs)
        var (publisher, epoch, damage): (Publisher?, WriterEpoch?, Finding?) = (
            nil, nil, opened.damage
        )
        let isWritable = damage == nil && opened.writer != nil
        if isWritable {
            do throws(OpenFailure) { (publisher, epoch) = try openPublisher(map) } catch {
                guard case .damaged(let finding) = error else { return refuseAll(error) }
                damage = finding
            }
        }
        let follower = IndexFollower(
            map, identity: identity, keepsFiles: publisher != nil || settings.isReadOnly,
            logger: logger, metrics: metrics)
        let leaver = leaver(map, publisher, archive)
        self.opened.change {
            $0 = Opened(
                map: map, follower: follower, publisher: publisher, epoch: epoch, leaver: leaver,
                archive: archive)
        }
        defer {
            leaver?.stop()
            publisher?.stop()
            follower.stop()
            monitor.change { $0 = .stopped }
        }
        if opened.mark == .superseded {
            // What this writer took last is still to be archived.
            let stored = try? WriterEpoch.stored(volume, identity)
            self.opened.change { $0?.epoch = stored }
        }
        guard let publisher else {
            let reason =
                damage.map(ReadOnlyReason.damaged)
                ?? (settings.isReadOnly
                    ? .asked
                    : opened.mark.map(ReadOnlyReason.init)
                        ?? .fileSystem("the ledger's folder"))
            if reason != .asked { logger.log(.readOnly, "read-only: \(reason)") }
            monitor.change { $0 = .readOnly(reason) }
            drain(.readOnly(reason.description))
            return nil
        }
        let writer = opened.writer.take()!
        let failure = serve(map, writer, follower, publisher, leaver)
        guard case .sync(let cause) = failure else { return failure }
        logger.log(.syncFailed, "\(cause)")
        monitor.change { $0 = .broken(cause) }
        inbox.close()
        drain(.outcomeUnknown(cause.description))
        return failure
    }

    /// Answers everything with why the ledger could not be opened.
    private func refuseAll(_ failure: OpenFailure) -> RunFailure {
        monitor.change { $0 = .failed(failure) }
        inbox.close()
        drain(.readOnly(failure.description))
        return .open(failure)
    }

    private func watch(_ map: LedgerMap, _ repairs: [OpenedLedger.Repair]) {
        for repair in repairs {
            var event = LoggedEvent.repaired
            if case .tornTailCut = repair {
                event = .tornTailCut
                metrics.tornTailsCut.add()
            }
            logger.log(event, "\(repair)")
        }
        map.keepOpen(segments: settings.sealedFiles)
        map.whenDamageIsFound { [logger, metrics] finding in
            logger.log(.damageFound, "damage was found: \(finding)")
            metrics.damageFound.set(1)
        }
        metrics.ledgerSize.set(Int(map.head.size.entries))
    }

    /// Resumes publishing, and finds out which writer this is. The failure is damage if the ledger
    /// differs from what was signed.
    private func openPublisher(
        _ map: LedgerMap
    ) throws(OpenFailure) -> (Publisher, WriterEpoch?) {
        let keys: (any Volume)?
        do throws(FileFailure) {
            keys =
                if let folder = settings.keysFolder { try PosixVolume(root: folder) } else { nil }
        } catch { throw .file(error) }
        let publisher = try TreePublisher.open(map, identity, keys: keys)
        for repair in publisher.repairs { logger.log(.repaired, "\(repair)") }
        var epoch: WriterEpoch?
        if let machine = settings.machine {
            epoch = try WriterEpoch.open(
                map, identity, machine: machine, publisher, now: .systemNow())
        }
        let council: WitnessCouncil
        do throws(FileFailure) {
            council = try WitnessCouncil(
                settings.witnessPolicy, volume, recent: publisher.recent, transport)
        } catch { throw .file(error) }
        return (Publisher(publisher, map, council, logger: logger, metrics: metrics), epoch)
    }

    /// Moves old segments to the archive, where the ledger can be written.
    private func leaver(
        _ map: LedgerMap, _ publisher: Publisher?, _ archive: ArchiveClient?
    ) -> SegmentLeaver? {
        guard let publisher, let archive, settings.archive?.retention != nil else { return nil }
        let live = live
        let root = (volume as? PosixVolume)?.root
        return SegmentLeaver(
            map, identity.ledgerID, publisher, archive,
            { live.current.values.archive?.retention ?? SegmentLeaver.Retention() },
            SegmentLeaver.Devices(
                own: root.flatMap(FileSystemID.of), of: { FileSystemID.of(path: $0) }),
            logger: logger, metrics: metrics)
    }

    private func serve(
        _ map: LedgerMap, _ writer: consuming LedgerWriter, _ follower: IndexFollower,
        _ publisher: Publisher, _ leaver: SegmentLeaver?
    ) -> RunFailure? {
        let live = live
        let preparer = SegmentPreparer(volume, last: writer.segmentBytes) {
            let settings = live.current.values
            let least = StorageLimits.segmentBytesMin(payloadBytes: settings.packetBytes)
            return min(least, settings.segmentBytes)...settings.segmentBytes
        }
        defer { preparer.stop() }
        let sequencer = Sequencer(
            writer: writer, size: map.head.size, inbox: inbox, preparer: preparer,
            follower: follower, publisher: publisher, metrics: metrics, logger: logger,
            clock: clock, room: room, age: age(of: map), leaver: leaver)
        clock.note(map.head.lastReceivedAt ?? identity.createdAt)
        monitor.change { $0 = .serving }
        return sequencer.run()
    }

    /// Since when the newest segment has entries.
    private func age(of map: LedgerMap) -> SegmentAge {
        let first = map.extents.last.flatMap { try? map.entry($0.first) }
        return SegmentAge(
            limit: settings.machine == nil ? nil : settings.segmentAge,
            firstReceivedAt: first?.receivedAt, now: .systemNow())
    }

    /// Refuses every further submission until the inbox is closed.
    private func drain(_ refusal: AppendRefusal) {
        while true {
            let submissions = inbox.take()
            if submissions.isEmpty { return }
            for submission in submissions {
                submission.completion(submission.packets.map { _ in .refused(refusal) })
            }
        }
    }

    // MARK: Emitting

    /// Bytes received but not yet answered, over all requests.
    package var bytesInFlight: Int { budgets.used(.bodyBytes) }

    /// Queues packets for the sequencer. Returns nil if it accepts them: then they are completed.
    package func submit(_ submission: Submission) -> AppendRefusal? {
        switch phase {
        case .recovering: .recovering
        case .serving: inbox.offer(submission)
        case .readOnly(.superseded): .superseded(ReadOnlyReason.superseded.description)
        case .readOnly(let reason): .readOnly(reason.description)
        case .broken(let failure): .outcomeUnknown(failure.description)
        case .failed(let failure): .readOnly(failure.description)
        case .stopped: .stopping
        }
    }

    /// What a packet is whose id is already in the ledger.
    package enum Replay: Sendable {
        case same(Receipt)
        case conflict(Receipt)
    }

    /// Compares a packet with the one at `position`: the same bytes or the same JSON value is a
    /// replay. Blocks on the disk.
    package func resolve(
        _ payload: [UInt8], digest: Digest, at position: Position
    ) throws(ReadFailure) -> Replay {
        guard let entry = try map?.entry(position) else {
            // The batch that contained the id did not become durable.
            throw .file(
                FileFailure(.read, "position \(position)", errorNumber: FileFailure.missingNumber))
        }
        let receipt = Receipt(entry, hash: Merkle.leaf(entry.bytes.span))
        if entry.payloadDigest == digest { return .same(receipt) }
        guard let record = try map?.read(position) else { return .conflict(receipt) }
        // Both were admitted, so one that does not parse was admitted by another version.
        let isSame = (try? isSameJSON(payload, record.payload)) ?? false
        return isSame ? .same(receipt) : .conflict(receipt)
    }

    // MARK: Reading

    package var phase: Phase { monitor.withLock { $0 } }

    /// Locates the entries; nil while the ledger recovers.
    package var map: LedgerMap? { opened.withLock { $0?.map } }

    package var follower: IndexFollower? { opened.withLock { $0?.follower } }

    /// Nil while the ledger recovers, and if it is damaged.
    package var publisher: Publisher? { opened.withLock { $0?.publisher } }

    /// Nil while the ledger recovers, and if nothing is archived or could be appended.
    package var epoch: WriterEpoch? { opened.withLock { $0?.epoch } }

    /// Nil if nothing leaves the disk.
    package var leaver: SegmentLeaver? { opened.withLock { $0?.leaver } }

    /// Whether there is an archive process to ask.
    var hasArchive: Bool { opened.withLock { $0?.archive != nil } }

    /// What the archive process says of itself; nil if there is none, or it does not answer. Blocks.
    func archiveMetrics() -> String? { opened.withLock { $0?.archive }?.metricsText() }

    /// Bytes of the file of checkpoints that are durable; nil if nothing is to be archived.
    package var checkpointBytes: Int? {
        if let publisher { return publisher.checkpointBytes }
        guard case .readOnly(.superseded) = phase else { return nil }
        guard let file = try? volume.open(LedgerLayout.checkpoints, .read) else { return 0 }
        return try? file.size()
    }

    /// Keeps the note of the epoch that ends this writer, and takes no more packets.
    func keepSuperseding(_ note: [UInt8]) throws(FileFailure) {
        // Each store's thread of the archive process may say so.
        try supersedingTurn.withLock { (_) throws(FileFailure) in
            try volume.replace(LedgerLayout.superseded, with: note)
        }
        logger.log(.superseded, "read-only: \(ReadOnlyReason.superseded)")
        monitor.change { if case .serving = $0 { $0 = .readOnly(.superseded) } }
    }
}
