#if PostgreSQL
    internal import Logging
    internal import Platform
    internal import ReadModel

    /// Copies all tables as of one point in the source's history. A new slot continues from there.
    struct InitialCopy {
        let folder: ModelFolder
        let settings: SyncSettings
        let catalog: SourceCatalog
        let replication: PostgresClient
        let systemID: String
        let timeline: Int64
        /// Whether the ledger was on record as the slot's maker before.
        let wasOwner: Bool
        let observer: any SyncObserver
        let logger: Logger

        func run(dropsSlot: Bool) throws(ReplicationFailure) -> ModelWriter {
            var state = ModelState(.postgres, .copying)
            (state.slot, state.publication) = (settings.slot, settings.publication)
            (state.systemID, state.timeline) = (systemID, timeline)
            let schemas = try schemas(&state)
            let writer: ModelWriter
            do throws(ModelFailure) {
                writer = try ModelWriter(copyingInto: folder, schemas, state)
                try removeLeftovers(but: writer.number)
                // Before the slot exists: after a crash at any later point, this shows that the slot
                // is ours, and the next attempt may replace it.
                try folder.own(slot(of: writer.number, isFinished: false))
            } catch { throw .model(error) }
            do throws(ReplicationFailure) {
                if dropsSlot {
                    _ = try replication.rows("DROP_REPLICATION_SLOT \(settings.slot.quoted)")
                }
                let creation = SlotCreation(
                    replication: replication, catalog: catalog, observer: observer, logger: logger)
                let (lsn, snapshot) = try creation.run(settings.slot)
                try copyAll(writer, within: snapshot)
                writer.state.phase = .live
                (writer.state.lsn, writer.state.sourceLSN) = (lsn, lsn)
                do throws(ModelFailure) {
                    let finished = try writer.finishCopy()
                    try folder.own(slot(of: finished.number, isFinished: true))
                    return finished
                } catch { throw .model(error) }
            } catch {
                // A slot that nobody reads would retain the log. If it may remain, the record does,
                // too, and the next attempt drops it.
                if case .server(state: "42710", _) = error {
                    // Another ledger made a slot of this name meanwhile (duplicate_object).
                    if !wasOwner { folder.disown() }
                } else if dropSlot() {
                    folder.disown()
                }
                if folder.current != writer.number { folder.remove(writer.number) }
                throw error
            }
        }

        private func slot(of copy: Int, isFinished: Bool) -> OwnedSlot {
            OwnedSlot(
                name: settings.slot, systemID: systemID, copy: copy, isFinished: isFinished)
        }

        /// Whether the slot is gone. Does not wait for long, whatever the server does.
        private func dropSlot() -> Bool {
            let end = ContinuousClock.now + ReplicationLimits.cancelTime
            var brief = SourceContext(logger) { ContinuousClock.now > end }
            brief.cancels = false
            do throws(ReplicationFailure) {
                let client = try PostgresClient(settings.source, .sql, brief)
                _ = try client.rows(
                    """
                    SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
                    WHERE slot_name = $1 AND NOT active
                    """, [settings.slot])
                return try client.rows(
                    "SELECT 1 FROM pg_replication_slots WHERE slot_name = $1", [settings.slot]
                ).isEmpty
            } catch { return false }
        }

        private func copyAll(
            _ writer: ModelWriter, within snapshot: String
        ) throws(ReplicationFailure) {
            let client = catalog.client
            _ = try client.rows("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            _ = try client.rows("SET TRANSACTION SNAPSHOT '\(snapshot)'")
            // A slot that waits retains log.
            _ = try client.rows("SET LOCAL lock_timeout = '30s'")
            try catalog.lockUnchanged()
            let source = try catalog.tables()
            for table in writer.tables {
                try copy(table, writer)
                guard let facts = source[table.name] else { continue }
                do throws(ModelFailure) { try writer.keep(facts, of: table.name) } catch {
                    throw .model(error)
                }
            }
            _ = try client.rows("COMMIT")
        }

        /// The engine's tables with the source's types, plus the columns only the source has.
        private func schemas(_ state: inout ModelState) throws(ReplicationFailure) -> [TableSchema]
        {
            var schemas: [TableSchema] = []
            for var table in EngineSchema.tables {
                let there = try catalog.columns(of: table.name)
                guard there.contains(where: { $0.name == table.key.name }) else {
                    throw .setup(
                        "the source has no table \(settings.schema).\(table.name) with the key "
                            + "\(table.key.name); create it with "
                            + "`stardust model schema --dialect postgres`"
                    )
                }
                for number in table.columns.indices {
                    let name = table.columns[number].name
                    if let column = there.first(where: { $0.name == name }) {
                        table.columns[number].type = column.type
                        table.columns[number].isRequired = column.isRequired
                    } else {
                        table.columns[number].isRequired = false
                        table.columns[number].defaultValue = nil
                        state.absentColumns.append("\(table.name).\(name)")
                        state.warnings.append("the source has no \(table.name).\(name)")
                    }
                }
                for column in there where table.column(column.name) == nil {
                    table.columns.append(TableSchema.Column(column.name, column.type))
                }
                guard table.columns.count <= ModelWriter.columnsMax else {
                    throw .setup("\(table.name) has more than \(ModelWriter.columnsMax) columns")
                }
                schemas.append(table)
            }
            return schemas
        }

        /// Removes what interrupted copies left, except for the copy being made.
        private func removeLeftovers(but number: Int) throws(ModelFailure) {
            do {
                for other in try folder.numbers() where other != number && other != folder.current {
                    folder.remove(other)
                }
            } catch { throw .file(error) }
        }

        private func copy(_ table: ModelTable, _ writer: ModelWriter) throws(ReplicationFailure) {
            let there = try catalog.columns(of: table.name).map(\.name)
            let numbers = table.columns.indices.filter { there.contains(table.columns[$0].name) }
            let names = numbers.map { table.columns[$0].name.quoted }.joined(separator: ", ")
            let mask = numbers.reduce(UInt64(0)) { $0 | 1 << UInt64($1) }
            let statement: SQLiteStatement
            do throws(SQLiteFailure) {
                statement = try writer.statement(.insert, table, columns: mask)
                try writer.connection.run("BEGIN")
            } catch { throw .model(.database(error)) }
            var line = CopyLine()
            var binder = ValueBinder()
            var rows = 0
            var told = ContinuousClock.now
            try catalog.client.copyOut(
                "COPY (SELECT \(names) FROM \(settings.schema.quoted).\(table.name.quoted)) TO STDOUT"
            ) { (bytes) throws(ReplicationFailure) in
                guard line.read(bytes), line.fields.count == numbers.count else {
                    throw .protocolViolated("a row of \(table.name) not in COPY's text format")
                }
                do throws(SQLiteFailure) {
                    for (field, number) in zip(line.fields, numbers) {
                        guard let field else {
                            try statement.bindNull(number + 1)
                            continue
                        }
                        let text = line.text.span.extracting(field)
                        try binder.bind(statement, table, number, text)
                    }
                    try statement.run()
                } catch { throw .model(.database(error)) }
                rows += 1
                guard rows.isMultiple(of: 4096) else { return }
                if ContinuousClock.now - told >= ReplicationLimits.progressInterval {
                    told = .now
                    logger.log(
                        .modelCopying, "copying",
                        metadata: ["table": "\(table.name)", "rows": "\(rows)"])
                }
            }
            do throws(SQLiteFailure) { try writer.connection.run("COMMIT") } catch {
                throw .model(.database(error))
            }
            logger.log(
                .modelCopying, "copied", metadata: ["table": "\(table.name)", "rows": "\(rows)"])
        }
    }
#endif
