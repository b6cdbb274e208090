/// The words of texts: runs of letters, marks and digits, in small letters; of Han, kana and Thai each
/// character is a word. Nothing is stemmed or normalized.
package enum Words {
    /// Members whose strings are texts, those further inside included.
    package static let textMembers = [
        "rationale", "title", "label", "question", "why_not", "why", "method",
    ]

    /// Stands before and after each word of folded text. No UTF-8 contains it.
    package static let border: UInt8 = 0xFF

    /// The words of a text in their order, each followed by a border, after a first border.
    package static func folded(_ text: Span<UInt8>) -> [UInt8] {
        var folded = [border]
        folded.reserveCapacity(text.count + 2)
        scan(
            text, 0..<text.count, byte: { folded.append($0) },
            end: { if folded.last != border { folded.append(border) } })
        return folded
    }

    /// Passes the bytes of each word to `byte`, and then calls `end`, possibly more than once.
    @inline(__always)
    static func scan(
        _ text: Span<UInt8>, _ range: Range<Int>, byte: (UInt8) -> Void, end: () -> Void
    ) {
        var index = range.lowerBound
        while index < range.upperBound {
            let first = text[index]
            guard first < 0x80 else {
                let (scalar, count) = scalar(text, index, range.upperBound)
                index += count
                let kind = CharacterKind(scalar)
                if kind != .within { end() }
                if kind == .between { continue }
                for unit in UTF8.encode(CharacterKind.folded(scalar))! { byte(unit) }
                if kind == .single { end() }
                continue
            }
            index += 1
            let letter = first | 0x20
            if letter &- UInt8(ascii: "a") < 26 {
                byte(letter)
            } else if first &- UInt8(ascii: "0") < 10 {
                byte(first)
            } else {
                end()
            }
        }
        end()
    }

    /// The character at an index and how many bytes it takes. What is no UTF-8 is between words.
    private static func scalar(
        _ text: Span<UInt8>, _ index: Int, _ end: Int
    ) -> (Unicode.Scalar, Int) {
        let first = text[index]
        let count = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4
        guard first >= 0xC0, index + count <= end else { return (" ", 1) }
        var value = UInt32(first) & (0xFF >> UInt32(count + 1))
        for offset in 1..<count {
            value = value << 6 | UInt32(text[index + offset] & 0x3F)
        }
        return (Unicode.Scalar(value) ?? " ", count)
    }
}

/// What a character beyond ASCII is for words.
enum CharacterKind: UInt8 {
    case between, within, single

    init(_ scalar: Unicode.Scalar) {
        guard scalar.value > 0xFFFF else {
            self = Self.basic[Int(scalar.value)]
            return
        }
        self =
            Self.lone.contains(scalar.value)
            ? .single : Self.words.contains(scalar.value) ? .within : .between
    }

    /// The small letter; the character itself if it has none.
    static func folded(_ scalar: Unicode.Scalar) -> Unicode.Scalar {
        guard let index = folds.index(of: scalar.value) else { return scalar }
        let fold = WordTable.folds[4 * index..<4 * index + 4]
        let (step, difference) = (fold[fold.startIndex + 2], fold[fold.startIndex + 3])
        guard (scalar.value - folds.starts[index]).isMultiple(of: UInt32(step)) else {
            return scalar
        }
        return Unicode.Scalar(UInt32(Int32(scalar.value) + difference)) ?? scalar
    }

    private static let words = Ranges(WordTable.words)
    private static let lone = Ranges(WordTable.single)
    private static let folds = Ranges(
        WordTable.folds.enumerated().filter { $0.offset % 4 < 2 }.map { UInt32($0.element) })

    /// The kinds of the characters that two bytes can number: nearly all that occur.
    private static let basic: [CharacterKind] = (0...UInt32(0xFFFF)).map { value in
        lone.contains(value) ? .single : words.contains(value) ? .within : .between
    }

    private struct Ranges {
        private(set) var starts: [UInt32] = []
        private var ends: [UInt32] = []

        /// Of each range how far it begins after the last one ended, and its length less 1.
        init(_ steps: [UInt32]) {
            var last: UInt32 = 0
            for index in stride(from: 0, to: steps.count, by: 2) {
                starts.append(last + steps[index])
                last = starts.last! + steps[index + 1]
                ends.append(last)
            }
        }

        func contains(_ value: UInt32) -> Bool { index(of: value) != nil }

        /// The range that has a value.
        func index(of value: UInt32) -> Int? {
            var (low, high) = (0, starts.count)
            while low < high {
                let middle = (low + high) / 2
                if ends[middle] < value { low = middle + 1 } else { high = middle }
            }
            return low < starts.count && starts[low] <= value ? low : nil
        }
    }
}
