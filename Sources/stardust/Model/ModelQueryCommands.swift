import ArgumentParser
internal import Packets

struct ModelSQLCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sql", abstract: "Ask the read model and the ledger in SQL.",
        discussion: """
            SQLite's dialect, one statement that only reads, over the engine's tables and views and \
            over the ledger as `stardust_metadata`.
            """)

    @Argument(help: "The statement.")
    var sql: String

    @Option(help: ArgumentHelp("An array, or an object of names.", valueName: "json"))
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
        if options.json { return Output.data(bytes + [0x0A]) }
        let document = try JSONDocument(answer: bytes)
        var terminal = Terminal()
        terminal.beginPaging()
        defer { terminal.endPaging() }
        Self.show(document, terminal)
    }

    private static func show(_ document: JSONDocument, _ terminal: Terminal) {
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
                place == cells.count - 1
                    ? cell : cell + String(repeating: " ", count: widths[place] - cell.count)
            }
            return padded.joined(separator: "  ")
        }
        Output.line(terminal.dim(line(head)))
        for cells in lines { Output.line(line(cells)) }
        if document.member("cut", of: 0).map({ document.tokens[$0].kind == .true }) == true {
            Output.error("there are more rows; LIMIT and OFFSET give them in parts")
        }
    }
}

struct ModelStatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Say where the read model stands: source, lag, rows, what is not as it should be."
    )

    @OptionGroup var options: ClientOptions

    func run() async throws {
        let bytes = try await options.client.get("/v1/model/status")
        if options.json { return Output.data(bytes + [0x0A]) }
        Scalars(try JSONDocument(answer: bytes)).show(Terminal())
    }
}

struct ModelDriftCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drift", abstract: "Compare the rows with the packets.",
        discussion: """
            Tells rows that no packet tells of, packets whose row is missing, embedded stardust_ids \
            that are wrong, votes that differ, and logs that are not of the form that \
            Docs/log-metadata.schema.json has. Exit code 1: they do not agree.
            """)

    @OptionGroup var options: ClientOptions

    func run() async throws {
        let bytes = try await options.client.get("/v1/model/drift")
        let document = try JSONDocument(answer: bytes)
        if options.json { Output.data(bytes + [0x0A]) } else { Self.show(document) }
        let findings = document.member("counts", of: 0).map { counts in
            JSONChildren(document.tokens, of: counts).reduce(0) {
                $0 + (document.integer($1 + 1) ?? 0)
            }
        }
        if let findings, findings > 0 {
            throw Failure(.no, "rows and packets differ in \(findings) places")
        }
    }

    private static func show(_ document: JSONDocument) {
        func text(_ name: String, _ index: Int) -> String {
            guard let value = document.member(name, of: index) else { return "" }
            return document.string(value)
                ?? String(decoding: document.source(value), as: UTF8.self)
        }
        for item in document.member("coverage", of: 0).map({
            Array(JSONChildren(document.tokens, of: $0))
        }) ?? [] {
            let name = text("table", item)
            let space = String(repeating: " ", count: max(0, 12 - name.count))
            Output.line("\(name)\(space)  \(text("covered", item)) of \(text("rows", item)) rows")
        }
        for item in document.member("findings", of: 0).map({
            Array(JSONChildren(document.tokens, of: $0))
        }) ?? [] {
            let place = "\(text("table", item))/\(text("id", item))"
            Output.line(Output.safe("\(text("kind", item))  \(place)  \(text("detail", item))"))
        }
    }
}
