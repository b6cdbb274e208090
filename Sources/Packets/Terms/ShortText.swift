internal import LedgerFormat

/// A text of at most 24 bytes as three words, compared without touching memory. Texts from admitted
/// JSON have no zero byte, so padding with zeros is unambiguous.
struct ShortText: Hashable {
    private var words: (UInt64, UInt64, UInt64) = (0, 0, 0)

    static let byteCountMax = 24

    /// Nil for a longer text.
    @inline(__always)
    init?(_ text: Span<UInt8>, _ range: Range<Int>) {
        guard range.count <= Self.byteCountMax else { return nil }
        let start = range.lowerBound
        words.0 = Self.word(text, start, range.count)
        if range.count > 8 { words.1 = Self.word(text, start + 8, range.count - 8) }
        if range.count > 16 { words.2 = Self.word(text, start + 16, range.count - 16) }
    }

    init(_ text: StaticString) {
        let bytes = (0..<text.utf8CodeUnitCount).map { text.byte(at: $0) }
        precondition(bytes.count <= Self.byteCountMax)
        self.init(bytes.span, 0..<bytes.count)!
    }

    @inline(__always)
    static func word(_ text: Span<UInt8>, _ start: Int, _ count: Int) -> UInt64 {
        if start + 8 <= text.count {
            let word = text.littleEndian(UInt64.self, at: start)
            return count >= 8 ? word : word & (1 << (8 * UInt64(count)) - 1)
        }
        var word: UInt64 = 0
        for index in (start..<start + min(count, 8)).reversed() {
            word = word << 8 | UInt64(text[index])
        }
        return word
    }

    static func == (left: Self, right: Self) -> Bool { left.words == right.words }

    func hash(into hasher: inout Hasher) {
        hasher.combine(words.0)
        hasher.combine(words.1)
        hasher.combine(words.2)
    }

    /// An 8-bit hash that separates the schema's names well.
    @inline(__always)
    var bucket: Int {
        let mixed = (words.0 ^ words.1 &* 0x9E37_79B9_7F4A_7C15) &* 0xD6E8_FEB8_6659_FD93
        return Int(truncatingIfNeeded: mixed >> 56)
    }
}

extension [ShortText] {
    init(texts: StaticString...) { self = texts.map(ShortText.init) }
}
