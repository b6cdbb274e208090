#if PostgreSQL
    package import ReadModel

    /// Removes what following leaves at a source: a slot that nobody reads keeps its log for ever.
    package enum Detachment {
        /// The caller holds the folder's lock. Gives what was done, in sentences. What is gone already
        /// is no failure; the read model stays as it is, and says that it follows nothing.
        package static func run(
            _ folder: ModelFolder, _ settings: SyncSettings
        ) throws(ReplicationFailure) -> [String] {
            let catalog = SourceCatalog(try PostgresClient(settings.source, .sql), settings)
            let writer: ModelWriter?
            do throws(ModelFailure) { writer = try ModelWriter(folder) } catch {
                throw .model(error)
            }
            var done: [String] = []
            if let slot = try catalog.slot(settings.slot) {
                guard slot.isOurKind, writer?.state.slot ?? settings.slot == settings.slot else {
                    throw .setup(
                        "the slot \(settings.slot) is not this read model's; name its own: --slot")
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
            try mark(writer)
            done.append(try dropPublication(settings.publication, catalog))
            return done
        }

        private static func mark(_ writer: ModelWriter?) throws(ReplicationFailure) {
            guard let writer, writer.state.source == .postgres else { return }
            (writer.state.phase, writer.state.slot) = (.needsResync, nil)
            writer.state.lastError = "it was detached from its source with `stardust model detach`"
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
