import ArgumentParser
internal import Glibc
internal import LedgerFormat
internal import LedgerStorage
internal import Platform
internal import StardustCore

struct InitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init",
        abstract: "Make a ledger and its key, and print the verifier key.",
        discussion: "Give the verifier key to auditors by another way than the ledger's own disk.")

    @Argument(help: "The folder: made where it is missing, refused where it is not empty.")
    var ledger: String

    @Option(
        help: ArgumentHelp(
            "The ledger's name in checkpoints: a URL without its scheme. Forever.",
            valueName: "name"))
    var origin: String?

    @Option(help: "Size of the first segment; the configuration has that of the next ones.")
    var segmentBytes = StorageLimits.segmentBytes

    func validate() throws {
        guard (1 << 16...StorageLimits.segmentBytesMax).contains(segmentBytes) else {
            throw ValidationError("segment-bytes: 65,536 to \(StorageLimits.segmentBytesMax)")
        }
        if let origin, !NoteKeyName.isValid(origin) {
            throw ValidationError(
                "an origin has no white space and no plus sign, as in log.example/omniva")
        }
    }

    func run() throws {
        try LockedLedger.makeFolder(ledger)
        do {
            let volume = try PosixVolume(root: ledger)
            let names = try volume.list("")
            guard names.isEmpty else {
                throw Failure(
                    .cannotCreate,
                    "\(ledger) is not empty: it has \(names.sorted().joined(separator: ", "))")
            }
            var generator = SystemRandomNumberGenerator()
            let identity = try Ledger.create(
                in: volume, origin: origin, segmentBytes: segmentBytes,
                now: .systemNow(), using: &generator)
            Output.line(identity.verifierKey.description)
        } catch let failure as FileFailure {
            throw Failure(
                failure.isNotPermitted ? .notPermitted : .cannotCreate, failure.description)
        }
    }
}
