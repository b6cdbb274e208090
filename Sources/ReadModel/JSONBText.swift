internal import LedgerFormat
package import Packets

/// JSON as PostgreSQL's jsonb writes it: keys sorted by length and then by bytes, numbers in full
/// without an exponent, one space after colons and commas. A value therefore has the same text,
/// however it arrived.
package enum JSONBText {
    package static func of(_ document: JSONDocument, at index: Int) -> [UInt8] {
        var text: [UInt8] = []
        append(document, index, to: &text)
        return text
    }

    private static func append(_ document: JSONDocument, _ index: Int, to text: inout [UInt8]) {
        let token = document.tokens[index]
        switch token.kind {
        case .object: appendObject(document, index, to: &text)
        case .array:
            text.append(UInt8(ascii: "["))
            for (place, element) in JSONChildren(document.tokens, of: index).enumerated() {
                if place > 0 { text.append(", ") }
                append(document, element, to: &text)
            }
            text.append(UInt8(ascii: "]"))
        case .string, .key: append(string: document.bytes.span.text(token), to: &text)
        case .number: append(number: Array(document.bytes[token.bytes]), to: &text)
        case .true, .false, .null: text.append(contentsOf: document.bytes[token.bytes])
        }
    }

    private static func appendObject(
        _ document: JSONDocument, _ index: Int, to text: inout [UInt8]
    ) {
        let members = JSONChildren(document.tokens, of: index).map { key in
            (name: document.bytes.span.text(document.tokens[key]), value: key + 1)
        }.sorted { left, right in
            left.name.count != right.name.count
                ? left.name.count < right.name.count
                : left.name.lexicographicallyPrecedes(right.name)
        }
        text.append(UInt8(ascii: "{"))
        for (place, member) in members.enumerated() {
            if place > 0 { text.append(", ") }
            append(string: member.name, to: &text)
            text.append(": ")
            append(document, member.value, to: &text)
        }
        text.append(UInt8(ascii: "}"))
    }

    static func append(string: [UInt8], to text: inout [UInt8]) {
        text.append(UInt8(ascii: "\""))
        for byte in string { text.append(escaped: byte) }
        text.append(UInt8(ascii: "\""))
    }

    /// Writes a number as `numeric` shows it: with as many digits after the point as the source
    /// has, less its exponent.
    private static func append(number: [UInt8], to text: inout [UInt8]) {
        let isNegative = number.first == UInt8(ascii: "-")
        var digits: [UInt8] = []
        var (scale, exponent, isFraction) = (0, 0, false)
        for (place, byte) in number.enumerated() {
            if byte | 0x20 == UInt8(ascii: "e") {
                exponent = Int(String(decoding: number[(place + 1)...], as: UTF8.self)) ?? 0
                break
            }
            if byte == UInt8(ascii: ".") { isFraction = true }
            guard byte &- UInt8(ascii: "0") < 10 else { continue }
            digits.append(byte)
            if isFraction { scale += 1 }
        }
        scale -= exponent
        while scale < 0 {
            digits.append(UInt8(ascii: "0"))
            scale += 1
        }
        while digits.count <= scale { digits.insert(UInt8(ascii: "0"), at: 0) }
        let whole = digits.dropLast(scale).drop { $0 == UInt8(ascii: "0") }
        if isNegative, digits.contains(where: { $0 != UInt8(ascii: "0") }) {
            text.append(UInt8(ascii: "-"))
        }
        text.append(contentsOf: whole.isEmpty ? [UInt8(ascii: "0")] : whole)
        guard scale > 0 else { return }
        text.append(UInt8(ascii: "."))
        text.append(contentsOf: digits.suffix(scale))
    }
}
