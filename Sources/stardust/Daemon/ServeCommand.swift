import ArgumentParser
internal import CPlatform
internal import Glibc
internal import LedgerFormat
internal import LedgerStorage
internal import Logging
internal import Packets
internal import Platform
internal import Replication
internal import ServiceLifecycle
internal import StardustCore
internal import StardustHTTP
internal import UnixSignals

struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Run the daemon on a ledger created by `init`.",
        discussion: """
            Logs JSON lines to standard error. SIGTERM or SIGINT stops it cleanly within five \
            seconds. Exit codes: 74 a write failed for good, 75 another process holds the ledger.
            """)

    @Argument(help: "The ledger's folder.", completion: .directory)
    var ledger: String

    @Option(
        help: "The Unix socket. Default: $STARDUST_SOCKET, the configuration's, or the built-in.",
        completion: .file())
    var socket: String?

    @Option(help: "Configuration file; Docs/Configuration.md describes it.", completion: .file())
    var config: String?

    @Flag(
        help: """
            Only answer queries, and change nothing in the folder, whoever else uses it. What is \
            derived and missing is made in a temporary folder.
            """)
    var readOnly = false

    /// For a command that starts a daemon of its own.
    @Flag(help: .hidden)
    var untilInputEnds = false

    func run() async throws {
        Signals.ignoreForDaemons()
        Signals.leaveNoBacktrace()
        let manager = try Self.manager()
        if let obstacle = UserNamespace.obstacle {
            throw Failure(.badConfiguration, "\(obstacle); \(UserNamespace.advice)")
        }
        var configuration = try Configuration(path: config)
        configuration.settings.keysFolder = .credentials ?? configuration.settings.keysFolder
        let (volume, hold) = try readOnly ? open(&configuration) : openLocked(&configuration)
        defer { withExtendedLifetime(hold) {} }
        try complete(&configuration)
        Self.keepFreedMemory()
        Self.keepKeysOutOfDumps()
        let logger = Logger(label: "stardust") { JSONLogHandler(label: $0) }
        JSONLogHandler.level = configuration.logLevel
        if !readOnly, Self.isReadableByOthers(ledger) {
            logger.log(
                .ledgerReadable,
                "others can read the ledger's files, whatever their roles are; chmod -R go= \(ledger)"
            )
        }
        let running: RunningLedger
        do throws(OpenFailure) {
            running = try RunningLedger(
                volume, settings: configuration.settings,
                report: configuration.report(options: options), logger: logger,
                transport: WitnessClient.post)
        } catch { throw Failure(error) }
        try configuration.checkPolicy(running.identity.origin)
        let pulse = LoopPulse()
        let (place, path) = try place(configuration, manager)
        let server = SocketServer(
            running, at: place, logger: logger, pulse: pulse,
            isListening: { logger.log(.listening, "listening", metadata: ["socket": "\(path)"]) })
        var services: [any Service] = [
            LedgerService(ledger: running), server, NotifyService(manager, running, pulse),
            ReloadService(
                ledger: running, folder: ledger, path: config, options: options,
                started: configuration,
                manager: manager, signals: await UnixSignalsSequence(trapping: .sighup),
                logger: logger),
        ]
        for listener in manager.listeners where listener.name == "metrics" {
            services.append(
                PlainServer(metricsOf: running, on: listener.descriptor, logger: logger))
        }
        #if PostgreSQL
            if let source = configuration.source, let model = running.model {
                services.append(ModelService(model, source, running.metrics, logger: logger))
            }
        #endif
        defer { JSONLogHandler.flush() }
        if untilInputEnds { Self.endWithInput() }
        try await run(services, logger)
        logger.log(.stopped, "stopped")
    }

    /// What no file says, but the daemon needs.
    private func complete(_ configuration: inout Configuration) throws(Failure) {
        configuration.settings.archive = configuration.archive?.access
        try configuration.openAccessLog(beside: ledger)
        configuration.settings.version = Version.number
        configuration.settings.retainedBytesLimit = configuration.source.map {
            Int($0.retainedBytesWarning)
        }
        try SystemNeeds.plan(&configuration.settings)
    }

    /// Settings that the command line has.
    private var options: [Setting: String] {
        guard let socket else { return [:] }
        var json = JSONWriter()
        json.string(socket)
        return [.socket: String(decoding: json.bytes, as: UTF8.self)]
    }

    static func manager() throws(Failure) -> ServiceManager {
        do throws(ServiceManager.Malformed) { return try ServiceManager.ofProcess() } catch {
            throw Failure(.badConfiguration, "the service manager: \(error)")
        }
    }

    /// Where clients connect, and the path of it for messages.
    private func place(
        _ configuration: Configuration, _ manager: ServiceManager
    ) throws(Failure) -> (SocketServer.Place, String) {
        let path =
            socket ?? .environment("STARDUST_SOCKET") ?? configuration.socket ?? .defaultSocketPath
        var passed: Int32?
        for listener in manager.listeners {
            let families: [Int32]
            switch listener.name {
            case "clients": (families, passed) = ([AF_UNIX], listener.descriptor)
            case "metrics": families = [AF_INET, AF_INET6]
            default:
                throw Failure(
                    .badConfiguration,
                    "the service manager passed a socket \"\(listener.name)\"; FileDescriptorName= must be "
                        + "clients or metrics")
            }
            guard let family = ServiceManager.family(of: listener.descriptor),
                families.contains(family)
            else {
                throw Failure(
                    .badConfiguration,
                    "the socket \"\(listener.name)\" is of the wrong family: clients connect to a path, "
                        + "a collector of metrics to a TCP port")
            }
        }
        guard let passed else { return (.path(path, group: configuration.socketGroup), path) }
        let own = UnixSocket.path(of: passed) ?? "?"
        guard socket == nil || socket == own else {
            throw Failure(
                .badConfiguration,
                "--socket is \(path), but the service manager passed \(own); leave --socket out")
        }
        return (.passed(passed), own)
    }

    /// Takes the folder for this process. The second value is held as long as it runs.
    private func openLocked(
        _ configuration: inout Configuration
    ) throws(Failure) -> (any Volume, any Sendable) {
        configuration.settings.modelFolder = Self.absolute(ledger)
        if configuration.archive != nil {
            configuration.settings.machine = try configuration.thisMachine()
            configuration.settings.segmentAge = configuration.archive!.segmentAge
        }
        try Self.checkKeys(configuration.settings.keysFolder)
        let (volume, lock) = try LockedLedger.open(ledger)
        try Self.refuseShared(ledger, "")
        return (volume, lock)
    }

    /// Opens the folder beside whoever else uses it.
    private func open(
        _ configuration: inout Configuration
    ) throws(Failure) -> (any Volume, any Sendable) {
        configuration.settings.isReadOnly = true
        configuration.source = nil
        do throws(FileFailure) {
            let scratch = try ScratchFolder(
                in: String.environment("TMPDIR") ?? "/tmp", "stardust-read")
            return (
                OverlayVolume(
                    lower: try PosixVolume(root: ledger),
                    upper: try PosixVolume(root: scratch.path)), scratch
            )
        } catch { throw Failure(OpenFailure.file(error)) }
    }

    /// Stops the daemon, as SIGTERM would, once standard input ends.
    private static func endWithInput() {
        startThread("input") {
            var byte: UInt8 = 0
            // Safety: the buffer is one byte.
            while unsafe read(0, &byte, 1) != 0 {}
            kill(getpid(), SIGTERM)
        }
    }

    private func run(_ services: [any Service], _ logger: Logger) async throws {
        do { try await SignalledServices.run(services, logger) } catch let failure
            as RunningLedger.RunFailure
        {
            if case .open(let cause) = failure { throw Failure(cause) }
            throw Failure(.inputOutput, failure.description)
        } catch let refused as SocketFile.Refused {
            throw Failure(.cannotCreate, refused.description)
        } catch let lost as SocketFile.Lost {
            logger.log(.socketLost, "\(lost)")
            throw Failure(.inputOutput, lost.description)
        } catch {
            throw Failure(.cannotCreate, "the socket: \(error)")
        }
    }

    /// Refuses a folder of keys that is missing, closed to the daemon, or without keys. The ledger
    /// says later which key it needs.
    private static func checkKeys(_ folder: String?) throws(Failure) {
        guard let folder else { return }
        let names: [String]
        do throws(FileFailure) { names = try PosixVolume(root: folder).list("") } catch {
            throw Failure(.cannotOpenInput, "keys: \(error)")
        }
        try refuseShared(folder, "keys: ")
        guard names.contains(where: { $0 == LedgerLayout.key || $0.hasPrefix("key-") }) else {
            throw Failure(
                .cannotOpenInput,
                "keys: \(folder) holds no key; it needs the ledger's file \(LedgerLayout.key)")
        }
    }

    /// Refuses a folder in which everybody could replace the files.
    fileprivate static func refuseShared(_ folder: String, _ what: String) throws(Failure) {
        var status = stat()
        guard unsafe stat(folder, &status) == 0, status.st_mode & 0o002 != 0 else { return }
        throw Failure(
            .notPermitted,
            "\(what)everybody may write to \(folder), and so could replace its files; run "
                + "`chmod go= \(folder)`, and look whether somebody has: `stardust verify`")
    }

    /// Whether others reach the ledger's files, as early versions made them.
    private static func isReadableByOthers(_ ledger: String) -> Bool {
        [ledger, "\(ledger)/\(LedgerLayout.identity)"].allSatisfy { path in
            var status = stat()
            return unsafe stat(path, &status) == 0 && status.st_mode & 0o077 != 0
        }
    }

    /// The folder's absolute path, for programs with another working directory.
    private static func absolute(_ path: String) -> String {
        // Safety: the system allocates the text; it is copied and freed.
        guard let resolved = unsafe realpath(path, nil) else { return path }
        defer { unsafe free(resolved) }
        return unsafe String(cString: resolved)
    }

    /// Batch buffers are allocated and freed many times a second. Memory returned to the system
    /// each time would have to be cleared again each time.
    private static func keepFreedMemory() {
        stardust_keep_freed_memory(16 << 20)
    }

    /// Private keys are in memory, and others may get to read a core dump.
    private static func keepKeysOutOfDumps() {
        // If this is refused, the system decides about dumps; the key files are still protected.
        stardust_forbid_dumps()
    }
}

