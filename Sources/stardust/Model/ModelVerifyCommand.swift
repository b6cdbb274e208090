#if PostgreSQL
    import ArgumentParser
    internal import LedgerFormat
    internal import Logging
    internal import Packets
    internal import ReadModel
    internal import Replication

    struct ModelVerifyCommand: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "verify",
            abstract: "Compare every row of the read model with the source.",
            discussion: """
                Prints each table's number of rows and a hash of them, and the first rows that \
                differ. Reads all rows of all tables at the source, within one snapshot. Works while \
                the read model is followed; if nobody follows it, it is brought up to date first. \
                Exit code 1 if anything differs.
                """)

        @OptionGroup var source: ModelSourceOptions

        @Flag(help: "Print one JSON object.")
        var json = false

        private static let shown = 20

        func run() async throws {
            let folder = ModelFolder(try await source.ledgerFolder())
            let logger = Logger(label: "stardust") { _ in SwiftLogNoOpLogHandler() }
            let comparison = ModelComparison(folder, source.settings, logger: logger)
            let report: ModelComparison.Report
            do throws(ReplicationFailure) { report = try comparison.run() } catch {
                throw Failure(error)
            }
            try json ? printJSON(report) : printText(report)
            if !report.isEqual { throw ExitCode.no }
        }

        private func printText(_ report: ModelComparison.Report) throws(Failure) {
            let width = report.tables.map(\.name.count).max() ?? 0
            for table in report.tables {
                let name = table.name + String(repeating: " ", count: width - table.name.count)
                let isEqual = table.differences.isEmpty && table.unsettled == 0
                try Output.line(
                    "\(name)  \(table.rowsThere) rows, \(table.hashThere.tagged.prefix(23)): "
                        + (isEqual ? "equal" : "DIFFERENT, \(table.rowsHere) rows here"))
            }
            for table in report.tables {
                for difference in table.differences.prefix(Self.shown) {
                    try Output.line("\(table.name) " + Output.safe(difference))
                }
                let more = table.differences.count - Self.shown
                if more > 0 { try Output.line("\(table.name): \(more) more") }
                if !table.pendingColumns.isEmpty {
                    let names = table.pendingColumns.joined(separator: ", ")
                    try Output.line(
                        "\(table.name): \(Output.safe(names)) was added at the source and comes with "
                            + "the next row that changes")
                }
                if table.unsettled > 0 {
                    try Output.line(
                        "\(table.name): \(table.unsettled) rows change too often to be compared; "
                            + "try again when there is less to do")
                }
            }
            try Output.line(
                report.isEqual
                    ? "equal as of \(report.lsn)"
                    : "NOT EQUAL as of \(report.lsn); `stardust model sync --resync` makes a new copy"
            )
        }

        private func printJSON(_ report: ModelComparison.Report) throws(Failure) {
            var json = JSONWriter()
            json.beginObject()
            json.member("equal", report.isEqual)
            json.member("lsn", report.lsn.description)
            json.key("tables")
            json.array(report.tables) { table, json in
                json.beginObject()
                json.member("table", table.name)
                json.member("rows_here", table.rowsHere)
                json.member("rows_there", table.rowsThere)
                json.member("hash_here", table.hashHere.tagged)
                json.member("hash_there", table.hashThere.tagged)
                json.member("different", table.differences.count)
                json.member("unsettled", table.unsettled)
                json.key("pending_columns")
                json.array(table.pendingColumns) { $1.string($0) }
                json.key("differences")
                json.array(Array(table.differences.prefix(Self.shown))) { $1.string($0) }
                json.endObject()
            }
            json.endObject()
            try Output.data(json.bytes + [0x0A])
        }
    }
#endif
