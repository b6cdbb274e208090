#if PostgreSQL
    import ArgumentParser
    internal import Logging
    internal import Packets
    internal import ReadModel
    internal import Platform
    internal import Replication
    internal import StardustCore

    struct ModelSyncCommand: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "sync", abstract: "Follow PostgreSQL through logical replication.",
            discussion: """
                Copies the engine's tables, then applies every change exactly once until stopped. \
                The daemon can do the same as a service: see `model` in Docs/Configuration.md. \
                Docs/Replication.md lists what the server needs.
                """)

        @OptionGroup var source: ModelSourceOptions

        @OptionGroup var result: ResultOptions

        @Flag(help: "Create the publication and the slot if they are missing.")
        var create = false

        @Flag(help: "Start with a new copy of all tables.")
        var resync = false

        @Flag(help: "Exit once everything the source has now is applied.")
        var once = false

        @Flag(help: "Check whether the source can be followed, change nothing, and exit.")
        var check = false

        private var settings: SyncSettings {
            var settings = source.settings
            (settings.creates, settings.resyncs) = (create || resync, resync)
            settings.endsWhenCaughtUp = once
            return settings
        }

        func run() async throws {
            if check { return try checkSource() }
            let folder = ModelFolder(try await source.ledgerFolder())
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

        private func checkSource() throws(Failure) {
            let logger = Logger(label: "stardust") { JSONLogHandler(label: $0) }
            do throws(ReplicationFailure) {
                try Synchronizer.check(settings, SourceContext(logger))
            } catch {
                throw Failure(error)
            }
            try result.show("the source can be followed") { $0.member("can_be_followed", true) }
        }
    }

    /// Shows the progress on a terminal.
    private struct SyncProgress: SyncObserver {
        func applied(_ rows: Int, _ state: ModelState) {
            guard Output.isErrorATerminal else { return }
            Output.progress("applied up to \(state.lsn), the source is at \(state.sourceLSN)")
        }

        // The log says it.
        func waits(for reason: String?) {}
        func failed(_ failure: ReplicationFailure, willRetryIn: Duration?) {}
    }

    extension Failure {
        init(_ failure: ReplicationFailure) {
            let exit: ExitCode =
                switch failure {
                case .connection, .unreachable, .server: .unreachable
                case .setup: .badConfiguration
                case .denied: .notPermitted
                case .schema, .outdated, .protocolViolated: .no
                case .model(let failure): Failure(failure).exit
                }
            self.init(exit, failure.description)
        }
    }
#endif
