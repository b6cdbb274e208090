#if PostgreSQL
    internal import Glibc
    package import Logging
    internal import Platform
    package import ReadModel
    internal import Synchronization

    /// Keeps a read model in step with PostgreSQL: copies, follows, and recovers from failures.
    package final class Synchronizer: Sendable {
        private let folder: ModelFolder
        private let settings: SyncSettings
        private let logger: Logger
        private let observer: any SyncObserver
        private let stopped = Monitor(false)

        package init(
            _ folder: ModelFolder, _ settings: SyncSettings, _ observer: any SyncObserver,
            logger: Logger
        ) {
            (self.folder, self.settings) = (folder, settings)
            (self.observer, self.logger) = (observer, logger)
        }

        /// Ends `run` soon, with every complete transaction durable.
        package func stop() { stopped.change { $0 = true } }

        private var isStopped: Bool { stopped.withLock { $0 } }

        private var context: SourceContext {
            SourceContext(logger) { [stopped] in stopped.withLock { $0 } }
        }

        /// Follows until `stop`, or until somebody must decide: then the returned failure says
        /// what. The caller holds the folder's lock. Blocks.
        package func run() -> ReplicationFailure? {
            var backoff = Backoff(
                from: ReplicationLimits.pauseMin, to: ReplicationLimits.pauseMax)
            var resyncs = settings.resyncs
            var isStepping = false
            while !isStopped {
                let began = ContinuousClock.now
                do throws(ReplicationFailure) {
                    try attempt(&resyncs, isStepping: isStepping)
                    return nil
                } catch {
                    if isStopped { return nil }
                    // Many transactions are committed together. Try once more, one by one, so that
                    // everything before the one that cannot be applied is kept.
                    if error.needsResync, !isStepping {
                        isStepping = true
                        continue
                    }
                    record(error)
                    guard error.isTransient else {
                        observer.failed(error, willRetryIn: nil)
                        return error
                    }
                    // After a failure that followed a long run, retry with the shortest pause.
                    if ContinuousClock.now - began > ReplicationLimits.pauseMax { backoff.reset() }
                    let pause = backoff.pause()
                    observer.failed(error, willRetryIn: pause)
                    logger.log(
                        .replicationInterrupted, "replication is interrupted",
                        metadata: ["reason": "\(error)"])
                    wait(pause)
                }
            }
            return nil
        }

        /// Follows until `stop`, as a service of the daemon does. If an operator must decide, it lets
        /// others write and tries again later, so that it picks up the fix. Blocks.
        package func runAsService() {
            var backoff = Backoff(
                from: ReplicationLimits.servicePauseMin, to: ReplicationLimits.servicePauseMax)
            var told: String?
            while !isStopped {
                let began = ContinuousClock.now
                guard let reason = runLocked() else { return }
                if reason != told {
                    logger.log(
                        .modelStopped,
                        "the read model has stopped following; the ledger is unaffected",
                        metadata: ["reason": "\(reason)"])
                }
                told = reason
                if ContinuousClock.now - began > ReplicationLimits.servicePauseMax {
                    backoff.reset()
                }
                wait(backoff.pause())
            }
        }

        /// Holds the folder's lock and runs; returns why somebody has to decide.
        private func runLocked() -> String? {
            let lock: ModelFolder.Lock
            do throws(ModelFailure) { lock = try folder.lock() } catch {
                observer.failed(.model(error), willRetryIn: nil)
                return error.description
            }
            defer { withExtendedLifetime(lock) {} }
            return run()?.description
        }

        private func wait(_ time: Duration) {
            _ = stopped.wait(until: .now + time) { $0 ? true : nil }
        }

        /// Records beside the rows why replication stopped.
        private func record(_ failure: ReplicationFailure) {
            // If even that cannot be written, the log has it.
            guard let writer = try? ModelWriter(folder), writer.state.source == .postgres else {
                return
            }
            // The reason for a new copy stays; what follows from it is not a reason of its own.
            guard writer.state.phase == .live else { return }
            writer.state.lastError = failure.description
            if failure.needsResync { writer.state.phase = .needsResync }
            try? writer.save()
        }

        /// Whether a source can be followed. Throws `setup` or `denied` with all that stands in the
        /// way, and what to do about it. Changes nothing. Blocks.
        package static func check(
            _ settings: SyncSettings, _ context: SourceContext
        ) throws(ReplicationFailure) {
            let catalog = SourceCatalog(
                try PostgresClient(settings.source, .sql, context), settings)
            try checkServer(try catalog.server())
            try preflight(catalog, settings)
            _ = try PostgresClient(settings.source, .replication, context).rows("IDENTIFY_SYSTEM")
        }

        private static func checkServer(
            _ server: SourceCatalog.Server
        ) throws(ReplicationFailure) {
            guard server.version >= 130_000 else {
                throw .setup("PostgreSQL 13 or later is required, not \(server.version / 10_000)")
            }
            guard server.walLevel == "logical" else {
                throw .setup(
                    "the source has wal_level = \(server.walLevel); set it to logical and restart "
                        + "PostgreSQL")
            }
        }

        private static func preflight(
            _ catalog: SourceCatalog, _ settings: SyncSettings
        ) throws(ReplicationFailure) {
            try refuse(try SourcePreflight(catalog: catalog, settings: settings).run())
        }

        private static func refuse(
            _ obstacles: [SourcePreflight.Obstacle]
        ) throws(ReplicationFailure) {
            guard !obstacles.isEmpty else { return }
            let text = obstacles.map(\.text).joined(separator: "\n")
            throw obstacles.allSatisfy(\.isOfRights) ? .denied(text) : .setup(text)
        }

        // MARK: One attempt

        private func attempt(
            _ resyncs: inout Bool, isStepping: Bool
        ) throws(ReplicationFailure) {
            let catalog = SourceCatalog(try connect(.sql), settings)
            let server = try catalog.server()
            try Self.checkServer(server)
            let preflight = SourcePreflight(catalog: catalog, settings: settings)
            try Self.refuse(try preflight.replicationRight())
            let replication = try connect(.replication)
            let system = try replication.rows("IDENTIFY_SYSTEM")
            guard let row = system.first, row.count >= 2, let systemID = row[0],
                let timeline = row[1].flatMap({ Int64($0) })
            else { throw .protocolViolated("a server without an identity") }
            var writer: ModelWriter?
            do throws(ModelFailure) { writer = try ModelWriter(folder) } catch {
                // An unreadable read model is replaced if a new copy was requested.
                guard resyncs else { throw .model(error) }
            }
            // Before a copy, everything that stands in its way is said at once.
            if writer == nil || resyncs { try Self.preflight(catalog, settings) }
            let slot = try catalog.slot(settings.slot)
            let owned = try ownedSlot(systemID)
            let plan = SyncPlan(
                SyncPlan.Facts(
                    state: writer?.state, ownsSlot: owned != nil,
                    hasUnfinishedCopy: owned.map { !$0.isFinished } ?? false,
                    slotName: settings.slot, slot: slot, systemID: systemID, timeline: timeline,
                    serverLSN: server.lsn, creates: settings.creates, resyncs: resyncs))
            var confirmed: LSN?
            switch plan {
            case .refuse(let reason): throw .setup(reason)
            case .outdated(let reason): throw .outdated(reason)
            case .stream:
                try preparePublication(catalog)
                confirmed = slot?.confirmed
                if owned == nil, let number = folder.current {
                    let slot = OwnedSlot(
                        name: settings.slot, systemID: systemID, copy: number, isFinished: true)
                    do throws(ModelFailure) { try folder.own(slot) } catch { throw .model(error) }
                }
            case .copy(let dropsSlot, let reason):
                if writer != nil, !resyncs { try Self.preflight(catalog, settings) }
                try preparePublication(catalog)
                logger.log(.modelCopying, "copying all tables", metadata: ["reason": "\(reason)"])
                writer = nil
                let copy = InitialCopy(
                    folder: folder, settings: settings, catalog: catalog, replication: replication,
                    systemID: systemID, timeline: timeline, wasOwner: owned != nil,
                    observer: observer, logger: logger)
                writer = try copy.run(dropsSlot: dropsSlot)
                resyncs = false
            }
            // Read after a copy, so that changes made during the copy are included.
            let now = try catalog.server().lsn
            try follow(
                writer!, catalog, replication, server, from: confirmed,
                until: settings.endsWhenCaughtUp ? now : nil, stepsUntil: isStepping ? now : .zero)
        }

        /// A caller that only wants to catch up learns at once that the server is unreachable.
        private func connect(
            _ kind: PostgresClient.Kind
        ) throws(ReplicationFailure) -> PostgresClient {
            do throws(ReplicationFailure) {
                return try PostgresClient(settings.source, kind, context)
            } catch {
                guard settings.endsWhenCaughtUp, case .connection = error else { throw error }
                throw .unreachable(error.description)
            }
        }

        private func preparePublication(_ catalog: SourceCatalog) throws(ReplicationFailure) {
            let name = settings.publication
            switch try catalog.obstacle(publication: name) {
            case nil: return
            case .wrong(let detail): throw .setup("the publication \(name) \(detail)")
            case .missing where settings.creates: try catalog.createPublication(name)
            case .missing:
                let statement = SourceCatalog.creation(of: name, schema: settings.schema)
                throw .setup(
                    "the source has no publication \(name). Allow creating it with --create, or "
                        + "run: " + statement)
            }
        }

        /// What is recorded about the slot, if this ledger made it at this server.
        private func ownedSlot(_ systemID: String) throws(ReplicationFailure) -> OwnedSlot? {
            let owned: OwnedSlot?
            do throws(ModelFailure) { owned = try folder.ownedSlot() } catch {
                throw .model(error)
            }
            guard let owned else { return nil }
            if owned.name == settings.slot, owned.systemID == systemID { return owned }
            logger.log(
                .slotLeft, "the slot used until now may remain at its source; if so, drop it there",
                metadata: ["slot": "\(owned.name)"])
            return nil
        }

        private func follow(
            _ writer: ModelWriter, _ catalog: SourceCatalog, _ replication: PostgresClient,
            _ server: SourceCatalog.Server, from confirmed: LSN?, until target: LSN?,
            stepsUntil: LSN
        ) throws(ReplicationFailure) {
            // What was applied but not confirmed comes again: it shows that this is the same log.
            let stream = try ReplicationStream(
                replication, slot: settings.slot, publication: settings.publication,
                from: confirmed ?? writer.state.lsn)
            // Shows that the file can be written, before anybody is told that it is followed.
            writer.state.lastError = nil
            do throws(ModelFailure) { try writer.save() } catch { throw .model(error) }
            logger.log(.modelFollowing, "following", metadata: ["lsn": "\(writer.state.lsn)"])
            observer.applied(0, writer.state)
            let heartbeat = Heartbeat(
                stream, lsn: confirmed ?? writer.state.lsn,
                retainedBytesWarning: settings.retainedBytesWarning)
            let patience = Duration.milliseconds(server.senderTimeout / 3)
            let interval =
                server.senderTimeout > 0
                ? min(ReplicationLimits.heartbeatInterval, patience)
                : ReplicationLimits.heartbeatInterval
            // Use a separate connection: the other one serves the applying thread.
            let watcher = SourceCatalog(try connect(.sql), settings)
            let (name, logger) = (settings.slot, logger)
            startThread("heartbeat") {
                heartbeat.run(watcher, slot: name, every: interval, logger)
            }
            defer { heartbeat.end() }
            let applier = ChangeApplier(
                writer, catalog, schema: settings.schema, confirmed: confirmed, logger: logger)
            let session = StreamSession(
                stream, applier, heartbeat, until: target, stepsUntil: stepsUntil, observer,
                isStopped: { [self] in isStopped })
            do throws(ReplicationFailure) { try session.run() } catch {
                // The server decodes old changes with the publications of their time (42704).
                guard case .server(state: "42704", let message) = error else { throw error }
                throw .schema(
                    "the publication \(settings.publication) was dropped, or dropped and created "
                        + "again, and nothing says what was not published since (\(message))")
            }
        }
    }
#endif
