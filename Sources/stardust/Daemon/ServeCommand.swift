import ArgumentParser
internal import CPlatform
internal import Glibc
internal import LedgerStorage
internal import Logging
internal import Platform
internal import ServiceLifecycle
internal import StardustCore
internal import StardustHTTP
internal import UnixSignals

struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Run the daemon on a ledger that `init` has made.",
        discussion: """
            Logs are JSON lines on standard error. SIGTERM or SIGINT ends it cleanly within five \
            seconds. Exit codes: 74 a write failed for good, 75 another process has the ledger.
            """)

    @Argument(help: "The ledger's folder.")
    var ledger: String

    @Option(
        help: "The Unix socket. Without it: the configuration's, $STARDUST_SOCKET, or the default.")
    var socket: String?

    @Option(help: "A configuration file; Docs/Configuration.md has its members.")
    var config: String?

    func run() async throws {
        var configuration = try Configuration(path: config)
        configuration.settings.keysFolder = configuration.settings.keysFolder ?? .credentials
        configuration.settings.modelFolder = Self.absolute(ledger)
        let (volume, lock) = try LockedLedger.open(ledger)
        defer { withExtendedLifetime(lock) {} }
        Self.raiseDescriptorLimit()
        Self.keepFreedMemory()
        Self.keepKeysOutOfDumps()
        let logger = Logger(label: "stardust") { JSONLogHandler(label: $0) }
        let running: RunningLedger
        do throws(OpenFailure) {
            running = try RunningLedger(
                volume, settings: configuration.settings, logger: logger,
                transport: WitnessClient.post)
        } catch { throw Failure(error) }
        let path = socket ?? configuration.socket ?? .defaultSocketPath
        let server = SocketServer(
            running, path: path, policy: configuration.policy, logger: logger,
            isListening: { logger.notice("listening", metadata: ["socket": "\(path)"]) })
        var services: [any Service] = [LedgerService(ledger: running), server]
        #if PostgreSQL
            if let source = configuration.source, let model = running.model {
                services.append(ModelService(model, source, running.metrics, logger: logger))
            }
        #endif
        try await run(services, logger)
        logger.notice("stopped")
    }

    private func run(_ services: [any Service], _ logger: Logger) async throws {
        var quiet = logger
        quiet.logLevel = .error
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: services.map { service in
                    ServiceGroupConfiguration.ServiceConfiguration(
                        service: service,
                        successTerminationBehavior: .gracefullyShutdownGroup,
                        failureTerminationBehavior: .gracefullyShutdownGroup)
                },
                gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet))
        do { try await group.run() } catch let failure as RunningLedger.RunFailure {
            throw Failure(.inputOutput, failure.description)
        } catch let refused as SocketFile.Refused {
            throw Failure(.cannotCreate, refused.description)
        } catch {
            throw Failure(.cannotCreate, "the socket: \(error)")
        }
    }

    /// The folder for whoever looks from elsewhere.
    private static func absolute(_ path: String) -> String {
        // Safety: the system allocates the text; it is copied and freed.
        guard let resolved = unsafe realpath(path, nil) else { return path }
        defer { unsafe free(resolved) }
        return unsafe String(cString: resolved)
    }

    /// Buffers of a batch come and go many times a second: memory that is given back to the system
    /// each time is cleared again each time.
    private static func keepFreedMemory() {
        stardust_keep_freed_memory(16 << 20)
    }

    /// Private keys are in memory, and a dump is a file that others may get to see.
    private static func keepKeysOutOfDumps() {
        // Where it is refused, dumps are what the system makes of them: the keys' files are guarded.
        stardust_forbid_dumps()
    }

    /// A connection is a descriptor: as many as the system allows.
    private static func raiseDescriptorLimit() {
        var limit = rlimit()
        guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else {
            return
        }
        limit.rlim_cur = limit.rlim_max
        // A lower limit only means fewer connections.
        _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }
}

extension String {
    /// The folder of systemd's credentials, where it has a ledger's key.
    static var credentials: String? {
        environment("CREDENTIALS_DIRECTORY").flatMap { folder in
            unsafe access("\(folder)/\(LedgerLayout.key)", F_OK) == 0 ? folder : nil
        }
    }
}

/// A ledger's folder for whoever is the only one to change it.
enum LockedLedger {
    /// Makes a folder where it is missing.
    static func makeFolder(_ path: String) throws(Failure) {
        if unsafe mkdir(path, 0o750) != 0 && errno != EEXIST {
            throw Failure(.cannotCreate, "could not make \(path): \(errorName(errno))")
        }
    }

    static func open(_ ledger: String) throws(Failure) -> (PosixVolume, LedgerLock) {
        let volume: PosixVolume
        do throws(FileFailure) { volume = try PosixVolume(root: ledger) } catch {
            throw Failure(OpenFailure.file(error))
        }
        do throws(LedgerLock.Failure) {
            return (volume, try LedgerLock(folder: volume.root))
        } catch {
            if case .failed(let failure) = error { throw Failure(OpenFailure.file(failure)) }
            throw Failure(.locked, error.description)
        }
    }
}

/// The ledger in the group of services: ends when the group shuts down, or when it must.
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
