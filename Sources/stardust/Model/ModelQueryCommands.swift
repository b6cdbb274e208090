import ArgumentParser
internal import Packets

struct ModelSQLCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sql", abstract: "Query the read model and the ledger with SQL.",
        discussion: """
            Takes one read-only statement in SQLite's dialect. It can read the engine's tables and \
            views, and the ledger as `stardust_metadata`.
            """)

    @Argument(help: "The SQL statement.")
    var sql: String

    @Option(help: ArgumentHelp("Parameters: an array, or an object by name.", valueName: "json"))
    var parameters: String?

    @OptionGroup var options: ClientOptions

    func run() async throws {
        var json = JSONWriter()
        json.beginObject()
        json.member("sql", sql)
        if let parameters {
            json.key("parameters")
            do throws(JSONError) { _ = try JSONDocument(Array(parameters.utf8)) } catch {
                throw Failure(.badInput, "parameters: \(error)")
            }
            json.json(Array(parameters.utf8))
        }
        json.endObject()
        let bytes = try await options.client.post("/v1/model/sql", json.bytes)
        if options.json { return try Output.foreign(bytes + [0x0A]) }
        let document = try JSONDocument(answer: bytes)
        var terminal = Terminal()
        terminal.beginPaging()
        defer { terminal.endPaging() }
        try Self.show(document, terminal)
    }

    private static func show(
        _ document: JSONDocument, _ terminal: Terminal
    ) throws(Failure) {
        func cells(_ index: Int) -> [String] {
            JSONChildren(document.tokens, of: index).map { value in
                let text =
                    document.string(value)
                    ?? String(decoding: document.source(value), as: UTF8.self)
                return Output.safe(text == "null" ? "" : text).replacing("\n", with: "\\n")
            }
        }
        guard let columns = document.member("columns", of: 0),
            let rows = document.member("rows", of: 0)
        else { return }
        let head = cells(columns)
        let lines = JSONChildren(document.tokens, of: rows).map(cells)
        let widths = head.indices.map { place in
            ([head] + lines).map { $0[place].count }.max() ?? 0
        }
        func line(_ cells: [String]) -> String {
            let padded = cells.enumerated().map { place, cell in
                place == cells.count - 1 ? cell : cell.padded(to: widths[place])
            }
            return padded.joined(separator: "  ")
        }
        try Output.line(terminal.dim(line(head)))
        for cells in lines { try Output.line(line(cells)) }
        if document.member("cut", of: 0).map({ document.tokens[$0].kind == .true }) == true {
            Output.error("there are more rows; use LIMIT and OFFSET to page through them")
        }
    }
}

struct ModelStatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show the read model's status: source, lag, rows and problems.")

    @OptionGroup var options: ClientOptions

    func run() async throws {
        let bytes = try await options.client.get("/v1/model/status")
        if options.json { return try Output.foreign(bytes + [0x0A]) }
        try Scalars(try JSONDocument(answer: bytes)).show(Terminal())
    }
}

struct ModelDriftCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drift", abstract: "Compare the rows with the packets.",
        discussion: """
            Reports rows that no packet mentions, packets whose row is missing, wrong embedded \
            stardust_ids, votes that differ, and logs that do not match \
            Docs/log-metadata.schema.json. Exit code 1 if rows and packets disagree.
            """)

    @OptionGroup var options: ClientOptions

    func run() async throws {
        let bytes = try await options.client.get("/v1/model/drift")
        let document = try JSONDocument(answer: bytes)
        if options.json {
            try Output.foreign(bytes + [0x0A])
        } else {
            try Self.show(document)
        }
        let findings = document.member("counts", of: 0).map { counts in
            JSONChildren(document.tokens, of: counts).reduce(0) {
                $0 + (document.integer($1 + 1) ?? 0)
            }
        }
        if let findings, findings > 0 {
            throw Failure(.no, "rows and packets differ in \(findings) places")
        }
    }

    private static func show(_ document: JSONDocument) throws(Failure) {
        func text(_ name: String, _ index: Int) -> String {
            guard let value = document.member(name, of: index) else { return "" }
            return document.string(value)
                ?? String(decoding: document.source(value), as: UTF8.self)
        }
        for item in document.member("coverage", of: 0).map({
            Array(JSONChildren(document.tokens, of: $0))
        }) ?? [] {
            let name = text("table", item)
            try Output.line(
                "\(name.padded(to: 12))  \(text("covered", item)) of \(text("rows", item)) rows")
        }
        for item in document.member("findings", of: 0).map({
            Array(JSONChildren(document.tokens, of: $0))
        }) ?? [] {
            let place = "\(text("table", item))/\(text("id", item))"
            try Output.line(Output.safe("\(text("kind", item))  \(place)  \(text("detail", item))"))
        }
    }
}
