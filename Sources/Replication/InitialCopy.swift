#if PostgreSQL
    internal import Logging
    internal import ReadModel

    /// Copies all tables as of one point in the source's history. A new slot continues from there.
    struct InitialCopy {
        let folder: ModelFolder
        let settings: SyncSettings
        let catalog: SourceCatalog
        let replication: PostgresClient
        let systemID: String
        let timeline: Int64
        let logger: Logger
        let isStopped: @Sendable () -> Bool

        func run(dropsSlot: Bool) throws(ReplicationFailure) -> ModelWriter {
            var state = ModelState(.postgres, .copying)
            (state.slot, state.publication) = (settings.slot, settings.publication)
            (state.systemID, state.timeline) = (systemID, timeline)
            let schemas = try schemas(&state)
            let writer: ModelWriter
            do throws(ModelFailure) {
                // Before the slot exists: after a crash at any later point, the file beside the
                // copy shows that the slot is ours, and the next attempt may replace both.
                writer = try ModelWriter(copyingInto: folder, schemas, state)
                try removeLeftovers(but: writer.number)
            } catch { throw .model(error) }
            if dropsSlot {
                _ = try replication.rows("DROP_REPLICATION_SLOT \(settings.slot.quoted)")
            }
            logger.notice("creating a slot; this waits for open transactions")
            let made = try replication.rows(
                "CREATE_REPLICATION_SLOT \(settings.slot.quoted) LOGICAL pgoutput EXPORT_SNAPSHOT")
            guard let row = made.first, row.count >= 3, let lsn = row[1].flatMap({ LSN($0) }),
                let snapshot = row[2]
            else { throw .protocolViolated("a slot without a snapshot") }
            do throws(ReplicationFailure) {
                try copyAll(writer, within: snapshot)
            } catch {
                // A slot that nobody reads would retain the log. If the connection is gone, the
                // file beside the copy tells the next attempt about the slot.
                _ = try? replication.rows("DROP_REPLICATION_SLOT \(settings.slot.quoted)")
                throw error
            }
            writer.state.phase = .live
            (writer.state.lsn, writer.state.sourceLSN) = (lsn, lsn)
            do throws(ModelFailure) { return try writer.finishCopy() } catch { throw .model(error) }
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
                if isStopped() { throw .setup("stopped while rows were being copied") }
                if ContinuousClock.now - told >= ReplicationLimits.progressInterval {
                    told = .now
                    logger.notice(
                        "copying", metadata: ["table": "\(table.name)", "rows": "\(rows)"])
                }
            }
            do throws(SQLiteFailure) { try writer.connection.run("COMMIT") } catch {
                throw .model(.database(error))
            }
            logger.notice("copied", metadata: ["table": "\(table.name)", "rows": "\(rows)"])
        }
    }
#endif
