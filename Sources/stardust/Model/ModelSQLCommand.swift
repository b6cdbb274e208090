import ArgumentParser
internal import Packets

struct ModelSQLCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sql", abstract: "Query the read model and the ledger with SQL.",
        discussion: """
            Takes one read-only statement in SQLite's dialect. It can read the engine's tables and \
            views, and the ledger as `stardust_metadata`. Docs/ReadModel.md lists the columns and the \
            functions.
            """)

    @Argument(help: "The SQL statement; `-` reads it from standard input.")
    var sql: String

    @Option(help: ArgumentHelp("Parameters: an array, or an object by name.", valueName: "json"))
    var parameters: String?

    @Flag(
        help:
            "Print CSV with a header (RFC 4180, but LF ends a line); NULL is empty. Exit code 1 if cut."
    )
    var csv = false

    @OptionGroup var options: ClientOptions

    func validate() throws {
        guard !csv || !options.json else {
            throw ValidationError("--csv and --json are two forms of the same answer; give one")
        }
    }

    func run() async throws {
        let bytes = try await options.client.post("/v1/model/sql", try body())
        if options.json { return try Output.foreign(bytes + [0x0A]) }
        let document = try JSONDocument(answer: bytes)
        guard let answer = SQLAnswer(document) else {
            throw Failure(.inputOutput, "the answer has no columns and rows")
        }
        if csv {
            try Output.foreign(Array(answer.csv.utf8))
        } else {
            var terminal = Terminal()
            terminal.beginPaging()
            defer { terminal.endPaging() }
            try answer.show(terminal)
        }
        if answer.isCut {
            let more = "there are more rows; use LIMIT and OFFSET to page through them"
            guard !csv else { throw Failure(.no, more) }
            Output.error(more)
        }
    }

    private func body() throws(Failure) -> [UInt8] {
        var json = JSONWriter()
        json.beginObject()
        json.member(
            "sql", sql == "-" ? String(decoding: try InputFile.content("-"), as: UTF8.self) : sql)
        if let parameters {
            json.key("parameters")
            do throws(JSONError) { _ = try JSONDocument(Array(parameters.utf8)) } catch {
                throw Failure(.badInput, "parameters: \(error)")
            }
            json.json(Array(parameters.utf8))
        }
        json.endObject()
        return json.bytes
    }
}

/// The rows of an SQL query.
private struct SQLAnswer {
    private let columns: [String]
    /// Nil is NULL.
    private let rows: [[String?]]
    let isCut: Bool

    init?(_ document: JSONDocument) {
        func cells(_ index: Int) -> [String?] {
            JSONChildren(document.tokens, of: index).map { value in
                document.tokens[value].kind == .null
                    ? nil
                    : document.string(value)
                        ?? String(decoding: document.source(value), as: UTF8.self)
            }
        }
        guard let columns = document.member("columns", of: 0),
            let rows = document.member("rows", of: 0)
        else { return nil }
        self.columns = cells(columns).map { $0 ?? "" }
        self.rows = JSONChildren(document.tokens, of: rows).map(cells)
        let cut = document.member("cut", of: 0)
        isCut = cut.map { document.tokens[$0].kind == .true } ?? false
    }

    /// An empty text is quoted, so that it is not NULL.
    var csv: String {
        func field(_ text: String?) -> String {
            guard let text else { return "" }
            let isPlain = !text.isEmpty && !text.utf8.contains { ",\"\n\r".utf8.contains($0) }
            return isPlain ? text : "\"\(text.replacing("\"", with: "\"\""))\""
        }
        return ([columns] + rows).map { $0.map(field).joined(separator: ",") + "\n" }.joined()
    }

    func show(_ terminal: Terminal) throws(Failure) {
        func shown(_ text: String?) -> String {
            Output.safe(text ?? "").replacing("\n", with: "\\n")
        }
        let head = columns.map(shown)
        let lines = rows.map { $0.map(shown) }
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
    }
}
