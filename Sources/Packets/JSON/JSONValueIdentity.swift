internal import LedgerFormat

extension JSONDocument {
    /// Bytes that are equal for two documents exactly when their JSON values are: members in any
    /// order, strings after unescaping, numbers by value.
    package var canonicalBytes: [UInt8] {
        var result: [UInt8] = []
        appendCanonical(0, to: &result)
        return result
    }

    private func appendCanonical(_ index: Int, to result: inout [UInt8]) {
        let token = tokens[index]
        switch token.kind {
        case .object:
            result.append(UInt8(ascii: "{"))
            let members = JSONChildren(tokens, of: index).map { (bytes.span.text(tokens[$0]), $0) }
                .sorted { $0.0.lexicographicallyPrecedes($1.0) }
            for (key, member) in members {
                appendCounted(key, to: &result)
                appendCanonical(member + 1, to: &result)
            }
            result.append(UInt8(ascii: "}"))
        case .array:
            result.append(UInt8(ascii: "["))
            for element in JSONChildren(tokens, of: index) {
                appendCanonical(element, to: &result)
            }
            result.append(UInt8(ascii: "]"))
        case .key, .string:
            result.append(UInt8(ascii: "\""))
            appendCounted(bytes.span.text(token), to: &result)
        case .number:
            result.append(UInt8(ascii: "#"))
            appendCounted(
                JSONDecimal(bytes.span.extracting(token.bytes)).canonicalText, to: &result)
        case .true: result.append(UInt8(ascii: "t"))
        case .false: result.append(UInt8(ascii: "f"))
        case .null: result.append(UInt8(ascii: "n"))
        }
    }

    /// Appends a text prefixed with its length, so no text can be mistaken for structure.
    private func appendCounted(_ text: [UInt8], to result: inout [UInt8]) {
        result.append(decimal: text.count)
        result.append(UInt8(ascii: ":"))
        result.append(contentsOf: text)
    }
}

/// Whether two packets say the same: their bytes are equal, or their JSON values are. Both were
/// admitted, so both parse.
package func isSameJSON(_ left: [UInt8], _ right: [UInt8]) throws(JSONError) -> Bool {
    if left == right { return true }
    return try JSONDocument(left).canonicalBytes == JSONDocument(right).canonicalBytes
}
