import PipelineWorkload

/// Changes bytes at random, as accidents and people do: with numbers at the borders of what fits, and
/// with pieces of other inputs.
struct Mutator {
    private static let numbers: [UInt64] = [
        0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 1 << 31 - 1, 1 << 31, 1 << 32 - 1, 1 << 32,
        1 << 63 - 1,
        1 << 63, .max,
    ]
    private static let texts = [
        "18446744073709551615", "9223372036854775808", "-1", "0", "1e400", "00", "\r\n", "\0",
        "\u{FEFF}",
        "\u{202E}", "{", "}", "[", "]", "\"", "\\", "+", "null", "\n\n", " ", "\u{2014} ", "e",
        "%00", "%zz",
    ].map { Array($0.utf8) }

    var generator: SeededGenerator

    /// An input of the corpus with a few changes, and which it was.
    mutating func mutated(_ corpus: [[UInt8]]) -> (bytes: [UInt8], origin: Int) {
        let origin = Int.random(in: 0..<corpus.count, using: &generator)
        var bytes = corpus[origin]
        for _ in 0..<Int.random(in: 1...4, using: &generator) { change(&bytes, corpus) }
        return (bytes, origin)
    }

    private mutating func change(_ bytes: inout [UInt8], _ corpus: [[UInt8]]) {
        guard !bytes.isEmpty else {
            bytes = Self.texts.randomElement(using: &generator)!
            return
        }
        let place = Int.random(in: 0..<bytes.count, using: &generator)
        let end = min(bytes.count, place + Int.random(in: 1...40, using: &generator))
        switch Int.random(in: 0..<9, using: &generator) {
        case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
        case 1: bytes[place] = .random(in: .min ... .max, using: &generator)
        case 2: bytes.removeSubrange(place..<end)
        case 3: bytes.insert(contentsOf: Array(bytes[place..<end]), at: place)
        case 4:
            let number = Self.numbers.randomElement(using: &generator)!
            for index in 0..<[1, 2, 4, 8].randomElement(using: &generator)!
            where place + index < bytes.count {
                bytes[place + index] = UInt8(truncatingIfNeeded: number >> (8 * UInt64(index)))
            }
        case 5: bytes.insert(contentsOf: Self.texts.randomElement(using: &generator)!, at: place)
        case 6: bytes = Array(bytes.prefix(place))
        case 7:
            let other = corpus.randomElement(using: &generator)!
            bytes =
                Array(bytes.prefix(place))
                + other.suffix(Int.random(in: 0...other.count, using: &generator))
        default: for index in place..<end { bytes[index] = 0 }
        }
    }
}
