import ArgumentParser
internal import Glibc
internal import LedgerFormat
internal import LedgerStorage
internal import Packets
internal import Platform
internal import StardustCore

struct InitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init",
        abstract: "Create a ledger and its key, and print the verifier key.",
        discussion:
            "Give auditors the verifier key through a channel other than the ledger's disk.")

    @Argument(help: "The folder; created if missing, refused if not empty.", completion: .directory)
    var ledger: String

    @Option(
        help: ArgumentHelp(
            "The ledger's permanent name in checkpoints: a URL without its scheme.",
            valueName: "name"))
    var origin: String?

    @Option(help: "Size of the first segment. Each is twice the last, up to the configured size.")
    var segmentBytes = StorageLimits.firstSegmentBytes

    @OptionGroup var result: ResultOptions

    func validate() throws {
        guard (1 << 16...StorageLimits.segmentBytesMax).contains(segmentBytes) else {
            throw ValidationError("segment-bytes: 65,536 to \(StorageLimits.segmentBytesMax)")
        }
        if let origin, origin.contains("://") {
            throw ValidationError("an origin has no scheme; try log.example/omniva")
        }
        if let origin, !NoteKeyName.isValid(origin) {
            throw ValidationError(
                "an origin must not contain white space or plus signs; try log.example/omniva")
        }
    }

    func run() throws {
        try LockedLedger.makeFolder(ledger)
        do {
            let (volume, lock) = try LockedLedger.open(ledger)
            defer { withExtendedLifetime(lock) {} }
            if try Ledger.isUnfinishedCreation(volume) {
                try Ledger.removeUnfinishedCreation(volume)
            }
            if try volume.list("").contains(LedgerLayout.identity) {
                throw Failure(.cannotCreate, "\(ledger) is a ledger already")
            }
            let names = try volume.list("").filter {
                ![LedgerLayout.segments, LedgerLayout.ids].contains($0)
            }
            guard names.isEmpty, try volume.list(LedgerLayout.segments).isEmpty else {
                throw Failure(
                    .cannotCreate,
                    "\(ledger) is not empty: it contains \(names.sorted().joined(separator: ", "))")
            }
            // A crash in here leaves a folder that is not a ledger. The next `init` starts over.
            var generator = SystemRandomNumberGenerator()
            let identity = try Ledger.create(
                in: volume, origin: origin, segmentBytes: segmentBytes,
                now: .systemNow(), using: &generator)
            try result.show(identity.verifierKey.description) { json in
                json.member("ledger_id", identity.ledgerID)
                json.member("origin", identity.origin)
                json.member("verifier_key", identity.verifierKey.description)
            }
        } catch let failure as FileFailure {
            throw Failure(
                failure.isNotPermitted ? .notPermitted : .cannotCreate, failure.description)
        }
    }
}
