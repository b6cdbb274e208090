internal import Packets

/// Shows a document as lines, one per scalar, named by its path.
struct Scalars {
    private var rows: [(String, String)] = []

    init(_ document: JSONDocument) { collect(document, 0, "") }

    func show(_ terminal: Terminal) throws(Failure) {
        let width = rows.map(\.0.count).max() ?? 0
        for (name, value) in rows {
            try Output.line(
                terminal.dim(Output.safe(name).padded(to: width + 2)) + Output.safe(value))
        }
    }

    private mutating func collect(_ document: JSONDocument, _ index: Int, _ path: String) {
        let token = document.tokens[index]
        switch token.kind {
        case .object:
            for key in JSONChildren(document.tokens, of: index) {
                let name = document.bytes.span.string(document.tokens[key])
                collect(document, key + 1, path.isEmpty ? name : "\(path) \(name)")
            }
        case .array:
            for element in JSONChildren(document.tokens, of: index) {
                collect(document, element, path)
            }
        case .string: rows.append((path, document.string(index) ?? ""))
        default:
            let text = String(decoding: document.bytes[token.bytes], as: UTF8.self)
            rows.append((path, text == "null" ? "none" : text))
        }
    }
}
