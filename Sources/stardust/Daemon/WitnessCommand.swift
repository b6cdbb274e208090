import ArgumentParser
internal import LedgerFormat
internal import LedgerStorage
internal import Logging
internal import Publishing
internal import ServiceLifecycle
internal import StardustCore
internal import StardustHTTP
internal import UnixSignals

struct WitnessCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "witness",
        abstract: "Watch logs, and cosign their checkpoints unless history was rewritten.",
        discussion: """
            A C2SP tlog-witness, for a machine that the ledger's operator does not control. \
            Creates its key in the folder on the first start, and prints its verifier key. Stores \
            each checkpoint before it answers, and never signs a fork. SIGTERM or SIGINT stops it.
            """)

    @Argument(
        help: ArgumentHelp("The witness's folder; created if missing.", valueName: "dir"),
        completion: .directory)
    var folder: String

    @Option(help: "Listening address: a Unix socket's path, or host:port.")
    var listen: String

    @Option(
        name: .customLong("log"),
        help: ArgumentHelp("A log's verifier key; repeatable.", valueName: "vkey"))
    var logs: [String]

    @Option(help: ArgumentHelp("The witness's name, set on the first start.", valueName: "name"))
    var name: String?

    func validate() throws {
        if let name, !NoteKeyName.isValid(name) {
            throw ValidationError("a name must not contain white space or plus signs")
        }
        guard listen.contains("/") || WitnessAddress.hostAndPort(listen) != nil else {
            throw ValidationError(
                "--listen: \(listen) is neither a path with a slash nor host:port; try "
                    + "127.0.0.1:7380 or ./witness.sock")
        }
    }

    func run() async throws {
        Signals.ignoreForDaemons()
        Signals.leaveNoBacktrace()
        let keys = try logs.map { try VerifierKeyArgument.read($0) }
        try LockedLedger.makeFolder(folder)
        let (volume, lock) = try LockedLedger.open(folder)
        defer { withExtendedLifetime(lock) {} }
        var generator = SystemRandomNumberGenerator()
        let witness: Witness
        do throws(Witness.OpenError) {
            witness = try Witness.open(volume, name: name, logs: keys, using: &generator)
        } catch { throw Failure(error) }
        try Output.line(witness.signer.verifier.description)
        var quiet = Logger(label: "stardust") { JSONLogHandler(label: $0) }
        let logger = quiet
        quiet.logLevel = .error
        let server = PlainServer(witness, address: listen, logger: logger)
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: [
                    .init(service: server, successTerminationBehavior: .gracefullyShutdownGroup)
                ],
                gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet))
        EndInTime.watch()
        defer { JSONLogHandler.flush() }
        do { try await group.run() } catch let refused as SocketFile.Refused {
            throw Failure(.cannotCreate, refused.description)
        } catch { throw Failure(.cannotCreate, "\(listen): \(error)") }
    }
}

extension Failure {
    fileprivate init(_ error: Witness.OpenError) {
        switch error {
        case .file: self.init(.inputOutput, error.description)
        case .key: self.init(.notPermitted, error.description)
        case .otherName: self.init(.usage, error.description)
        case .checkpoint, .orphan: self.init(.badInput, error.description)
        }
    }
}
