internal import Archive
import ArgumentParser
internal import Glibc
internal import LedgerFormat
internal import LedgerStorage
internal import ObjectStore
internal import Packets
internal import Platform
internal import StardustCore
internal import Verification

struct RestoreCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore",
        abstract: "Write a ledger's folder from an archive, and verify it.",
        discussion: """
            The folder is only read afterwards: `serve` answers queries from it and accepts no \
            packets. Credentials, endpoint and region of a bucket come from the environment, as for \
            AWS's own programs. Exit codes: 1 the restored ledger does not verify, 65 an object is \
            damaged in every store, 69 a store cannot be reached, 73 the folder exists, 75 another \
            restore writes it.
            """)

    @Argument(
        help: "The folder to write; it must not exist. None with --drill.", completion: .directory)
    var folder: String?

    @Option(
        name: .customLong("from"),
        help: ArgumentHelp(
            "A store that has the ledger: s3://, gs:// or file:///; repeatable.", valueName: "url"))
    var urls: [String] = []

    @Option(
        help: ArgumentHelp(
            "A configuration file, whose archive has the ledger; instead of --from.",
            valueName: "file"), completion: .file())
    var config: String?

    @Option(help: ArgumentHelp("Which ledger, if the store has several.", valueName: "uuid"))
    var ledgerID: String?

    @Option(
        help: ArgumentHelp(
            "Restore only so many entries, or those received until a time in RFC 3339.",
            valueName: "size|time"))
    var at: String?

    @Flag(
        help: """
            Fetch only the entries of sealed segments: a daemon whose configuration names the archive \
            process's socket reads their payloads there.
            """)
    var lazy = false

    @Flag(
        help: """
            Restore the newest and a random older checkpoint into a temporary folder, compare their \
            roots, and remove the folder.
            """)
    var drill = false

    @Option(
        help: ArgumentHelp("With --drill: the ledger to compare with.", valueName: "ledger"),
        completion: .directory)
    var against: String?

    @Option(
        help: ArgumentHelp(
            "With --drill: a file that gets the time, once the drill has passed.", valueName: "file"
        ), completion: .file())
    var record: String?

    @OptionGroup var trust: TrustOptions

    @OptionGroup var output: ResultOptions

    func validate() throws {
        guard folder != "" else { throw ValidationError("the folder's name is empty") }
        guard at != "0" else { throw ValidationError("--at 0 leaves nothing to restore") }
        guard urls.isEmpty != (config == nil) else {
            throw ValidationError("name stores with --from URL, or a configuration with --config")
        }
        guard (folder == nil) == drill else {
            throw ValidationError("give a folder to write, or --drill")
        }
        guard drill || against == nil else { throw ValidationError("--against needs --drill") }
        guard drill || record == nil else { throw ValidationError("--record needs --drill") }
        guard !drill || !lazy && at == nil && trust.checkpoints.isEmpty else {
            throw ValidationError("--drill chooses by itself what to restore, and reads all of it")
        }
        if lazy, let at, case .time? = Self.target(at) {
            throw ValidationError("--lazy cannot tell which payloads a time needs; give a size")
        }
        guard at == nil || trust.checkpoints.isEmpty else {
            throw ValidationError("--at and --checkpoint both say how far to restore; give one")
        }
        guard trust.checkpoints.count < 2 else {
            throw ValidationError("give one --checkpoint, which is restored to")
        }
        if let at, Self.target(at) == nil {
            throw ValidationError(
                "--at: \(at) is neither a number of entries nor a time as in 2026-11-27T03:00:00Z")
        }
    }

    private static func target(_ text: String) -> Restoration.Target? {
        if let size = UInt64(canonical: text.utf8) { return .size(LedgerSize(size)) }
        return Timestamp(rfc3339: text).map { .time($0) }
    }

    func run() throws {
        let stores = try storeList()
        guard var path = folder else {
            return try RestoreDrill(
                stores: stores, ledgerID: ledgerID, against: against, record: record,
                options: trust.options()
            ).run()
        }
        while path.count > 1, path.hasSuffix("/") { path.removeLast() }
        try restore(stores, to: path)
    }

    private func storeList() throws(Failure) -> StoreList {
        do throws(ArchiveFailure) { return try StoreList(urls, config) } catch {
            throw Failure(error)
        }
    }

    private func restore(_ stores: StoreList, to folder: String) throws {
        let options = try trust.options()
        var target = at.flatMap(Self.target) ?? .all
        if let anchor = options.anchors.first {
            target = .size(anchor.published.checkpoint.size)
        }
        guard unsafe access(folder, F_OK) != 0 else {
            throw Failure(.cannotCreate, "\(folder) exists; name a folder that does not")
        }
        let (beside, volume, lock) = try makeFolder(beside: folder)
        defer { withExtendedLifetime(lock) {} }
        do {
            let result = try Self.restore(
                stores, ledgerID, to: volume, target, isLazy: lazy, options)
            try finish(stores, folder, beside, volume, result)
        } catch {
            Output.error("stardust: what was restored so far is in \(beside)")
            throw error
        }
    }

    /// The folder in which the ledger is put together, locked. What an earlier attempt left is removed,
    /// unless that goes on.
    private func makeFolder(
        beside folder: String
    ) throws(Failure) -> (String, PosixVolume, LedgerLock) {
        let beside = folder + ".restoring"
        var status = stat()
        do throws(FileFailure) {
            if unsafe lstat(beside, &status) == 0 {
                guard status.st_mode & S_IFMT == S_IFDIR else {
                    throw FileFailure(.makeFolder, beside, errorNumber: EEXIST)
                }
                let left = try lock(beside)
                try FolderRemoval.removeRestoring(beside)
                withExtendedLifetime(left) {}
            }
            guard unsafe mkdir(beside, 0o700) == 0 else {
                throw FileFailure(.makeFolder, beside, errorNumber: errno)
            }
            return (beside, try PosixVolume(root: beside), try lock(beside))
        } catch {
            guard error.isInUse else { throw Failure(.cannotCreate, "\(error)") }
            throw Failure(.locked, "another restore writes \(beside); wait for it, or end it first")
        }
    }

    private func lock(_ folder: String) throws(FileFailure) -> LedgerLock {
        do throws(LedgerLock.Failure) { return try LedgerLock(folder: folder) } catch {
            guard case .failed(let failure) = error else {
                throw FileFailure(.lock, folder, errorNumber: FileFailure.inUseNumber)
            }
            throw failure
        }
    }

    /// Restores into an empty folder, and verifies what came.
    static func restore(
        _ stores: StoreList, _ ledgerID: String?, to volume: PosixVolume,
        _ target: Restoration.Target, isLazy: Bool = false, _ options: Verifier.Options
    ) throws(Failure) -> Verification {
        let showsProgress = Output.isErrorATerminal
        let restored: (size: LedgerSize, findings: [Finding])
        do throws(ArchiveFailure) {
            let shipped = try ShippedLedger.open(stores, ledgerID, .ofCommand)
            for finding in shipped.findings { Output.error("note: \(finding)") }
            restored = try Restoration(
                shipped, to: volume, target, isLazy: isLazy, .ofCommand
            ).run { done, all in
                if showsProgress { Output.progress("segment \(done) of \(all)") }
            }
            if showsProgress { Output.progress("") }
        } catch { throw Failure(error) }
        for finding in restored.findings {
            Output.error("note: \(finding); taken from elsewhere")
        }
        let result: Verification
        do throws(OpenFailure) {
            result = try Verifier(volume, options, isBeingWritten: false)
                .run(withProgressOf: "verifying segment")
        } catch { throw Failure(error) }
        guard result.isSound else {
            for finding in result.findings { try Output.line(Output.safe(finding.description)) }
            throw Failure(.no, "what was restored does not verify")
        }
        return result
    }

    /// Gives the folder its name, once it is marked as one that is only read.
    private func finish(
        _ stores: StoreList, _ folder: String, _ beside: String, _ volume: PosixVolume,
        _ result: Verification
    ) throws(Failure) {
        let mark =
            "stardust-restored/1\n\(stores.names.joined(separator: " "))\n\(result.size)\n"
            + "\(Timestamp.systemNow())\n"
        do throws(FileFailure) {
            try volume.replace(LedgerLayout.restored, with: Array(mark.utf8))
            let parent = try PosixVolume(root: folder.givenFolder)
            try parent.renameNew(beside.lastName, to: folder.lastName)
            try parent.syncFolder("")
        } catch { throw Failure(.cannotCreate, "\(error)") }
        try show(result, folder)
    }

    private func show(_ restored: Verification, _ folder: String) throws(Failure) {
        let checkpoint = restored.checkpoint?.checkpoint
        guard !output.json else {
            return try output.show { json in
                json.member("folder", folder)
                json.member("entries", restored.size.entries)
                json.key("root")
                if let root = restored.root { json.string(root.tagged) } else { json.null() }
                json.member("covered", checkpoint?.size.entries ?? 0)
            }
        }
        try Output.line(
            "restored \(restored.size) entries to \(folder), root \(restored.root?.tagged ?? "none")"
        )
        guard let checkpoint else {
            return try Output.line("No checkpoint covers them: all rest on the store's word.")
        }
        let beyond = restored.size.entries - checkpoint.size.entries
        try Output.line(
            beyond == 0
                ? "The ledger's own checkpoint covers all of them."
                : "The newest checkpoint covers \(checkpoint.size) of them; \(beyond) beyond it "
                    + "continue the chain, and rest on the store's word.")
    }
}
