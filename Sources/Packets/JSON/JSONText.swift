internal import CPlatform
internal import Glibc
internal import LedgerFormat

/// The lexical rules of JSON strings and white space.
package enum JSONText {
    @inline(__always)
    package static func isSpace(_ byte: UInt8) -> Bool {
        byte <= 0x20 && (byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09)
    }

    /// The range without surrounding white space. Empty if there is nothing else.
    package static func trimmed(_ bytes: Span<UInt8>) -> Range<Int> {
        var range = 0..<bytes.count
        while let first = range.first, isSpace(bytes[first]) { range.removeFirst() }
        while let last = range.last, isSpace(bytes[last]) { range.removeLast() }
        return range
    }

    /// The first line feed at or after `start`; nil if there is none.
    package static func nextLineFeed(_ bytes: Span<UInt8>, from start: Int) -> Int? {
        precondition(start <= bytes.count)
        // Safety: only bytes between `start` and the end of the borrowed bytes are searched.
        return unsafe bytes.withUnsafeBytes { buffer in
            guard let base = buffer.baseAddress,
                let found = unsafe memchr(base + start, 0x0A, buffer.count - start)
            else { return nil }
            return unsafe UnsafeRawPointer(found) - base
        }
    }

    /// The next byte that does not stand for itself in a string: a quote, a backslash, a control
    /// character or the start of a longer UTF-8 sequence; `count` if there is none.
    @inline(__always)
    static func firstSpecial(_ bytes: Span<UInt8>, from start: Int) -> Int {
        precondition(start <= bytes.count)
        // Safety: only bytes between `start` and the end of the borrowed bytes are read.
        return unsafe bytes.withUnsafeBufferPointer {
            unsafe start + stardust_plain_prefix($0.baseAddress! + start, $0.count - start)
        }
    }

    /// The index after the escape at `index`. A lead and a trail surrogate count as one escape.
    static func afterEscape(_ bytes: Span<UInt8>, at index: Int) throws(JSONError) -> Int {
        guard index + 1 < bytes.count else { throw JSONError(.unexpectedEnd, at: bytes.count) }
        switch bytes[index + 1] {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"),
            UInt8(ascii: "f"), UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            return index + 2
        case UInt8(ascii: "u"): break
        default: throw JSONError(.invalidEscape, at: index)
        }
        let unit = try codeUnit(bytes, at: index)
        if unit == 0 { throw JSONError(.nullCharacter, at: index) }
        if UTF16.isTrailSurrogate(unit) { throw JSONError(.loneSurrogate, at: index) }
        guard UTF16.isLeadSurrogate(unit) else { return index + 6 }
        guard index + 7 < bytes.count, bytes[index + 6] == UInt8(ascii: "\\"),
            bytes[index + 7] == UInt8(ascii: "u"),
            UTF16.isTrailSurrogate(try codeUnit(bytes, at: index + 6))
        else { throw JSONError(.loneSurrogate, at: index) }
        return index + 12
    }

    /// The code unit of the `\uXXXX` at `index`.
    private static func codeUnit(_ bytes: Span<UInt8>, at index: Int) throws(JSONError) -> UInt16 {
        var unit: UInt16 = 0
        for place in index + 2..<index + 6 {
            guard place < bytes.count else { throw JSONError(.unexpectedEnd, at: bytes.count) }
            guard let value = hexadecimalValue(bytes[place]) else {
                throw JSONError(.invalidEscape, at: index)
            }
            unit = unit << 4 | UInt16(value)
        }
        return unit
    }

    /// The index after the UTF-8 sequence of two to four bytes at `index` (RFC 3629 section 4).
    @inline(__always)
    static func afterScalar(_ bytes: Span<UInt8>, at index: Int) throws(JSONError) -> Int {
        let lead = bytes[index]
        let (length, second): (Int, ClosedRange<UInt8>)
        switch lead {
        case 0xC2...0xDF: (length, second) = (2, 0x80...0xBF)
        case 0xE0: (length, second) = (3, 0xA0...0xBF)
        case 0xED: (length, second) = (3, 0x80...0x9F)
        case 0xE1...0xEF: (length, second) = (3, 0x80...0xBF)
        case 0xF0: (length, second) = (4, 0x90...0xBF)
        case 0xF1...0xF3: (length, second) = (4, 0x80...0xBF)
        case 0xF4: (length, second) = (4, 0x80...0x8F)
        default: throw JSONError(.invalidUTF8, at: index)
        }
        guard index + length <= bytes.count, second.contains(bytes[index + 1]) else {
            throw JSONError(.invalidUTF8, at: index)
        }
        for place in index + 2..<index + length where bytes[place] & 0xC0 != 0x80 {
            throw JSONError(.invalidUTF8, at: index)
        }
        return index + length
    }
}

/// A hash of keys that nobody outside the process can predict, so nobody can construct keys that
/// collide.
enum KeyHash {
    private static let seeds: (UInt64, UInt64) = {
        var generator = SystemRandomNumberGenerator()
        return (generator.next(), generator.next() | 1)
    }()

    static func of(_ text: Span<UInt8>) -> UInt64 {
        var hash = seeds.0 ^ UInt64(text.count)
        var index = 0
        while index + 8 <= text.count {
            hash = mix(hash ^ text.littleEndian(UInt64.self, at: index))
            index += 8
        }
        var tail: UInt64 = 0
        while index < text.count {
            tail = tail << 8 | UInt64(text[index])
            index += 1
        }
        return mix(hash ^ tail)
    }

    private static func mix(_ value: UInt64) -> UInt64 {
        let product = value.multipliedFullWidth(by: seeds.1)
        return product.high ^ product.low
    }
}