extension String {
    /// The folder of systemd's credentials, if it contains a ledger's key.
    static var credentials: String? {
        environment("CREDENTIALS_DIRECTORY").flatMap { folder in
            unsafe access("\(folder)/\(LedgerLayout.key)", F_OK) == 0 ? folder : nil
        }
    }
}

/// A ledger's folder, locked so that no other process changes it.
enum LockedLedger {
    /// Creates a folder, and those it is in, if they are missing.
    static func makeFolder(_ path: String) throws(Failure) {
        let parent = path.folder
        if !parent.isEmpty, unsafe access(parent, F_OK) != 0 { try makeFolder(parent) }
        if unsafe mkdir(path, 0o700) != 0 && errno != EEXIST {
            throw Failure(.cannotCreate, "could not create \(path): \(errorName(errno))")
        }
    }

    static func open(_ ledger: String) throws(Failure) -> (PosixVolume, LedgerLock) {
        let volume: PosixVolume
        do throws(FileFailure) { volume = try PosixVolume(root: ledger) } catch {
            throw Failure(OpenFailure.file(error))
        }
        guard !volume.isOthers else {
            throw Failure(
                .notPermitted,
                "\(volume.root) belongs to another user; run the command as that user, or as root")
        }
        do throws(LedgerLock.Failure) {
            return (volume, try LedgerLock(folder: volume.root))
        } catch {
            if case .failed(let failure) = error { throw Failure(OpenFailure.file(failure)) }
            throw Failure(.locked, error.description)
        }
    }
}

/// Ends the process some seconds after it was told to stop, whatever holds it up: everything
/// acknowledged is durable, and the next start mends the rest.
enum EndInTime {
    private static let patience: Duration = .seconds(5)

    static func watch() {
        Task {
            for await _ in await UnixSignalsSequence(trapping: .sigterm, .sigint) {
                startThread("end") {
                    _ = usleep(UInt32(patience / .microseconds(1)))
                    _exit(ExitCode.inputOutput.rawValue)
                }
            }
        }
    }
}

/// The ledger as a service: ends when the group shuts down, or when the ledger fails.
private struct LedgerService: Service {
    let ledger: RunningLedger

    func run() async throws {
        let (ends, continuation) = AsyncStream<RunningLedger.RunFailure?>.makeStream()
        ledger.start { failure in
            continuation.yield(failure)
            continuation.finish()
        }
        try await withGracefulShutdownHandler {
            for await failure in ends {
                if let failure { throw failure }
            }
        } onGracefulShutdown: {
            ledger.stop()
        }
    }
}
