internal import LedgerFormat

/// One value or key of a parsed document. A document is a flat array of tokens in the order of the
/// text: a container is followed by what it contains, a key by its value.
package struct JSONToken: Sendable {
    package enum Kind: UInt8, Sendable {
        case object, array, key, string, number, `true`, `false`, null
    }

    package var kind: Kind
    /// Whether a string or key has escapes. If so, its bytes are not yet its text.
    package var isEscaped: Bool
    /// First byte: of the text inside the quotes for a string or key, else of the value.
    package var start: UInt32
    /// Byte after the last one.
    package var end: UInt32
    /// Index of the token after this value and everything in it. For a key, the index of its value.
    package var next: UInt32

    package var bytes: Range<Int> { Int(start)..<Int(end) }
}

/// A parsed document: its bytes and its tokens. Only parsing creates one.
package struct JSONDocument: Sendable {
    package let bytes: [UInt8]
    package let tokens: [JSONToken]

    /// Parses with the rules of `ledger-format.md`, section "JSON".
    package init(
        _ bytes: [UInt8], limits: JSONParser.Limits = .packet
    ) throws(JSONError) {
        var parser = JSONParser(limits: limits)
        parser.expect(bytes.count)
        try parser.parse(bytes.span)
        self.bytes = bytes
        tokens = parser.tokens
    }
}

/// Indices of the direct children of an object or array: keys of an object, elements of an array.
package struct JSONChildren: Sequence, IteratorProtocol {
    private let tokens: [JSONToken]
    private var index: Int
    private let end: Int
    private let isObject: Bool

    package init(_ tokens: [JSONToken], of container: Int) {
        self.tokens = tokens
        index = container + 1
        end = Int(tokens[container].next)
        isObject = tokens[container].kind == .object
    }

    package mutating func next() -> Int? {
        guard index < end else { return nil }
        defer { index = Int(tokens[isObject ? index + 1 : index].next) }
        return index
    }
}

extension Span<UInt8> {
    /// The text of a string or key with its escapes resolved. The token was parsed from these
    /// bytes, so the escapes are complete.
    package func text(_ token: JSONToken) -> [UInt8] {
        guard token.isEscaped else { return Array(extracting(token.bytes)) }
        var result: [UInt8] = []
        result.reserveCapacity(token.bytes.count)
        var index = Int(token.start)
        while index < Int(token.end) {
            guard self[index] == UInt8(ascii: "\\") else {
                result.append(self[index])
                index += 1
                continue
            }
            index = appendEscape(at: index, to: &result)
        }
        return result
    }

    private func appendEscape(at index: Int, to result: inout [UInt8]) -> Int {
        switch self[index + 1] {
        case UInt8(ascii: "b"): result.append(0x08)
        case UInt8(ascii: "f"): result.append(0x0C)
        case UInt8(ascii: "n"): result.append(0x0A)
        case UInt8(ascii: "r"): result.append(0x0D)
        case UInt8(ascii: "t"): result.append(0x09)
        case UInt8(ascii: "u"):
            let unit = codeUnit(at: index + 2)
            guard UTF16.isLeadSurrogate(unit) else {
                result.append(utf8Of: UInt32(unit))
                return index + 6
            }
            let trail = codeUnit(at: index + 8)
            result.append(utf8Of: 0x10000 + (UInt32(unit & 0x3FF) << 10 | UInt32(trail & 0x3FF)))
            return index + 12
        case let other: result.append(other)
        }
        return index + 2
    }

    /// The four hexadecimal digits at `offset`, which were checked when the token was made.
    private func codeUnit(at offset: Int) -> UInt16 {
        var unit: UInt16 = 0
        for index in offset..<offset + 4 {
            unit = unit << 4 | UInt16(hexadecimalValue(self[index])!)
        }
        return unit
    }
}

extension [UInt8] {
    fileprivate mutating func append(utf8Of scalar: UInt32) {
        // The parser has refused unpaired surrogates.
        append(contentsOf: UTF8.encode(Unicode.Scalar(scalar)!)!)
    }
}
