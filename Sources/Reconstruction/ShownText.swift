internal import LedgerFormat
internal import Packets

/// How text from packets is shown to people, so that it never reads as the ledger's own words.
extension String {
    /// With escapes for control characters and for characters that reorder or hide text.
    package var escapedForTerminals: String {
        guard unicodeScalars.contains(where: \.isUnsafeOnTerminals) else { return self }
        return unicodeScalars.map { scalar in
            scalar.isUnsafeOnTerminals
                ? "\\u{\(String(scalar.value, radix: 16))}" : String(scalar)
        }.joined()
    }

    /// Between quotation marks. If it contains such marks itself, as a JSON string, so that everybody
    /// sees where it ends.
    package var quoted: String {
        unicodeScalars.contains { $0 == "\u{201C}" || $0 == "\u{201D}" }
            ? quotedAsJSON : "\u{201C}\(escapedForTerminals)\u{201D}"
    }

    var quotedAsJSON: String {
        let inner = unicodeScalars.map { scalar in
            scalar == "\"" || scalar == "\\" ? "\\\(scalar)" : String(scalar)
        }
        return "\"\(inner.joined().escapedForTerminals)\""
    }

    /// As it is if it is a plain name in lower case, which the ledger's own words never are where
    /// names stand; otherwise quoted.
    package var asName: String {
        let isPlain = utf8.allSatisfy { byte in
            byte &- 0x61 < 26 || byte &- 0x30 < 10 || "._:/#@+-".utf8.contains(byte)
        }
        return isPlain && !isEmpty ? self : quoted
    }

    /// At most so many characters; an ellipsis says that there were more.
    func shortened(to count: Int) -> String {
        guard let end = index(startIndex, offsetBy: count, limitedBy: endIndex), end < endIndex
        else { return self }
        return self[..<end] + "…"
    }

    /// JSON as a packet has it, with escapes in strings only where they are needed: many programs
    /// escape everything that is not ASCII.
    static func readable(_ source: ArraySlice<UInt8>) -> String {
        var text = ""
        var index = source.startIndex
        while index < source.endIndex {
            let start = index
            guard source[index] == UInt8(ascii: "\"") else {
                while index < source.endIndex, source[index] != UInt8(ascii: "\"") { index += 1 }
                text += String(decoding: source[start..<index], as: UTF8.self)
                continue
            }
            index += 1
            while index < source.endIndex, source[index] != UInt8(ascii: "\"") {
                index += source[index] == UInt8(ascii: "\\") ? 2 : 1
            }
            index = Swift.min(index + 1, source.endIndex)
            let document = try? JSONDocument(Array(source[start..<index]))
            text += document?.string(0)?.quotedAsJSON ?? ""
        }
        return text
    }
}
