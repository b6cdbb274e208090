internal import Packets

/// A JSON value of the daemon's, or none: what is missing has no members either.
struct AnswerTree {
    private let document: JSONDocument
    private let index: Int?

    init(_ document: JSONDocument) { self.init(document, 0) }

    private init(_ document: JSONDocument, _ index: Int?) {
        (self.document, self.index) = (document, index)
    }

    subscript(name: String) -> AnswerTree {
        AnswerTree(document, index.flatMap { isObject ? document.member(name, of: $0) : nil })
    }

    var isObject: Bool { index.map { document.tokens[$0].kind == .object } ?? false }

    /// As it was sent.
    var source: [UInt8] { index.map { Array(document.source($0)) } ?? [] }

    /// A text, or another scalar as it was sent; nil for null.
    var words: String? {
        guard let index else { return nil }
        switch document.tokens[index].kind {
        case .string: return document.string(index)
        case .number, .true, .false: return String(decoding: document.source(index), as: UTF8.self)
        default: return nil
        }
    }

    var text: String? { index.flatMap(document.string) }

    /// What JSON's numbers tell apart (RFC 8259 section 6).
    private static let largest = 9_007_199_254_740_992.0

    /// A number of things: whole, and never negative.
    var number: Int? {
        guard let index, document.tokens[index].kind == .number else { return nil }
        let text = String(decoding: document.source(index), as: UTF8.self)
        guard let value = Double(text), (0...Self.largest).contains(value) else { return nil }
        return Int(value)
    }

    var flag: Bool? {
        switch index.map({ document.tokens[$0].kind }) {
        case .true: true
        case .false: false
        default: nil
        }
    }

    var elements: [AnswerTree] {
        guard let index, document.tokens[index].kind == .array else { return [] }
        return JSONChildren(document.tokens, of: index).map { AnswerTree(document, $0) }
    }
}
