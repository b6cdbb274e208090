extension String {
    /// Two lower-case digits a byte.
    package init(hexadecimal bytes: some Collection<UInt8>) {
        var digits: [UInt8] = []
        digits.reserveCapacity(bytes.count * 2)
        for byte in bytes { digits.append(hexadecimal: byte) }
        self.init(decoding: digits, as: UTF8.self)
    }
}

extension [UInt8] {
    /// Reads pairs of hexadecimal digits of either case; nil where there is anything else.
    package init?(hexadecimal digits: some Collection<UInt8>) {
        guard digits.count.isMultiple(of: 2) else { return nil }
        self.init()
        reserveCapacity(digits.count / 2)
        var high: UInt8?
        for digit in digits {
            guard let value = hexadecimalValue(digit) else { return nil }
            if let upper = high {
                append(upper << 4 | value)
                high = nil
            } else {
                high = value
            }
        }
    }

    /// Appends a byte as two lower-case hexadecimal digits.
    package mutating func append(hexadecimal byte: UInt8) {
        append(hexadecimalDigit(byte >> 4))
        append(hexadecimalDigit(byte & 15))
    }
}

/// 0 to 15 for a hexadecimal digit of either case, nil for another byte.
package func hexadecimalValue(_ digit: UInt8) -> UInt8? {
    switch digit {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): digit &- UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): digit &- UInt8(ascii: "a") &+ 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): digit &- UInt8(ascii: "A") &+ 10
    default: nil
    }
}

private func hexadecimalDigit(_ value: UInt8) -> UInt8 {
    value < 10 ? UInt8(ascii: "0") &+ value : UInt8(ascii: "a") &+ value &- 10
}
