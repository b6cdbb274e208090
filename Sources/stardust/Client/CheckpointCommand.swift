import ArgumentParser
internal import Packets

struct CheckpointCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "checkpoint", abstract: "Print the newest signed checkpoint.",
        discussion: """
            Keep one where the ledger's host cannot reach it: `stardust verify LEDGER --checkpoint \
            FILE` then tells whether that ledger still stands behind this one. Needs the role audit.
            """)

    @Option(help: "The daemon's socket.")
    var socket: String = .defaultSocketPath

    func run() async throws {
        Output.data(try await DaemonClient(socket: socket).get("/v1/checkpoint"))
    }
}

struct Status: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Say how the daemon is.", discussion: "Needs the role admin.")

    @OptionGroup var options: ClientOptions

    func run() async throws {
        let bytes = try await options.client.get("/v1/status")
        if options.json { return Output.data(bytes + [0x0A]) }
        let document = try JSONDocument(answer: bytes)
        var rows: [(String, String)] = []
        Self.collect(document, 0, "", &rows)
        let width = rows.map(\.0.count).max() ?? 0
        let terminal = Terminal()
        for (name, value) in rows {
            let space = String(repeating: " ", count: width - name.count + 2)
            Output.line(terminal.dim(name) + space + Output.safe(value))
        }
    }

    /// A row for each scalar, named by its path.
    private static func collect(
        _ document: JSONDocument, _ index: Int, _ path: String, _ rows: inout [(String, String)]
    ) {
        let token = document.tokens[index]
        switch token.kind {
        case .object:
            for key in JSONChildren(document.tokens, of: index) {
                let name = String(
                    decoding: document.bytes.span.text(document.tokens[key]), as: UTF8.self)
                collect(document, key + 1, path.isEmpty ? name : "\(path) \(name)", &rows)
            }
        case .array:
            for element in JSONChildren(document.tokens, of: index) {
                collect(document, element, path, &rows)
            }
        case .string: rows.append((path, document.string(index) ?? ""))
        default:
            let text = String(decoding: document.bytes[token.bytes], as: UTF8.self)
            rows.append((path, text == "null" ? "none" : text))
        }
    }
}
