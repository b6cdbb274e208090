/// A UUID (RFC 9562) as its 16 bytes in network order. Upper and lower case are the same id.
package struct UUID128: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The first eight bytes, most significant first.
    package var high: UInt64
    /// The last eight bytes, most significant first.
    package var low: UInt64

    package static let byteCount = 16
    /// Characters of the text form, dashes included.
    package static let textCount = 36

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Reads the 16 bytes at `offset`. The caller has checked that they are there.
    package init(_ bytes: Span<UInt8>, at offset: Int) {
        high = bytes.littleEndian(UInt64.self, at: offset).byteSwapped
        low = bytes.littleEndian(UInt64.self, at: offset + 8).byteSwapped
    }

    /// Reads the text form, `8-4-4-4-12` hexadecimal digits of either case.
    package init?(text: Span<UInt8>) {
        guard text.count == Self.textCount else { return nil }
        var halves: (UInt64, UInt64) = (0, 0)
        var digits = 0
        for index in 0..<Self.textCount {
            let byte = text[index]
            if index == 8 || index == 13 || index == 18 || index == 23 {
                guard byte == UInt8(ascii: "-") else { return nil }
                continue
            }
            guard let value = hexadecimalValue(byte) else { return nil }
            if digits < 16 {
                halves.0 = halves.0 << 4 | UInt64(value)
            } else {
                halves.1 = halves.1 << 4 | UInt64(value)
            }
            digits += 1
        }
        (high, low) = halves
    }

    package init?(_ text: some StringProtocol) {
        let bytes = Array(text.utf8)
        self.init(text: bytes.span)
    }

    /// A random UUIDv4 (RFC 9562 section 5.4).
    package static func random(using generator: inout some RandomNumberGenerator) -> UUID128 {
        UUID128(high: generator.next(), low: generator.next()).shapedAsVersion4
    }

    /// The same bits with those of version and variant set to UUIDv4's.
    package var shapedAsVersion4: UUID128 {
        UUID128(
            high: high & ~0xF000 | 0x4000,
            low: low & ~(0b11 << 62) | 0b10 << 62)
    }

    /// Version 4 and the RFC 9562 variant.
    package var isVersion4: Bool { high >> 12 & 15 == 4 && low >> 62 == 0b10 }

    package func store(in bytes: inout MutableSpan<UInt8>, at offset: Int) {
        bytes.store(high.byteSwapped, at: offset)
        bytes.store(low.byteSwapped, at: offset + 8)
    }

    package static func < (left: Self, right: Self) -> Bool {
        (left.high, left.low) < (right.high, right.low)
    }

    /// The text form in lower case.
    package var description: String {
        var text: [UInt8] = []
        appendText(to: &text)
        return String(decoding: text, as: UTF8.self)
    }

    package func appendText(to text: inout [UInt8]) {
        for index in 0..<Self.byteCount {
            if index == 4 || index == 6 || index == 8 || index == 10 {
                text.append(UInt8(ascii: "-"))
            }
            let word = index < 8 ? high : low
            text.append(hexadecimal: UInt8(truncatingIfNeeded: word >> (56 - 8 * (index % 8))))
        }
    }
}
