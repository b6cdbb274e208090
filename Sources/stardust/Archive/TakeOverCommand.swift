internal import Archive
import ArgumentParser
internal import LedgerFormat
internal import LedgerStorage
internal import ObjectStore
internal import Packets
internal import Platform
internal import Publishing
internal import StardustCore

struct TakeOverCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "take-over",
        abstract: "Make this machine the writer of a restored or copied ledger.",
        discussion: """
            Begins a new epoch: an entry, signed by the ledger's key, and a note in every store of \
            the archive. The daemon of the machine that wrote until now takes no more packets once its \
            archive process sees the note; what it took until then stays in the archive. Exit \
            codes: 69 a store cannot be reached, 75 another machine was faster or a daemon holds the \
            folder, 77 the ledger's key is missing.
            """)

    @Argument(help: "The ledger's folder.", completion: .directory)
    var ledger: String

    @Option(
        help: "The daemon's configuration file, whose `archive` names the stores.",
        completion: .file())
    var config: String

    @Option(
        help: ArgumentHelp(
            "What becomes of entries beyond the newest checkpoint.", valueName: "keep|drop"))
    var tail: String?

    @Flag(help: "Go on although the archive has later entries, which then no longer count.")
    var leaveOutNewer = false

    @Option(
        help: "Folder of the private keys. Default: the configuration's, or the ledger's folder.",
        completion: .directory)
    var keys: String?

    @OptionGroup var result: ResultOptions

    func validate() throws {
        guard tail.map({ TakeOver.Tail(rawValue: $0) != nil }) ?? true else {
            throw ValidationError("--tail is keep or drop")
        }
    }

    func run() throws {
        let configuration = try Configuration(path: config)
        guard let archive = configuration.archive else {
            throw Failure(
                .badConfiguration,
                "\(config) names no archive, and only there two machines find out that both want to "
                    + "write the ledger")
        }
        let machine = try configuration.thisMachine()
        let (volume, lock) = try LockedLedger.open(ledger)
        defer { withExtendedLifetime(lock) {} }
        let identity: LedgerIdentity
        do throws(OpenFailure) { identity = try Ledger.identity(volume) } catch {
            throw Failure(error)
        }
        var stores: [any ObjectStore] = []
        for settings in archive.stores { stores.append(try settings.open()) }
        let layout = ArchiveLayout(identity.ledgerID)
        let newest = try newestEpoch(volume, identity, stores, layout)
        let reach = try reach(identity, stores)
        let prepared: TakeOver.Prepared
        let now = Timestamp.systemNow()
        do throws(TakeOver.Failure) {
            prepared = try TakeOver.prepare(
                volume, keys: try keysFolder(configuration, volume), machine: machine,
                after: newest, tail: tail.flatMap(TakeOver.Tail.init), now: now)
        } catch { throw Failure(error) }
        try refuseNewer(reach, than: prepared.note.start)
        let epoch = ArchivedEpochs.Epoch(note: prepared.note, content: prepared.content)
        do throws(ArchiveFailure) {
            try ArchivedEpochs.publish(epoch, layout, in: stores, .ofCommand)
        } catch {
            if case .fork = error { throw Failure(.locked, error.description) }
            throw Failure(error)
        }
        var generator = SystemRandomNumberGenerator()
        do throws(TakeOver.Failure) {
            try TakeOver.finish(prepared, volume, now: now, using: &generator)
        } catch { throw Failure(error) }
        try result.show(
            "epoch \(epoch.note.number) begins at position \(epoch.note.start): this machine, "
                + "\(machine), writes the ledger from here on"
        ) { json in
            json.member("epoch", epoch.note.number)
            json.member("start", epoch.note.start.value)
            json.member("machine", machine)
        }
    }

    /// How far the archive goes; nil if it does not have the ledger yet.
    private func reach(
        _ identity: LedgerIdentity, _ stores: [any ObjectStore]
    ) throws(Failure) -> ShippedLedger.Reach? {
        do throws(ArchiveFailure) {
            let ledger = try ShippedLedger(stores, identity.ledgerID, .ofCommand)
            return try ledger.reach(.ofCommand)
        } catch {
            if case .store(let failure) = error, failure.kind == .missing { return nil }
            throw Failure(error)
        }
    }

    /// What is in the archive and not in the folder would no longer count.
    private func refuseNewer(
        _ reach: ShippedLedger.Reach?, than start: Position
    ) throws(Failure) {
        guard let reach, !leaveOutNewer else { return }
        let most = tail == "drop" ? reach.covered : max(reach.entries, reach.covered)
        guard most > LedgerSize(start.value) else { return }
        throw Failure(
            .badInput,
            "the archive has \(most) entries, and the folder would go on from \(start): those beyond it "
                + "would no longer count. Restore again, which gives all of them; or give "
                + "--leave-out-newer")
    }

    /// The newest epoch that the folder or a store knows.
    private func newestEpoch(
        _ volume: any Volume, _ identity: LedgerIdentity, _ stores: [any ObjectStore],
        _ layout: ArchiveLayout
    ) throws(Failure) -> UInt64 {
        let own: WriterEpoch?
        do throws(OpenFailure) { own = try WriterEpoch.stored(volume, identity) } catch {
            throw Failure(error)
        }
        do throws(StoreFailure) {
            let known = try ArchivedEpochs(
                stores, layout, firstKey: identity.verifierKey, .ofCommand)
            for finding in known.findings { Output.error("note: \(finding)") }
            // A number that anything has in its name is taken, whoever wrote it.
            return max(own?.note.number ?? 0, known.highestNamed)
        } catch { throw Failure(error) }
    }

    private func keysFolder(
        _ configuration: Configuration, _ volume: any Volume
    ) throws(TakeOver.Failure) -> any Volume {
        guard let path = keys ?? configuration.settings.keysFolder ?? .credentials else {
            return volume
        }
        do throws(FileFailure) { return try PosixVolume(root: path) } catch { throw .file(error) }
    }
}

extension Failure {
    fileprivate init(_ failure: TakeOver.Failure) {
        switch failure {
        case .open(let failure): self.init(failure)
        case .key: self.init(.notPermitted, failure.description)
        case .superseded, .tail, .tailTooLong: self.init(.badInput, failure.description)
        case .file, .write, .noWriter: self.init(.inputOutput, failure.description)
        }
    }
}
