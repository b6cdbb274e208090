#if PostgreSQL
    package import ReadModel

    /// Removes what following leaves at a source: a slot that nobody reads keeps its log for ever.
    package enum Detachment {
        /// The caller holds the folder's lock. Gives what was done, in sentences. What is gone already
        /// is no failure; the read model stays as it is, and says that it follows nothing.
        package static func run(
            _ folder: ModelFolder, _ settings: SyncSettings, _ context: SourceContext
        ) throws(ReplicationFailure) -> [String] {
            let catalog = SourceCatalog(
                try PostgresClient(settings.source, .sql, context), settings)
            // A read model of another version, or a damaged one, cannot say what is its own.
            let writer = (try? ModelWriter(folder)) ?? nil
            let isOwn = try isOwn(folder, settings, writer?.state, catalog)
            if let state = writer?.state, state.slot != nil, !isOwn {
                throw .setup(
                    "the read model follows the slot \(state.slot ?? "?") of another server or name: "
                        + "give its --from and --slot")
            }
            var done: [String] = []
            if let slot = try catalog.slot(settings.slot) {
                guard isOwn else {
                    throw .setup(
                        "this ledger did not make the slot \(settings.slot); another one may have. If "
                            + "nobody uses it: SELECT pg_drop_replication_slot('\(settings.slot)')")
                }
                if let pid = slot.activePID {
                    throw .setup(
                        "the slot \(settings.slot) is in use by process \(pid) of the server; stop "
                            + "whatever follows it first")
                }
                _ = try catalog.client.rows(
                    "SELECT pg_drop_replication_slot($1)", [settings.slot],
                    within: ReplicationLimits.catalogueTime)
                done.append("dropped the slot \(settings.slot)")
            } else {
                done.append("there is no slot \(settings.slot)")
            }
            if isOwn { folder.disown() }
            try mark(writer)
            done.append(
                isOwn
                    ? try dropPublication(settings.publication, catalog)
                    : "the publication \(settings.publication) was left alone")
            return done
        }

        /// Whether this read model, or a copy for it that was interrupted, made the slot.
        private static func isOwn(
            _ folder: ModelFolder, _ settings: SyncSettings, _ state: ModelState?,
            _ catalog: SourceCatalog
        ) throws(ReplicationFailure) -> Bool {
            let owned: OwnedSlot?
            do throws(ModelFailure) { owned = try folder.ownedSlot() } catch {
                throw .model(error)
            }
            let makers = [
                (owned?.name, owned?.systemID), (state?.slot, state?.systemID),
            ].filter { $0.0 == settings.slot }
            guard !makers.isEmpty else { return false }
            let system = try catalog.client.rows(
                "SELECT system_identifier::text FROM pg_control_system()",
                within: ReplicationLimits.catalogueTime)
            return makers.contains { $0.1 != nil && $0.1 == system.first?.first }
        }

        private static func mark(_ writer: ModelWriter?) throws(ReplicationFailure) {
            guard let writer, writer.state.source == .postgres else { return }
            (writer.state.phase, writer.state.slot) = (.needsResync, nil)
            writer.state.retainedBytes = nil
            writer.state.lastError =
                "it was detached from its source with `stardust model detach`; `stardust model sync "
                + "--resync` makes a new copy"
            do throws(ModelFailure) { try writer.save() } catch { throw .model(error) }
        }

        private static func dropPublication(
            _ name: String, _ catalog: SourceCatalog
        ) throws(ReplicationFailure) -> String {
            if case .missing? = try catalog.obstacle(publication: name) {
                return "there is no publication \(name)"
            }
            do throws(ReplicationFailure) {
                _ = try catalog.client.rows("DROP PUBLICATION \(name.quoted)")
                return "dropped the publication \(name)"
            } catch {
                guard case .server(state: "42501", _) = error else { throw error }
                return "the publication \(name) belongs to somebody else, who can drop it: "
                    + "DROP PUBLICATION \(name.quoted);"
            }
        }
    }
#endif
