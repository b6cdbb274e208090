import ArgumentParser
internal import LedgerFormat
internal import LedgerStorage
internal import Packets
internal import Platform
internal import Publishing
internal import StardustCore

struct RotateKeyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rotate-key",
        abstract: "Replace a ledger's key while the daemon is stopped.",
        discussion: """
            Appends an entry signed by both the old and the new key, and prints the new verifier \
            key. Until the overlap ends, checkpoints carry both signatures, so anyone who knows \
            only the old key can follow. After that, `verify` reports a signature by the old key \
            as a finding. If the old key may be compromised, choose an overlap of 0. Exit code 75 \
            while the daemon runs.
            """)

    @Argument(help: "The ledger's folder.", completion: .directory)
    var ledger: String

    @Option(help: "Number of days the old key keeps signing.")
    var overlapDays = 30.0

    @Option(
        help: "Folder of the private keys. Default: the configuration's, or the ledger's folder.",
        completion: .directory)
    var keys: String?

    @Option(
        help: "The daemon's configuration file, which may name the folder of the keys.",
        completion: .file())
    var config: String?

    @Flag(help: "Print one JSON object.")
    var json = false

    func validate() throws {
        guard (0...3650).contains(overlapDays) else {
            throw ValidationError("overlap-days: 0 to 3650")
        }
    }

    func run() throws {
        let configured = try Configuration(path: config).settings.keysFolder
        let (volume, lock) = try LockedLedger.open(ledger)
        defer { withExtendedLifetime(lock) {} }
        let rotation: KeyRotation
        do throws(KeyChange.Failure) {
            var generator = SystemRandomNumberGenerator()
            let folder: any Volume
            do throws(FileFailure) {
                folder =
                    try (keys ?? configured ?? .credentials).map { (path) throws(FileFailure) in
                        try PosixVolume(root: path)
                    }
                    ?? volume
            } catch { throw .file(error) }
            rotation = try KeyChange.perform(
                on: volume, keys: folder, overlap: .seconds(overlapDays * 86_400),
                now: .systemNow(), using: &generator)
        } catch { throw Failure(error) }
        guard json else {
            try Output.line(rotation.newKey.description)
            return Output.error(
                "The key change is at position \(rotation.position). \(rotation.oldKey.keyName) "
                    + "signs until \(rotation.oldKeyUntil). Give auditors the new key.")
        }
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("position", rotation.position.value)
        writer.member("old_key", rotation.oldKey.description)
        writer.member("new_key", rotation.newKey.description)
        writer.member("old_key_until", rotation.oldKeyUntil)
        writer.endObject()
        try Output.data(writer.bytes + [0x0A])
    }
}

extension Failure {
    fileprivate init(_ failure: KeyChange.Failure) {
        switch failure {
        case .open(let failure): self.init(failure)
        case .key(.file(let cause)) where cause.isMissing:
            self.init(.cannotOpenInput, failure.description)
        case .key: self.init(.notPermitted, failure.description)
        case .file(let cause) where cause.isNotPermitted:
            self.init(.notPermitted, failure.description)
        case .clock: self.init(.badInput, failure.description)
        case .file, .write, .readOnly: self.init(.inputOutput, failure.description)
        }
    }
}
