internal import Glibc
package import LedgerFormat
package import LedgerStorage
package import Logging
internal import Packets
package import Platform
package import Publishing
internal import ReadModel

/// A ledger that serves: opened, appended to and read by many at once.
package final class RunningLedger: Sendable {
    package let identity: LedgerIdentity
    private let inbox: Inbox
    package let metrics = Metrics()
    package let packetCache = PacketCache()
    package let settings: Settings
    /// The engine's tables; nil where this process keeps none.
    package let model: RunningModel?

    private let volume: any Volume
    private let logger: Logger
    private let clock: @Sendable () -> Timestamp
    private let transport: WitnessCouncil.Transport
    private let monitor = Monitor(Phase.recovering)
    /// From the opening to the end of the process: answers may be under way when the ledger has
    /// stopped.
    private let opened = Monitor<Opened?>(nil)

    private struct Opened {
        var map: LedgerMap
        var follower: IndexFollower
        /// Nil where the files are damaged.
        var publisher: Publisher?
    }

    package struct Settings: Sendable {
        package var segmentBytes = StorageLimits.segmentBytes
        package var packetBytes = PacketLimits.packetBytes
        package var bytesInFlight = LedgerLimits.bytesInFlight
        package var queryTime = LedgerLimits.queryTime
        /// Whose cosignatures make a checkpoint a published one.
        package var witnessPolicy = WitnessPolicy()
        /// Where the private keys are, if not in the ledger's folder.
        package var keysFolder: String?
        /// Where the read model is: the ledger's folder.
        package var modelFolder: String?

        package init() {}
    }

    /// Where a ledger stands between opening and end.
    package enum Phase: Sendable {
        case recovering
        case serving
        /// The files are damaged; what lies before the damage is served.
        case readOnly(Finding)
        /// A sync failed: nothing is appended any more, and the daemon ends.
        case broken(FileFailure)
        /// Not to be opened at all.
        case failed(OpenFailure)
        case stopped
    }

    /// Prepares to run a ledger whose lock the caller holds. `start` opens it.
    package init(
        _ volume: any Volume, settings: Settings, logger: Logger,
        transport: @escaping WitnessCouncil.Transport = { _, _, _ in
            .failure(WitnessCouncil.Unreachable("this process asks no witnesses"))
        },
        clock: @escaping @Sendable () -> Timestamp = Timestamp.systemNow
    ) throws(OpenFailure) {
        identity = try Ledger.identity(volume)
        self.volume = volume
        self.settings = settings
        self.logger = logger
        self.clock = clock
        self.transport = transport
        model = settings.modelFolder.map { RunningModel(ModelFolder($0)) }
        inbox = Inbox(bytesMax: settings.bytesInFlight)
    }

    // MARK: Running

    /// Opens the ledger and serves it, on threads of its own. `ended` is called once, when nothing
    /// more will be appended: with the failure, or nil after `stop`.
    package func start(ended: @escaping @Sendable (RunFailure?) -> Void) {
        startThread("sequencer") { ended(self.run()) }
    }

    package enum RunFailure: Error, Sendable, CustomStringConvertible {
        case open(OpenFailure)
        /// The batch in hand was answered with "outcome unknown".
        case sync(FileFailure)

        package var description: String {
            switch self {
            case .open(let failure): failure.description
            case .sync(let failure):
                "\(failure). What became durable is found out at the next start"
            }
        }
    }

    /// Takes no more packets. What waits is made durable, the ledger is marked as closed, and then
    /// `ended` is called.
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
        metrics.ledgerSize.set(Int(map.head.size.entries))
        var (publisher, damage): (Publisher?, Finding?) = (nil, opened.damage)
        if damage == nil {
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
        let follower = IndexFollower(map, identity: identity, logger: logger, metrics: metrics)
        self.opened.change { $0 = Opened(map: map, follower: follower, publisher: publisher) }
        defer {
            publisher?.stop()
            follower.stop()
            monitor.change { $0 = .stopped }
        }
        guard let publisher else {
            logger.critical("the ledger is damaged and only read: \(damage!)")
            monitor.change { $0 = .readOnly(damage!) }
            drain(.readOnly(damage!.description))
            return nil
        }
        let writer = opened.writer.take()!
        guard let failure = serve(map, writer, follower, publisher) else { return nil }
        logger.critical("\(failure)")
        monitor.change { $0 = .broken(failure) }
        inbox.close()
        drain(.outcomeUnknown(failure.description))
        return .sync(failure)
    }

    /// Takes up publishing. The failure is damage where the ledger is not what was signed.
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
    ) -> FileFailure? {
        let preparer = SegmentPreparer(volume, segmentBytes: settings.segmentBytes)
        defer { preparer.stop() }
        let sequencer = Sequencer(
            writer: writer, size: map.head.size, inbox: inbox, preparer: preparer,
            follower: follower, publisher: publisher, metrics: metrics, logger: logger,
            clock: clock)
        monitor.change { $0 = .serving }
        return sequencer.run()
    }

    /// Answers what still comes, until the inbox is closed.
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

    /// Room for the bytes that one request will hold.
    package func reservation() -> Inbox.Reservation { inbox.reservation() }

    /// Bytes received and not answered yet, of all requests.
    package var bytesInFlight: Int { inbox.bytesInFlight }

    /// Leaves packets for the sequencer. Nil where they were taken and will be completed.
    package func submit(_ submission: Submission) -> AppendRefusal? {
        switch phase {
        case .recovering: .recovering
        case .serving: inbox.offer(submission)
        case .readOnly(let finding): .readOnly(finding.description)
        case .broken(let failure): .outcomeUnknown(failure.description)
        case .failed(let failure): .readOnly(failure.description)
        case .stopped: .stopping
        }
    }

    /// What an id that stands already means for a packet that came again.
    package enum Replay: Sendable {
        case same(Receipt)
        case conflict(Receipt)
    }

    /// Compares a packet with what stands at `position`: the same bytes or the same JSON value is
    /// a replay. Blocks on the disk.
    package func resolve(
        _ payload: [UInt8], digest: Digest, at position: Position
    ) throws(ReadFailure) -> Replay {
        guard let record = try map?.read(position) else {
            // The batch that the id was found in did not become durable.
            throw .file(
                FileFailure(.read, "position \(position)", errorNumber: FileFailure.missingNumber))
        }
        let receipt = Receipt(record.entry, hash: record.entryHash)
        if record.entry.payloadDigest == digest { return .same(receipt) }
        // Both were admitted, so a payload that does not parse is one that this version refuses.
        let isSame = (try? isSameJSON(payload, record.payload)) ?? false
        return isSame ? .same(receipt) : .conflict(receipt)
    }

    // MARK: Reading

    package var phase: Phase { monitor.withLock { $0 } }

    /// Where the entries are; nil while the ledger recovers.
    package var map: LedgerMap? { opened.withLock { $0?.map } }

    package var follower: IndexFollower? { opened.withLock { $0?.follower } }

    /// What publishes; nil while the ledger recovers and where it is damaged.
    package var publisher: Publisher? { opened.withLock { $0?.publisher } }
}
