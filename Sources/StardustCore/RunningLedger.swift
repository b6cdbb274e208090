internal import Glibc
package import LedgerFormat
package import LedgerStorage
package import Logging
internal import Packets
package import Platform
package import Publishing
internal import ReadModel

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
    package let settings: Settings
    /// The engine's tables; nil if this process keeps no read model.
    package let model: RunningModel?

    private let volume: any Volume
    private let logger: Logger
    private let transport: WitnessCouncil.Transport
    private let monitor = Monitor(Phase.recovering)
    /// Set at opening and kept until the process ends, because answers may still be in progress
    /// after the ledger has stopped.
    private let opened = Monitor<Opened?>(nil)

    private struct Opened {
        var map: LedgerMap
        var follower: IndexFollower
        /// Nil if the files are damaged.
        var publisher: Publisher?
    }

    package struct Settings: Sendable {
        package var segmentBytes = StorageLimits.segmentBytes
        package var packetBytes = PacketLimits.packetBytes
        package var bytesInFlight = LedgerLimits.bytesInFlight
        package var queryTime = LedgerLimits.queryTime
        /// How far an entry's time may be ahead of the one before.
        package var clockStepMax = LedgerLimits.clockStepMax
        /// Connections that the process's descriptors allow.
        package var connections = LedgerLimits.connections
        /// Sealed segments whose files are kept open.
        package var sealedFiles = StorageLimits.sealedFilesOpen
        /// Whose cosignatures a checkpoint needs before it is published.
        package var witnessPolicy = WitnessPolicy()
        /// The folder of the private keys; nil if they are in the ledger's folder.
        package var keysFolder: String?
        /// The folder of the read model, which is the ledger's folder; nil for no read model.
        package var modelFolder: String?

        package init() {}
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

    /// Why nothing can be appended to a ledger that can be read.
    package enum ReadOnlyReason: Hashable, Sendable, CustomStringConvertible {
        case damaged(Finding)
        case fileSystem(String)

        package var description: String {
            switch self {
            case .damaged(let finding): "the ledger is damaged: \(finding)"
            case .fileSystem(let path): "the file system of \(path) takes no changes"
            }
        }
    }

    /// Prepares to run a ledger whose lock the caller holds. `start` opens it.
    package init(
        _ volume: any Volume, settings: Settings, logger: Logger,
        transport: @escaping WitnessCouncil.Transport = { _, _, _ in
            .failure(WitnessCouncil.Unreachable("this process does not ask witnesses"))
        },
        clock: @escaping @Sendable () -> Timestamp = Timestamp.systemNow
    ) throws(OpenFailure) {
        identity = try Ledger.identity(volume)
        self.volume = volume
        self.settings = settings
        self.logger = logger
        self.clock = ClockState(stepMax: settings.clockStepMax, clock: clock)
        room = DiskRoom(metrics, logger)
        self.transport = transport
        model = settings.modelFolder.map { RunningModel(ModelFolder($0)) }
        budgets = Budgets { LedgerLimits.terms(of: $0, settings) }
    }

    // MARK: Running

    /// Opens the ledger and serves it on its own threads. `ended` is called once, when nothing more
    /// will be appended: with the failure, or with nil after `stop`.
    package func start(ended: @escaping @Sendable (RunFailure?) -> Void) {
        startThread("sequencer") { ended(self.run()) }
    }

    package enum RunFailure: Error, Sendable, CustomStringConvertible {
        case open(OpenFailure)
        /// The current batch was answered with "outcome unknown".
        case sync(FileFailure)
        /// Everything is durable, but the close marker could not be written.
        case marker(FileFailure)

        package var description: String {
            switch self {
            case .open(let failure): failure.description
            case .sync(let failure):
                "\(failure). The next start determines what became durable"
            case .marker(let failure):
                "stopped without a close marker: \(failure). Nothing is lost, but a cut of the "
                    + "ledger's end would not be noticed"
            }
        }
    }

    /// Refuses new packets. Packets already waiting are made durable, the ledger is marked as
    /// closed, and then `ended` is called.
    package func stop() { inbox.close() }

    private func run() -> RunFailure? {
        var opened: OpenedLedger
        do throws(OpenFailure) { opened = try Ledger.open(volume) } catch {
            monitor.change { $0 = .failed(error) }
            inbox.close()
            drain(.readOnly(error.description))
            return .open(error)
        }
        for repair in opened.repairs {
            logger.notice("\(repair)")
            if case .tornTailCut = repair { metrics.tornTailsCut.add() }
        }
        let map = opened.map
        map.keepOpen(segments: settings.sealedFiles)
        map.whenDamageIsFound { [logger, metrics] finding in
            logger.error("damage was found: \(finding)")
            metrics.damageFound.set(1)
        }
        metrics.ledgerSize.set(Int(map.head.size.entries))
        var (publisher, damage): (Publisher?, Finding?) = (nil, opened.damage)
        let isWritable = damage == nil && opened.writer != nil
        if isWritable {
            do throws(OpenFailure) { publisher = try openPublisher(map) } catch {
                guard case .damaged(let finding) = error else {
                    monitor.change { $0 = .failed(error) }
                    inbox.close()
                    drain(.readOnly(error.description))
                    return .open(error)
                }
                damage = finding
            }
        }
        let follower = IndexFollower(
            map, identity: identity, keepsFiles: publisher != nil, logger: logger,
            metrics: metrics)
        self.opened.change { $0 = Opened(map: map, follower: follower, publisher: publisher) }
        defer {
            publisher?.stop()
            follower.stop()
            monitor.change { $0 = .stopped }
        }
        guard let publisher else {
            let reason = damage.map(ReadOnlyReason.damaged) ?? .fileSystem("the ledger's folder")
            logger.critical("read-only: \(reason)")
            monitor.change { $0 = .readOnly(reason) }
            drain(.readOnly(reason.description))
            return nil
        }
        let writer = opened.writer.take()!
        let failure = serve(map, writer, follower, publisher)
        guard case .sync(let cause) = failure else { return failure }
        logger.critical("\(cause)")
        monitor.change { $0 = .broken(cause) }
        inbox.close()
        drain(.outcomeUnknown(cause.description))
        return failure
    }

    /// Resumes publishing. The failure is damage if the ledger differs from what was signed.
    private func openPublisher(_ map: LedgerMap) throws(OpenFailure) -> Publisher {
        let keys: (any Volume)?
        do throws(FileFailure) {
            keys =
                if let folder = settings.keysFolder { try PosixVolume(root: folder) } else { nil }
        } catch { throw .file(error) }
        let publisher = try TreePublisher.open(map, identity, keys: keys)
        for repair in publisher.repairs { logger.notice("\(repair)") }
        let council: WitnessCouncil
        do throws(FileFailure) {
            council = try WitnessCouncil(
                settings.witnessPolicy, volume, recent: publisher.recent, transport)
        } catch { throw .file(error) }
        return Publisher(publisher, map, council, logger: logger, metrics: metrics)
    }

    private func serve(
        _ map: LedgerMap, _ writer: consuming LedgerWriter, _ follower: IndexFollower,
        _ publisher: Publisher
    ) -> RunFailure? {
        let preparer = SegmentPreparer(volume, segmentBytes: settings.segmentBytes)
        defer { preparer.stop() }
        let sequencer = Sequencer(
            writer: writer, size: map.head.size, inbox: inbox, preparer: preparer,
            follower: follower, publisher: publisher, metrics: metrics, logger: logger,
            clock: clock, room: room)
        clock.note(map.head.lastReceivedAt ?? identity.createdAt)
        monitor.change { $0 = .serving }
        return sequencer.run()
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
        guard let record = try map?.read(position) else {
            // The batch that contained the id did not become durable.
            throw .file(
                FileFailure(.read, "position \(position)", errorNumber: FileFailure.missingNumber))
        }
        let receipt = Receipt(record.entry, hash: record.entryHash)
        if record.entry.payloadDigest == digest { return .same(receipt) }
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
}
