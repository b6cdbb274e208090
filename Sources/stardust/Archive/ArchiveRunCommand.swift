internal import Archive
internal import ArgumentParser
internal import Logging
internal import ObjectStore
internal import Platform
internal import Publishing
internal import ServiceLifecycle
internal import StardustCore
internal import StardustHTTP
internal import UnixSignals

struct ArchiveRunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Ship the ledger to its stores as it grows.",
        discussion: """
            Reads a running daemon, which must grant this user the role audit. It never changes the \
            ledger and never deletes in a store. If the configuration names a socket, it reads archived \
            segments for the daemon there. Logs JSON lines to standard error. SIGTERM or SIGINT stops \
            it. Keeps copies of up to two segments in $TMPDIR, by default /var/tmp. Exit codes: 65 \
            another writer of this ledger was found, 75 another machine has taken \
            the ledger over, 78 a store fails the checks of `archive check`.
            """)

    @OptionGroup var options: ArchiveOptions

    func run() async throws {
        let manager = try ServeCommand.manager()
        Signals.leaveNoBacktrace()
        // Shipping may wait; whoever waits for a receipt may not.
        ProcessPriority.lower()
        let (archive, source) = try options.settings()
        var stores: [any ObjectStore] = []
        for settings in archive.stores { stores.append(try settings.open()) }
        let locked = Set(
            zip(stores, archive.stores).filter { $1.objectLock != nil }.map(\.0.name))
        let logger = Logger(label: "stardust") { JSONLogHandler(label: $0) }
        let spool = String.environment("TMPDIR") ?? "/var/tmp"
        let spooled = SpooledSource(source, folder: spool) { [logger] in
            logger.log(.archiveSpoolFailed, "segments are read again for each store: \($0)")
        }
        let process = ArchiveProcess(spooled, stores, archive.shipping, logger: logger) {
            (store, patience) throws(StoreFailure) in
            try ArchiveCheckCommand.holds(store, isLocked: locked.contains(store.name), patience)
        }
        defer { JSONLogHandler.flush() }
        var services: [any Service] = [
            ArchiveService(process: process), StoppingNotice(manager: manager),
        ]
        if let socket = archive.socket {
            services.append(server(process, source, stores, socket, logger))
        }
        logger.log(.archiving, "archiving", metadata: ["stores": "\(stores.map(\.name))"])
        manager.tell(["READY=1", "STATUS=archiving"])
        do { try await SignalledServices.run(services, logger) } catch let failure as ArchiveFailure
        {
            throw Failure(failure)
        } catch let refused as SocketFile.Refused {
            throw Failure(.cannotCreate, refused.description)
        }
        logger.log(.stopped, "stopped")
    }

    private func server(
        _ process: ArchiveProcess, _ source: SocketSource, _ stores: [any ObjectStore],
        _ socket: String, _ logger: Logger
    ) -> PlainServer {
        let reader = ArchivedReader(
            source, stores, lag: { process.lagSeconds }, patience: { Patience(.seconds(4)) })
        return PlainServer(
            archive: { target in
                if target == "/metrics" {
                    return PlainAnswer(
                        status: 200, contentType: "text/plain; version=0.0.4; charset=utf-8",
                        body: Array(process.metrics.utf8))
                }
                let answer = reader.answer(target)
                return PlainAnswer(
                    status: answer.status, contentType: answer.type, body: answer.body)
            }, socket: socket, group: options.socketGroup, logger: logger)
    }
}

/// Shipping as a service: ends when the group shuts down, or when another writer is found.
private struct ArchiveService: Service {
    let process: ArchiveProcess

    func run() async throws {
        let failure = await withGracefulShutdownHandler {
            await withCheckedContinuation { continuation in
                startThread("archive") { continuation.resume(returning: process.run()) }
            }
        } onGracefulShutdown: {
            process.stop()
        }
        if let failure { throw failure }
    }
}
