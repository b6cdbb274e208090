/// A pattern of LIKE or GLOB as SQLite understands them (sqlite.org/lang_expr.html). Matching goes
/// back to the last wildcard only, so its time is at most the product of both lengths, where
/// SQLite's own grows with a power of it.
struct SQLPattern {
    private enum Token {
        /// Any characters.
        case many
        /// Any one character.
        case one
        case character(UInt32)
        /// One character of these, or none of them.
        case set([ClosedRange<UInt32>], isInverted: Bool)
    }

    private var tokens: [Token] = []
    private let foldsCase: Bool
    /// A set has no end, or nothing is escaped at the end: nothing matches.
    private var isUnfinished = false

    /// Steps between two looks at the clock.
    private static let stepsBetweenChecks = 1 << 16

    /// LIKE: `%` and `_`, and ASCII letters of either case.
    init(like pattern: UnsafeBufferPointer<UInt8>, escape: UInt32?) {
        foldsCase = true
        var index = 0
        while let character = unsafe Self.next(pattern, &index) {
            if character == escape {
                guard let escaped = unsafe Self.next(pattern, &index) else {
                    isUnfinished = true
                    break
                }
                tokens.append(.character(Self.folded(escaped)))
            } else if character == UInt32(UInt8(ascii: "%")) {
                appendMany()
            } else if character == UInt32(UInt8(ascii: "_")) {
                tokens.append(.one)
            } else {
                tokens.append(.character(Self.folded(character)))
            }
        }
    }

    /// GLOB: `*`, `?` and `[…]`.
    init(glob pattern: UnsafeBufferPointer<UInt8>) {
        foldsCase = false
        var index = 0
        while let character = unsafe Self.next(pattern, &index) {
            switch character {
            case UInt32(UInt8(ascii: "*")): appendMany()
            case UInt32(UInt8(ascii: "?")): tokens.append(.one)
            case UInt32(UInt8(ascii: "[")):
                if let set = unsafe Self.set(pattern, &index) {
                    tokens.append(set)
                } else {
                    isUnfinished = true
                }
            default: tokens.append(.character(character))
            }
        }
    }

    private mutating func appendMany() {
        if case .many = tokens.last { return }
        tokens.append(.many)
    }

    /// A set behind its `[`; nil if it has no end. A `]` counts as a member in the first place.
    private static func set(_ pattern: UnsafeBufferPointer<UInt8>, _ index: inout Int) -> Token? {
        let (bracket, dash) = (UInt32(UInt8(ascii: "]")), UInt32(UInt8(ascii: "-")))
        var ranges: [ClosedRange<UInt32>] = []
        var isInverted = false
        var character = unsafe next(pattern, &index)
        if character == UInt32(UInt8(ascii: "^")) {
            isInverted = true
            character = unsafe next(pattern, &index)
        }
        if character == bracket {
            ranges.append(bracket...bracket)
            character = unsafe next(pattern, &index)
        }
        var prior: UInt32?
        while let found = character, found != bracket {
            var ahead = index
            let following = unsafe next(pattern, &ahead)
            if found == dash, let from = prior, let end = following, end != bracket {
                if from <= end { ranges.append(from...end) }
                prior = nil
                index = ahead
            } else {
                ranges.append(found...found)
                prior = found
            }
            character = unsafe next(pattern, &index)
        }
        return character == nil ? nil : .set(ranges, isInverted: isInverted)
    }

    /// Whether the text matches; nil if `goesOn` said to stop.
    func matches(_ text: UnsafeBufferPointer<UInt8>, goesOn: () -> Bool) -> Bool? {
        if isUnfinished { return false }
        var (place, token, steps) = (0, 0, 0)
        // Where to go on from the last wildcard: its token, and the first character not tried.
        var (wildcard, retry): (Int?, Int) = (nil, 0)
        while true {
            steps += 1
            if steps % Self.stepsBetweenChecks == 0, !goesOn() { return nil }
            if token < tokens.count, case .many = tokens[token] {
                (wildcard, retry) = (token, place)
                token += 1
                if token == tokens.count { return true }
                continue
            }
            var after = place
            let character = unsafe Self.next(text, &after)
            if token == tokens.count {
                if character == nil { return true }
            } else if let character, accepts(tokens[token], character) {
                (place, token) = (after, token + 1)
                continue
            }
            guard let start = wildcard, unsafe Self.next(text, &retry) != nil else { return false }
            (place, token) = (retry, start + 1)
        }
    }

    private func accepts(_ token: Token, _ character: UInt32) -> Bool {
        switch token {
        case .many, .one: true
        case .character(let wanted):
            (foldsCase ? Self.folded(character) : character) == wanted
        case .set(let ranges, let isInverted):
            ranges.contains { $0.contains(character) } != isInverted
        }
    }

    private static func folded(_ character: UInt32) -> UInt32 {
        character &- 0x41 < 26 ? character | 0x20 : character
    }

    /// The character at `index`, and steps over it; nil at the end. Malformed text yields some
    /// character for each of its bytes.
    private static func next(_ text: UnsafeBufferPointer<UInt8>, _ index: inout Int) -> UInt32? {
        guard index < text.count else { return nil }
        let first = unsafe text[index]
        index += 1
        guard first >= 0xC0 else { return UInt32(first) }
        var value = UInt32(first & (first >= 0xF0 ? 0x07 : first >= 0xE0 ? 0x0F : 0x1F))
        while index < text.count, unsafe text[index] & 0xC0 == 0x80 {
            value = value << 6 | UInt32(unsafe text[index] & 0x3F)
            index += 1
        }
        return value
    }
}
