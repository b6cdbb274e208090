internal import Archive
import ArgumentParser
internal import Glibc
internal import LedgerFormat
internal import LedgerStorage
internal import ObjectStore
internal import Packets
internal import Platform
internal import ReadModel

struct BackupCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup",
        abstract: "Put everything that a machine has into the archive, the read model included.",
        discussion: """
            Waits until `stardust archive run` has shipped what is durable, then stores the read model, \
            if the change feed made it, and the configuration without the address of PostgreSQL, and at \
            last a list of them. Needs the store's credentials and a user who may read the ledger's folder. Exit code \
            69 if not everything could be shipped.
            """)

    @Argument(help: "The ledger's folder.", completion: .directory)
    var ledger: String

    @OptionGroup var options: ArchiveOptions

    @OptionGroup var result: ResultOptions

    @Option(help: ArgumentHelp("How long to wait for shipping.", valueName: "seconds"))
    var patience = 600.0

    @Option(
        help: ArgumentHelp("A file that gets the time.", valueName: "file"), completion: .file())
    var record: String?

    func validate() throws {
        guard (0...86_400).contains(patience) else {
            throw ValidationError("--patience must be from 0 to 86400 seconds")
        }
    }

    func run() throws {
        do throws(FileFailure) { if let record { try RunRecord.check(.backup, record) } } catch {
            throw Failure(.cannotCreate, "--record: \(error)")
        }
        let (archive, source) = try options.settings()
        var stores: [any ObjectStore] = []
        for settings in archive.stores { stores.append(try settings.open()) }
        let identity: LedgerIdentity
        let volume: PosixVolume
        do throws(OpenFailure) {
            do throws(FileFailure) { volume = try PosixVolume(root: ledger) } catch {
                throw .file(error)
            }
            identity = try Ledger.identity(volume)
        } catch { throw Failure(error) }
        let size = try waitUntilCovered(volume, source)
        try waitUntilShipped(stores, source)
        do throws(ArchiveFailure) {
            let name = try put(volume, identity, stores)
            try report(name, stores)
        } catch { throw Failure(error) }
        guard let record else { return }
        do throws(FileFailure) {
            try RunRecord(.backup, of: identity.ledgerID, at: .systemNow(), size: size)
                .write(to: record)
        } catch { throw Failure(.cannotCreate, "--record: \(error)") }
    }

    private func report(_ name: String, _ stores: [any ObjectStore]) throws(ArchiveFailure) {
        do throws(Failure) {
            guard !result.json else {
                return try result.show { json in
                    json.member("name", name)
                    json.key("stores")
                    json.array(stores.map(\.name)) { $1.string($0) }
                }
            }
            for store in stores { try Output.line("\(store.name)/…/\(name)") }
        } catch { throw .ledger(error.message) }
    }

    /// Waits until a checkpoint covers what the ledger has now, and returns its size.
    private func waitUntilCovered(
        _ volume: PosixVolume, _ source: SocketSource
    ) throws(Failure) -> LedgerSize {
        let deadline = ContinuousClock.now + .seconds(patience)
        let end: UInt64
        do throws(StoreFailure) { end = try source.state().segments.last?.end.value ?? 0 } catch {
            throw Failure(error)
        }
        while true {
            let note = (try? volume.content(of: LedgerLayout.checkpoint)) ?? []
            let lines = String(decoding: note, as: UTF8.self).split(separator: "\n")
            if end == 0 || lines.count > 1 && UInt64(lines[1]) ?? 0 >= end {
                return LedgerSize(end)
            }
            guard ContinuousClock.now < deadline else {
                throw Failure(.unreachable, "no checkpoint covers the ledger's \(end) entries yet")
            }
            usleep(200_000)
        }
    }

    private func waitUntilShipped(
        _ stores: [any ObjectStore], _ source: SocketSource
    ) throws(Failure) {
        let deadline = ContinuousClock.now + .seconds(patience)
        for store in stores {
            while true {
                let status: ArchiveStatus
                do throws(ArchiveFailure) {
                    status = try ArchiveStatus(
                        ArchivePlace(store, source, .ofCommand), source, .ofCommand)
                } catch { throw Failure(error) }
                if status.pendingBytes == 0, status.segments == status.segmentsInAll { break }
                guard ContinuousClock.now < deadline else {
                    throw Failure(
                        .unreachable,
                        "\(store.name) still lacks \(status.pendingBytes) bytes; is `stardust archive "
                            + "run` running?")
                }
                usleep(200_000)
            }
        }
    }

    private func put(
        _ volume: PosixVolume, _ identity: LedgerIdentity, _ stores: [any ObjectStore]
    ) throws(ArchiveFailure) -> String {
        var backup = Backup(identity.ledgerID, at: .systemNow(), .ofCommand)
        let scratch = try filing { () throws(FileFailure) in
            try ScratchFolder(in: String.environment("TMPDIR") ?? "/tmp", "stardust-backup")
        }
        let isThere: Bool
        do throws(ModelFailure) {
            isThere = try ModelFolder(volume.root)
                .copyFeedModel(to: scratch.path + "/model.sqlite")
        } catch { throw .ledger("the read model: \(error)") }
        if isThere {
            let file = try filing { () throws(FileFailure) in
                try PosixVolume(root: scratch.path).open("model.sqlite", .read)
            }
            try backup.add(file, as: "model.sqlite", to: stores)
        }
        let settings = try filing { () throws(FileFailure) in
            try PosixVolume(root: options.config.givenFolder).content(of: options.config.lastName)
        }
        try backup.add(Self.withoutPasswords(settings), as: "configuration", to: stores)
        let checkpoint = try filing { () throws(FileFailure) in
            try volume.list("").contains(LedgerLayout.checkpoint)
                ? try volume.content(of: LedgerLayout.checkpoint) : nil
        }
        return try backup.finish(checkpoint: checkpoint, to: stores)
    }

    private func filing<Value>(
        _ body: () throws(FileFailure) -> Value
    ) throws(ArchiveFailure) -> Value {
        do throws(FileFailure) { return try body() } catch { throw .file(error) }
    }

    /// The configuration's text without the address of PostgreSQL, which may have a password in it.
    static func withoutPasswords(_ text: [UInt8]) -> [UInt8] {
        guard let document = try? JSONDocument(ConfigurationFile.withoutComments(text)),
            let model = document.member("model", of: 0),
            let from = document.member("from", of: model)
        else { return text }
        let place = document.source(from).indices
        return text[..<place.lowerBound] + Array("\"left out\"".utf8) + text[place.upperBound...]
    }
}
