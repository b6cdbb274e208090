/// A JSON number by its value: sign, digits without leading or trailing zeros, and the power of ten
/// of the last digit. 1, 1.0 and 10e-1 are equal, and -0 equals 0.
struct JSONDecimal: Hashable {
    private(set) var isNegative: Bool
    private(set) var digits: [UInt8]
    private(set) var exponent: Int

    /// Reads a number that the parser has accepted. Anything else, such as a damaged payload has,
    /// gives some value.
    init(_ text: Span<UInt8>) {
        isNegative = text[0] == UInt8(ascii: "-")
        digits = []
        exponent = 0
        var index = isNegative ? 1 : 0
        var isFraction = false
        scan: while index < text.count {
            switch text[index] {
            case UInt8(ascii: "."): isFraction = true
            case UInt8(ascii: "e"), UInt8(ascii: "E"): break scan
            case let digit:
                if !digits.isEmpty || digit != UInt8(ascii: "0") { digits.append(digit) }
                if isFraction { exponent -= 1 }
            }
            index += 1
        }
        if index < text.count { exponent += Self.exponent(text, after: index) }
        while digits.last == UInt8(ascii: "0") {
            digits.removeLast()
            exponent += 1
        }
        if digits.isEmpty { (isNegative, exponent) = (false, 0) }
    }

    /// Reads the exponent after the `e` at `index`, which is small in every number that the parser
    /// accepts.
    private static func exponent(_ text: Span<UInt8>, after index: Int) -> Int {
        guard index + 1 < text.count else { return 0 }
        var value = 0
        for place in index + 1..<text.count where text[place] >= UInt8(ascii: "0") {
            value = min(value, 1 << 32) * 10 + Int(text[place] - UInt8(ascii: "0"))
        }
        return text[index + 1] == UInt8(ascii: "-") ? -value : value
    }

    var isInteger: Bool { exponent >= 0 }

    /// Whether the value is 1 or less.
    var isAtMostOne: Bool {
        if isNegative || digits.isEmpty { return true }
        let magnitude = digits.count + exponent  // 0.1 ≤ value / 10^magnitude < 1
        return magnitude < 1 || (magnitude == 1 && digits == [UInt8(ascii: "1")])
    }

    /// A text that is equal for two numbers exactly when their values are.
    var canonicalText: [UInt8] {
        Array("\(isNegative ? "-" : "")\(String(decoding: digits, as: UTF8.self))e\(exponent)".utf8)
    }
}
