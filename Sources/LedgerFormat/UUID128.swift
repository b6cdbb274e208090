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

    /// Reads the 16 bytes at `offset`. The caller has checked the bounds.
    package init(_ bytes: Span<UInt8>, at offset: Int) {
        high = bytes.littleEndian(UInt64.self, at: offset).byteSwapped
        low = bytes.littleEndian(UInt64.self, at: offset + 8).byteSwapped
    }

    /// Reads the text form, `8-4-4-4-12` hexadecimal digits of either case.
    package init?(text: Span<UInt8>) {
        let dash = UInt8(ascii: "-")
        guard text.count == Self.textCount, text[8] == dash, text[13] == dash, text[18] == dash,
            text[23] == dash
        else { return nil }
        func half(_ offset: Int) -> UInt64 { UInt64(text.littleEndian(UInt32.self, at: offset)) }
        guard let first = HexadecimalWord(text.littleEndian(UInt64.self, at: 0)).value,
            let second = HexadecimalWord(half(9) | half(14) << 32).value,
            let third = HexadecimalWord(half(19) | half(24) << 32).value,
            let fourth = HexadecimalWord(text.littleEndian(UInt64.self, at: 28)).value
        else { return nil }
        high = UInt64(first) << 32 | UInt64(second)
        low = UInt64(third) << 32 | UInt64(fourth)
    }

    /// Digits in the form without dashes, which trace ids use.
    package static let digitCount = 32

    /// Reads the text form, or 32 hexadecimal digits without dashes.
    package init?(anyText text: Span<UInt8>) {
        if text.count == Self.digitCount {
            self.init(digits: text)
        } else {
            self.init(text: text)
        }
    }

    private init?(digits text: Span<UInt8>) {
        func word(_ offset: Int) -> UInt64? {
            HexadecimalWord(text.littleEndian(UInt64.self, at: offset)).value.map(UInt64.init)
        }
        guard let first = word(0), let second = word(8), let third = word(16),
            let fourth = word(24)
        else { return nil }
        high = first << 32 | second
        low = third << 32 | fourth
    }

    package init?(_ text: some StringProtocol) {
        let bytes = Array(text.utf8)
        self.init(text: bytes.span)
    }

    /// A random UUIDv4 (RFC 9562 section 5.4).
    package static func random(using generator: inout some RandomNumberGenerator) -> UUID128 {
        UUID128(high: generator.next(), low: generator.next()).shapedAsVersion4
    }

    /// The same bits, with version and variant set to those of UUIDv4.
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
        let start = text.count
        text.append("00000000-0000-0000-0000-000000000000")
        let middle = HexadecimalWord(number: UInt32(truncatingIfNeeded: high)).digits
        let next = HexadecimalWord(number: UInt32(low >> 32)).digits
        var span = text.mutableSpan
        span.store(HexadecimalWord(number: UInt32(high >> 32)).digits, at: start)
        span.store(UInt32(truncatingIfNeeded: middle), at: start + 9)
        span.store(UInt32(middle >> 32), at: start + 14)
        span.store(UInt32(truncatingIfNeeded: next), at: start + 19)
        span.store(UInt32(next >> 32), at: start + 24)
        span.store(
            HexadecimalWord(number: UInt32(truncatingIfNeeded: low)).digits, at: start + 28)
    }
}
