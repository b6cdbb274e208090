#if PostgreSQL
    internal import Platform
    import ArgumentParser
    internal import LedgerStorage
    internal import Logging
    internal import Packets
    internal import ReadModel
    internal import Replication
    internal import StardustCore
    internal import UnixSignals

    struct ModelSyncCommand: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "sync", abstract: "Follow PostgreSQL through logical replication.",
            discussion: """
                Copies the engine's tables, then applies every change exactly once until stopped. \
                The daemon can do the same as a service: see `model` in Docs/Configuration.md. \
                Docs/Replication.md lists what the server needs.
                """)

        @Option(help: ArgumentHelp("A libpq connection string.", valueName: "postgres://…"))
        var from: String

        @Option(help: "The ledger's folder. Default: that of the daemon at --socket.")
        var ledger: String?

        @Option(help: "The daemon's socket.")
        var socket: String = .defaultSocketPath

        @Option(help: "The replication slot.")
        var slot = "stardust"

        @Option(help: "The publication.")
        var publication = "stardust"

        @Option(help: "The schema of the engine's tables.")
        var schema = "public"

        @Flag(help: "Create the publication and the slot if they are missing.")
        var create = false

        @Flag(help: "Start with a new copy of all tables.")
        var resync = false

        @Flag(help: "Exit once everything the source has now is applied.")
        var once = false

        private var settings: SyncSettings {
            var settings = SyncSettings(source: from)
            (settings.slot, settings.publication, settings.schema) = (slot, publication, schema)
            (settings.creates, settings.resyncs) = (create || resync, resync)
            settings.endsWhenCaughtUp = once
            return settings
        }

        func validate() throws {
            if let obstacle = settings.obstacle { throw ValidationError(obstacle) }
        }

        func run() async throws {
            let folder = ModelFolder(try await ledgerFolder())
            let lock: ModelFolder.Lock
            do throws(ModelFailure) { lock = try folder.lock() } catch { throw Failure(error) }
            defer { withExtendedLifetime(lock) {} }
            let logger = Logger(label: "stardust") { JSONLogHandler(label: $0) }
            let synchronizer = Synchronizer(folder, settings, SyncProgress(), logger: logger)
            let failure = await withSignals {
                synchronizer.stop()
            } run: {
                synchronizer.run()
            }
            if let failure { throw Failure(failure) }
        }

        private func ledgerFolder() async throws(Failure) -> String {
            if let ledger {
                let volume: PosixVolume
                do throws(FileFailure) { volume = try PosixVolume(root: ledger) } catch {
                    throw Failure(OpenFailure.file(error))
                }
                do throws(OpenFailure) { _ = try Ledger.identity(volume) } catch {
                    throw Failure(error)
                }
                return ledger
            }
            let answer = try await DaemonClient(socket: socket).get("/v1/model/status")
            let document = try JSONDocument(answer: answer)
            guard let folder = document.member("folder", of: 0).flatMap(document.string) else {
                throw Failure(
                    .badInput, "the daemon does not report its ledger's folder; give --ledger")
            }
            return folder
        }

        /// Calls `run`, which blocks, on its own thread, and `stop` when a signal asks it to end.
        private func withSignals(
            stop: @escaping @Sendable () -> Void,
            run: @escaping @Sendable () -> ReplicationFailure?
        ) async -> ReplicationFailure? {
            let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
            return await withTaskGroup(of: Void.self) { group in
                group.addTask { for await _ in signals { stop() } }
                defer { group.cancelAll() }
                return await withCheckedContinuation { continuation in
                    startThread("model") { continuation.resume(returning: run()) }
                }
            }
        }
    }

    /// Shows the progress on a terminal.
    private struct SyncProgress: SyncObserver {
        func applied(_ rows: Int, _ state: ModelState) {
            guard Output.isErrorATerminal else { return }
            Output.progress("applied up to \(state.lsn), the source is at \(state.sourceLSN)")
        }

        func failed(_ failure: ReplicationFailure, willRetryIn: Duration?) {}
    }

    extension Failure {
        init(_ failure: ReplicationFailure) {
            let exit: ExitCode =
                switch failure {
                case .connection, .unreachable, .server: .unreachable
                case .setup: .badConfiguration
                case .schema, .protocolViolated: .no
                case .model(let failure): Failure(failure).exit
                }
            self.init(exit, failure.description)
        }
    }
#endif
