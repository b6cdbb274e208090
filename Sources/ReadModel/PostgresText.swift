internal import LedgerFormat

/// Converts PostgreSQL's text forms, as the server writes them with `datestyle=ISO` and
/// `timezone=UTC`, to the read model's. Each function appends to `text`, and returns false if it
/// does not recognise the form.
package enum PostgresText {
    // MARK: Times

    /// `2026-01-01 00:00:02.420745+00`, with ` BC` at the end for a year before 1, or an infinity.
    package static func appendTimestamp(_ source: Span<UInt8>, to text: inout [UInt8]) -> Bool {
        if source.isText("infinity") || source.isText("-infinity") {
            for index in source.indices { text.append(source[index]) }
            return true
        }
        var end = source.count
        let isBC = source.hasSuffix(" BC")
        if isBC { end -= 3 }
        guard end >= 22, source.extracting(0..<end).hasSuffix("+00") else { return false }
        end -= 3
        var year = 0
        var index = 0
        while index < end, let digit = source.digit(at: index) {
            guard year < 1_000_000 else { return false }
            year = year * 10 + digit
            index += 1
        }
        // `-MM-DD HH:MM:SS` and a fraction of up to six digits.
        guard index >= 4, end - index >= 15, end - index <= 22, source.isClock(from: index) else {
            return false
        }
        let fraction = end - index - 16
        if end - index > 15 {
            guard source[index + 15] == UInt8(ascii: "."), fraction >= 1 else { return false }
        }
        appendYear(isBC ? 1 - year : year, to: &text)
        for place in index..<index + 15 {
            text.append(place == index + 6 ? UInt8(ascii: "T") : source[place])
        }
        text.append(UInt8(ascii: "."))
        for place in 0..<6 {
            guard place < fraction else {
                text.append(UInt8(ascii: "0"))
                continue
            }
            guard source.digit(at: index + 16 + place) != nil else { return false }
            text.append(source[index + 16 + place])
        }
        text.append(UInt8(ascii: "Z"))
        return true
    }

    private static func appendYear(_ year: Int, to text: inout [UInt8]) {
        if year > 9999 { text.append(UInt8(ascii: "+")) }
        text.append(decimal: year, digits: 4)
    }

    // MARK: Arrays

    /// Converts `{a,"b c",NULL}`, possibly nested or preceded by bounds, to JSON.
    package static func appendArray(_ source: Span<UInt8>, to text: inout [UInt8]) -> Bool {
        var index = 0
        if source.count > 0, source[0] == UInt8(ascii: "[") {
            while index < source.count, source[index] != UInt8(ascii: "=") { index += 1 }
            index += 1
        }
        guard appendArray(source, &index, depth: 1, to: &text) else { return false }
        return index == source.count
    }

    /// PostgreSQL arrays have at most six dimensions.
    private static let dimensionsMax = 6

    private static func appendArray(
        _ source: Span<UInt8>, _ index: inout Int, depth: Int, to text: inout [UInt8]
    ) -> Bool {
        guard depth <= dimensionsMax, index < source.count, source[index] == UInt8(ascii: "{")
        else { return false }
        index += 1
        text.append(UInt8(ascii: "["))
        if index < source.count, source[index] == UInt8(ascii: "}") {
            index += 1
            text.append(UInt8(ascii: "]"))
            return true
        }
        while index < source.count {
            guard appendElement(source, &index, depth: depth, to: &text), index < source.count
            else { return false }
            let separator = source[index]
            index += 1
            if separator == UInt8(ascii: "}") {
                text.append(UInt8(ascii: "]"))
                return true
            }
            guard separator == UInt8(ascii: ",") else { return false }
            text.append(separator)
        }
        return false
    }

    private static func appendElement(
        _ source: Span<UInt8>, _ index: inout Int, depth: Int, to text: inout [UInt8]
    ) -> Bool {
        switch source[index] {
        case UInt8(ascii: "{"): return appendArray(source, &index, depth: depth + 1, to: &text)
        case UInt8(ascii: "\""):
            index += 1
            text.append(UInt8(ascii: "\""))
            while index < source.count, source[index] != UInt8(ascii: "\"") {
                if source[index] == UInt8(ascii: "\\") { index += 1 }
                guard index < source.count else { return false }
                text.append(escaped: source[index])
                index += 1
            }
            guard index < source.count else { return false }
            index += 1
            text.append(UInt8(ascii: "\""))
            return true
        default:
            let start = index
            while index < source.count, source[index] != UInt8(ascii: ","),
                source[index] != UInt8(ascii: "}")
            { index += 1 }
            let element = source.extracting(start..<index)
            if element.isText("NULL") {
                text.append("null")
            } else {
                text.append(UInt8(ascii: "\""))
                for place in element.indices { text.append(escaped: element[place]) }
                text.append(UInt8(ascii: "\""))
            }
            return true
        }
    }
}

extension [UInt8] {
    /// Appends a byte of a JSON string as PostgreSQL escapes it.
    mutating func append(escaped byte: UInt8) {
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"):
            append(UInt8(ascii: "\\"))
            append(byte)
        case 0x08: append("\\b")
        case 0x09: append("\\t")
        case 0x0A: append("\\n")
        case 0x0C: append("\\f")
        case 0x0D: append("\\r")
        case 0..<0x20:
            append("\\u00")
            append(hexadecimal: byte)
        default: append(byte)
        }
    }
}

extension Span<UInt8> {
    func isText(_ text: StaticString) -> Bool {
        guard count == text.utf8CodeUnitCount else { return false }
        return hasSuffix(text)
    }

    func hasSuffix(_ text: StaticString) -> Bool {
        let length = text.utf8CodeUnitCount
        guard count >= length else { return false }
        // Safety: a static string lives forever, and the index is below its count.
        for index in 0..<length where unsafe self[count - length + index] != text.utf8Start[index] {
            return false
        }
        return true
    }

    @inline(__always)
    func digit(at index: Int) -> Int? {
        let value = self[index] &- UInt8(ascii: "0")
        return value < 10 ? Int(value) : nil
    }

    /// Whether the separators of `-MM-DD HH:MM:SS` are in place from `start` on.
    fileprivate func isClock(from start: Int) -> Bool {
        self[start] == UInt8(ascii: "-") && self[start + 3] == UInt8(ascii: "-")
            && self[start + 6] == UInt8(ascii: " ") && self[start + 9] == UInt8(ascii: ":")
            && self[start + 12] == UInt8(ascii: ":")
    }
}
