extension String {
    /// Two lower-case digits per byte.
    package init(hexadecimal bytes: some Collection<UInt8>) {
        var digits: [UInt8] = []
        digits.reserveCapacity(bytes.count * 2)
        for byte in bytes { digits.append(hexadecimal: byte) }
        self.init(decoding: digits, as: UTF8.self)
    }
}

extension [UInt8] {
    /// Reads pairs of hexadecimal digits of either case; nil for anything else.
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

/// Eight hexadecimal digits of either case in one word, the first in the lowest byte. All eight
/// are processed at once because ids and digests make up much of every packet.
package struct HexadecimalWord {
    package let digits: UInt64

    private static let ones: UInt64 = 0x0101_0101_0101_0101
    private static let highBits = ones &* 0x80

    @inline(__always)
    package init(_ digits: UInt64) { self.digits = digits }

    /// The high bit of each byte that is at least `bound`, for bytes below 128.
    @inline(__always)
    private static func atLeast(_ bytes: UInt64, _ bound: UInt8) -> UInt64 {
        ((bytes | highBits) &- ones &* UInt64(bound)) & highBits
    }

    /// The number the digits spell, most significant first; nil if one is not a hexadecimal digit.
    @inline(__always)
    package var value: UInt32? {
        let (ones, highBits) = (Self.ones, Self.highBits)
        let lower = digits | ones &* 0x20
        let isDecimal = Self.atLeast(digits, 0x30) & ~Self.atLeast(digits, 0x3A)
        let isLetter = Self.atLeast(lower, 0x61) & ~Self.atLeast(lower, 0x67) & digits << 1
        guard digits & highBits == 0, (isDecimal | isLetter) & highBits == highBits else {
            return nil
        }
        var nibbles = (digits & (ones &* 0x0F)) &+ (digits >> 6 & ones) &* 9
        nibbles = (nibbles << 4 | nibbles >> 8) & 0x00FF_00FF_00FF_00FF
        nibbles = (nibbles | nibbles >> 8) & 0x0000_FFFF_0000_FFFF
        return UInt32(truncatingIfNeeded: nibbles | nibbles >> 16).byteSwapped
    }

    /// The eight lower-case digits of a number, most significant first.
    @inline(__always)
    package init(number: UInt32) {
        var nibbles = UInt64(number)
        nibbles = (nibbles << 16 | nibbles) & 0x0000_FFFF_0000_FFFF
        nibbles = (nibbles << 8 | nibbles) & 0x00FF_00FF_00FF_00FF
        nibbles = (nibbles << 4 | nibbles) & (Self.ones &* 0x0F)
        let isLetter = (nibbles &+ Self.ones &* 6) >> 4 & Self.ones
        digits = (nibbles &+ Self.ones &* 0x30 &+ isLetter &* 0x27).byteSwapped
    }

    /// Whether all eight are lower-case hexadecimal digits.
    @inline(__always)
    package var isLowerCase: Bool {
        let highBits = Self.highBits
        let isDecimal = Self.atLeast(digits, 0x30) & ~Self.atLeast(digits, 0x3A)
        let isLetter = Self.atLeast(digits, 0x61) & ~Self.atLeast(digits, 0x67)
        return digits & highBits == 0 && (isDecimal | isLetter) == highBits
    }
}

/// 0 to 15 for a hexadecimal digit of either case, nil for another byte.
@inlinable package func hexadecimalValue(_ digit: UInt8) -> UInt8? {
    switch digit {
    case 0x30...0x39: digit &- 0x30
    case 0x61...0x66: digit &- 0x61 &+ 10
    case 0x41...0x46: digit &- 0x41 &+ 10
    default: nil
    }
}

private func hexadecimalDigit(_ value: UInt8) -> UInt8 {
    value < 10 ? UInt8(ascii: "0") &+ value : UInt8(ascii: "a") &+ value &- 10
}
