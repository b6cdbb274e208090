#if PostgreSQL
    package import LedgerFormat
    package import Logging
    internal import Platform
    package import ReadModel

    /// Compares a read model with its source, row by row.
    ///
    /// Both go on while they are compared. The source is read within one snapshot, the model as of a
    /// later position. What differs is looked at again in newer snapshots: it counts once a row is the
    /// same in two of them at the source, and the same and different here.
    package struct ModelComparison {
        private let folder: ModelFolder
        private let settings: SyncSettings
        private let logger: Logger

        package struct Report: Sendable {
            /// The source's position that everything was compared at, or after.
            package fileprivate(set) var lsn = LSN.zero
            package fileprivate(set) var tables: [Table] = []

            package var isEqual: Bool {
                tables.allSatisfy { $0.differences.isEmpty && $0.unsettled == 0 }
            }
        }

        package struct Table: Sendable {
            package let name: String
            package fileprivate(set) var rowsHere = 0
            package fileprivate(set) var rowsThere = 0
            /// SHA-256 over the rows in the order of their keys.
            package fileprivate(set) var hashHere = Digest.zero
            package fileprivate(set) var hashThere = Digest.zero
            package fileprivate(set) var differences: [String] = []
            /// Columns that were added at the source and come with the next row that changes.
            package fileprivate(set) var pendingColumns: [String] = []
            /// Rows that changed too often to be compared.
            package fileprivate(set) var unsettled = 0

            fileprivate mutating func note(_ difference: String) {
                if !differences.contains(difference) { differences.append(difference) }
            }
        }

        package init(_ folder: ModelFolder, _ settings: SyncSettings, logger: Logger) {
            (self.folder, self.settings, self.logger) = (folder, settings, logger)
        }

        private enum Limits {
            /// Differing rows of a table that are looked at again.
            static let rows = 10_000
            static let rounds = 10
            static let keysTogether = 500
            static let pause: Duration = .milliseconds(300)
            /// How long to wait for the model to reach the source's position.
            static let patience: Duration = .seconds(60)
        }

        /// Blocks. Throws `setup` if there is no read model to compare, or it does not come closer.
        package func run() throws(ReplicationFailure) -> Report {
            var report = Report()
            var suspects: [String: [String: RowPair]] = [:]
            for round in 0..<Limits.rounds {
                try catchUp()
                let source = try Snapshot(settings, logger)
                let model = try model(reaching: source.lsn)
                report.lsn = source.lsn
                if round == 0 {
                    for name in EngineSchema.tables.map(\.name) {
                        var table = Table(name: name)
                        suspects[name] = try compare(&table, source, model.connection)
                        report.tables.append(table)
                    }
                } else {
                    for (number, table) in report.tables.enumerated() {
                        guard let pairs = suspects[table.name], !pairs.isEmpty else { continue }
                        suspects[table.name] = try again(
                            pairs, &report.tables[number], source, model.connection)
                    }
                }
                try source.end()
                guard suspects.values.contains(where: { !$0.isEmpty }) else { break }
                wait()
            }
            for number in report.tables.indices {
                report.tables[number].unsettled += suspects[report.tables[number].name]?.count ?? 0
            }
            return report
        }

        private func wait() {
            _ = Monitor(false).wait(until: .now + Limits.pause) { $0 ? true : nil }
        }

        /// Where nobody else follows, follows itself as far as the source is.
        private func catchUp() throws(ReplicationFailure) {
            guard let lock = try? folder.lock() else { return }
            defer { withExtendedLifetime(lock) {} }
            var settings = settings
            (settings.creates, settings.resyncs, settings.endsWhenCaughtUp) = (false, false, true)
            let observer = LastFailure()
            let synchronizer = Synchronizer(folder, settings, observer, logger: logger)
            let isDone = Monitor(false)
            let isLate = Monitor(false)
            startThread("patience") {
                let ended = isDone.wait(until: .now + Limits.patience) { $0 ? true : nil }
                guard ended == nil else { return }
                isLate.change { $0 = true }
                synchronizer.stop()
            }
            defer { isDone.change { $0 = true } }
            if let failure = synchronizer.run() { throw failure }
            guard !isLate.withLock({ $0 }) else {
                throw .setup(
                    "the read model could not be brought up to date within \(Limits.patience): "
                        + (observer.text.withLock { $0 } ?? "there is too much to apply"))
            }
        }

        private final class LastFailure: SyncObserver {
            let text = Monitor<String?>(nil)

            func applied(_ rows: Int, _ state: ModelState) {}
            func waits(for reason: String?) {}
            func failed(_ failure: ReplicationFailure, willRetryIn: Duration?) {
                text.change { $0 = failure.description }
            }
        }

        private func model(reaching lsn: LSN) throws(ReplicationFailure) -> Model {
            let deadline = ContinuousClock.now + Limits.patience
            while true {
                let model = try Model(folder)
                // Whoever follows an idle source reports its progress only now and then.
                if model.state.lsn >= lsn || (try? folder.lock()) != nil { return model }
                guard model.state.phase == .live, ContinuousClock.now < deadline else {
                    throw .setup(
                        "the read model is at \(model.state.lsn) and does not reach \(lsn), where the "
                            + "source is: \(model.state.lastError ?? "see `stardust model status`")"
                    )
                }
                wait()
            }
        }

        /// The model as of one position.
        private struct Model {
            let connection: SQLiteConnection
            let state: ModelState

            init(_ folder: ModelFolder) throws(ReplicationFailure) {
                guard let number = folder.current else { throw .setup(ModelReaders.noModel) }
                do throws(SQLiteFailure) {
                    connection = try SQLiteConnection(folder.file(number), .readOnly)
                    try connection.run("BEGIN")
                    guard let state = try ModelState(connection) else {
                        throw SQLiteFailure.notAModel(folder.link)
                    }
                    self.state = state
                } catch { throw .model(.database(error)) }
            }
        }

        /// The source as of one position.
        private struct Snapshot {
            let catalog: SourceCatalog
            let lsn: LSN
            var client: PostgresClient { catalog.client }

            init(_ settings: SyncSettings, _ logger: Logger) throws(ReplicationFailure) {
                catalog = SourceCatalog(
                    try PostgresClient(settings.source, .sql, SourceContext(logger)), settings)
                _ = try catalog.client.rows(
                    "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                // The snapshot is taken with the first statement, before the position is read.
                _ = try catalog.client.rows("SELECT 1")
                lsn = try catalog.position()
            }

            func end() throws(ReplicationFailure) { _ = try client.rows("COMMIT") }
        }

        // MARK: Rows

        private func columns(
            _ source: Snapshot, _ model: SQLiteConnection, _ table: inout Table
        ) throws(ReplicationFailure) -> ComparedColumns? {
            let name = table.name
            let there = try source.catalog.columns(of: name)
            let here: [(name: String, type: ColumnType)]
            do throws(SQLiteFailure) {
                here = try model.rows(
                    "SELECT name, type FROM pragma_table_info(?)", [.string(name)]
                )
                .map { ($0[0].string ?? "", ColumnType(declared: $0[1].string ?? "")) }
            } catch { throw .model(.database(error)) }
            for column in there where !here.contains(where: { $0.name == column.name }) {
                if !table.pendingColumns.contains(column.name) {
                    table.pendingColumns.append(column.name)
                }
            }
            let both = here.filter { column in there.contains { $0.name == column.name } }
            guard let key = EngineSchema.table(name)?.key.name,
                both.contains(where: { $0.name == key })
            else {
                table.note("the source has no such table, or not its key")
                return nil
            }
            return ComparedColumns(
                table: name, key: key, names: both.map(\.name), types: both.map(\.type),
                schema: settings.schema)
        }

        /// All rows of a table, side by side in the order of their keys. Gives those that differ.
        private func compare(
            _ table: inout Table, _ source: Snapshot, _ model: SQLiteConnection
        ) throws(ReplicationFailure) -> [String: RowPair] {
            guard let columns = try columns(source, model, &table) else { return [:] }
            var found: [String: RowPair] = [:]
            var (here, there) = (RowHash(), RowHash())
            var overflow = 0
            func note(_ key: String, _ pair: RowPair) {
                if found.count < Limits.rows { found[key] = pair } else { overflow += 1 }
            }
            let rows = try ModelRows(model, columns.model())
            func passHere(upTo key: String?) throws(ReplicationFailure) {
                while let row = rows.current, key.map({ row.key.comesBefore($0) }) ?? true {
                    here.add(row.values)
                    note(row.key, RowPair(here: row.values, there: nil))
                    try rows.advance()
                }
            }
            let reader = try SourceRows(columns.types)
            try source.client.copyOut("COPY (\(columns.source())) TO STDOUT") {
                (line) throws(ReplicationFailure) in
                let row = try reader.row(line)
                there.add(row.values)
                try passHere(upTo: row.key)
                guard let own = rows.current, own.key.utf8.elementsEqual(row.key.utf8) else {
                    return note(row.key, RowPair(here: nil, there: row.values))
                }
                here.add(own.values)
                if own.values != row.values {
                    note(row.key, RowPair(here: own.values, there: row.values))
                }
                try rows.advance()
            }
            try passHere(upTo: nil)
            // Nobody will look at them again, so they are not known to be equal.
            table.unsettled = overflow
            (table.rowsHere, table.rowsThere) = (here.count, there.count)
            (table.hashHere, table.hashThere) = (here.digest, there.digest)
            return found
        }

        /// The rows that differed, once more. Gives those that may still be on their way.
        private func again(
            _ pairs: [String: RowPair], _ table: inout Table, _ source: Snapshot,
            _ model: SQLiteConnection
        ) throws(ReplicationFailure) -> [String: RowPair] {
            guard let columns = try columns(source, model, &table) else { return [:] }
            let keys = pairs.keys.sorted()
            var left: [String: RowPair] = [:]
            for start in stride(from: 0, to: keys.count, by: Limits.keysTogether) {
                let some = keys[start..<min(start + Limits.keysTogether, keys.count)]
                let list = some.map { "'" + $0.replacing("'", with: "''") + "'" }
                    .joined(separator: ", ")
                var now: [String: RowPair] = [:]
                let rows = try ModelRows(
                    model, columns.model("CAST(\(columns.key.quoted) AS TEXT) IN (\(list))"))
                while let row = rows.current {
                    now[row.key, default: RowPair()].here = row.values
                    try rows.advance()
                }
                let reader = try SourceRows(columns.types)
                // A backslash is no escape in a string of standard SQL.
                try source.client.copyOut(
                    "COPY (\(columns.source("\(columns.key.quoted)::text IN (\(list))"))) TO STDOUT"
                ) { (line) throws(ReplicationFailure) in
                    let row = try reader.row(line)
                    now[row.key, default: RowPair()].there = row.values
                }
                for key in some {
                    let pair = now[key] ?? RowPair()
                    if pair.here == pair.there { continue }
                    if pair == pairs[key] {
                        table.differences.append(columns.difference(key, pair))
                    } else {
                        left[key] = pair
                    }
                }
            }
            return left
        }
    }
#endif
