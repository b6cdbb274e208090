internal import LedgerFormat

/// The only parser that decides what is admitted. It follows RFC 8259 strictly and, where
/// implementations differ, `ledger-format.md`, section "JSON".
///
/// Time is linear in the bytes read, except for sorting an object's keys. The token array is kept
/// between documents, so a reused parser does not allocate.
package struct JSONParser: ~Copyable {
    /// Tokens of the last parsed document, in the order of its text.
    package private(set) var tokens: [JSONToken] = []
    /// Keys of the object being checked for duplicates, sorted by hash.
    private var keys: [(hash: UInt64, token: Int)] = []

    private let limits: Limits

    /// Limits on a document: a packet, or other JSON that is read by the same rules.
    package struct Limits: Sendable {
        var depth: Int
        var bytes: Int
        var members: Int
        var numberCharacters: Int
        var refusesDuplicates = true

        package static let packet = Limits(
            depth: PacketLimits.depthMax, bytes: PacketLimits.packetBytesMax,
            members: PacketLimits.membersMax, numberCharacters: PacketLimits.numberCharactersMax)
        /// JSON in a row, which others have written by their own rules. Each level of nesting takes
        /// some of the thread's stack.
        package static let row = Limits(
            depth: 4096, bytes: Int(UInt32.max), members: .max, numberCharacters: .max,
            refusesDuplicates: false)
        /// An answer from the daemon, which nests packets and rows a few levels deep.
        package static let answer = Limits(
            depth: row.depth + 8, bytes: Int(UInt32.max), members: .max, numberCharacters: .max,
            refusesDuplicates: false)
        /// A line of a change feed, which holds a row.
        package static let feed = Limits(
            depth: row.depth + 2, bytes: Int(UInt32.max), members: .max, numberCharacters: .max)
    }

    package init(limits: Limits = .packet) { self.limits = limits }

    /// Reserves memory for a document of `bytes` bytes: packets have one token per twelve bytes.
    mutating func expect(_ bytes: Int) { tokens.reserveCapacity(min(bytes, 1 << 16) / 12) }

    /// Parses one JSON value, with only white space around it.
    package mutating func parse(_ bytes: Span<UInt8>) throws(JSONError) {
        guard bytes.count <= limits.bytes else {
            throw JSONError(.tooLong, at: limits.bytes)
        }
        tokens.removeAll(keepingCapacity: true)
        var index = 0
        if bytes.count >= 3, bytes[0] == 0xEF, bytes[1] == 0xBB, bytes[2] == 0xBF {
            throw JSONError(.byteOrderMark, at: 0)
        }
        skipSpace(bytes, &index)
        try value(bytes, &index, depth: 1)
        skipSpace(bytes, &index)
        guard index == bytes.count else { throw JSONError(.trailingBytes, at: index) }
    }

    private mutating func value(
        _ bytes: Span<UInt8>, _ index: inout Int, depth: Int
    ) throws(JSONError) {
        guard index < bytes.count else { throw JSONError(.unexpectedEnd, at: index) }
        switch bytes[index] {
        case UInt8(ascii: "\""): try string(.string, bytes, &index)
        case UInt8(ascii: "{"): try object(bytes, &index, depth: depth)
        case UInt8(ascii: "["): try array(bytes, &index, depth: depth)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): try number(bytes, &index)
        case UInt8(ascii: "t"): try literal("true", .true, bytes, &index)
        case UInt8(ascii: "f"): try literal("false", .false, bytes, &index)
        case UInt8(ascii: "n"): try literal("null", .null, bytes, &index)
        default: throw JSONError(.unexpectedByte, at: index)
        }
    }

    // MARK: Containers

    private mutating func object(
        _ bytes: Span<UInt8>, _ index: inout Int, depth: Int
    ) throws(JSONError) {
        let token = try beginContainer(.object, at: &index, depth: depth)
        skipSpace(bytes, &index)
        if index < bytes.count, bytes[index] == UInt8(ascii: "}") {
            return endContainer(token, &index)
        }
        var members = 0
        while true {
            guard index < bytes.count else { throw JSONError(.unexpectedEnd, at: index) }
            guard bytes[index] == UInt8(ascii: "\"") else {
                throw JSONError(.unexpectedByte, at: index)
            }
            members += 1
            guard members <= limits.members else {
                throw JSONError(.tooManyMembers, at: index)
            }
            try string(.key, bytes, &index)
            skipSpace(bytes, &index)
            try expect(UInt8(ascii: ":"), bytes, &index)
            skipSpace(bytes, &index)
            try value(bytes, &index, depth: depth + 1)
            skipSpace(bytes, &index)
            guard try continues(until: UInt8(ascii: "}"), bytes, &index) else { break }
        }
        endContainer(token, &index)
        if members > 1, limits.refusesDuplicates {
            try refuseDuplicates(in: token, members: members, bytes)
        }
    }

    private mutating func array(
        _ bytes: Span<UInt8>, _ index: inout Int, depth: Int
    ) throws(JSONError) {
        let token = try beginContainer(.array, at: &index, depth: depth)
        skipSpace(bytes, &index)
        if index < bytes.count, bytes[index] == UInt8(ascii: "]") {
            return endContainer(token, &index)
        }
        while true {
            try value(bytes, &index, depth: depth + 1)
            skipSpace(bytes, &index)
            guard try continues(until: UInt8(ascii: "]"), bytes, &index) else { break }
        }
        endContainer(token, &index)
    }

    @inline(__always)
    private mutating func beginContainer(
        _ kind: JSONToken.Kind, at index: inout Int, depth: Int
    ) throws(JSONError) -> Int {
        guard depth <= limits.depth else { throw JSONError(.tooDeep, at: index) }
        append(kind, from: index, to: index)
        index += 1
        return tokens.count - 1
    }

    /// Called at the closing bracket. Steps over it and completes the container's token.
    @inline(__always)
    private mutating func endContainer(_ token: Int, _ index: inout Int) {
        index += 1
        tokens[token].end = UInt32(truncatingIfNeeded: index)
        tokens[token].next = UInt32(truncatingIfNeeded: tokens.count)
    }

    /// Called after a member or element. At a comma, steps past it and the white space after it and
    /// returns true. At the closing bracket, returns false.
    @inline(__always)
    private func continues(
        until close: UInt8, _ bytes: Span<UInt8>, _ index: inout Int
    ) throws(JSONError) -> Bool {
        guard index < bytes.count else { throw JSONError(.unexpectedEnd, at: index) }
        if bytes[index] == close { return false }
        try expect(UInt8(ascii: ","), bytes, &index)
        skipSpace(bytes, &index)
        return true
    }

    @inline(__always)
    private mutating func append(
        _ kind: JSONToken.Kind, isEscaped: Bool = false, from start: Int, to end: Int
    ) {
        tokens.append(
            JSONToken(
                kind: kind, isEscaped: isEscaped, start: UInt32(truncatingIfNeeded: start),
                end: UInt32(truncatingIfNeeded: end),
                next: UInt32(truncatingIfNeeded: tokens.count + 1)))
    }

    // MARK: Duplicate keys

    /// With more keys than this, an object's keys are sorted by a hash that nobody can predict.
    /// With fewer, comparing the ones that look alike is cheaper.
    private static let keysCompared = 32

    private mutating func refuseDuplicates(
        in object: Int, members: Int, _ bytes: Span<UInt8>
    ) throws(JSONError) {
        if members > Self.keysCompared { return try refuseDuplicatesSorted(in: object, bytes) }
        var seen: UInt64 = 0
        var index = object + 1
        let end = Int(tokens[object].next)
        while index < end {
            let bit: UInt64 = 1 << ((mark(tokens[index], bytes) &* 0xD6E8_FEB8_6659_FD93) >> 58)
            if seen & bit != 0 {
                for earlier in JSONChildren(tokens, of: object) {
                    if earlier == index { break }
                    if isSameText(earlier, index, bytes) {
                        throw JSONError(.duplicateKey, at: Int(tokens[index].start) - 1)
                    }
                }
            }
            seen |= bit
            index = Int(tokens[index + 1].next)
        }
    }

    private mutating func refuseDuplicatesSorted(
        in object: Int, _ bytes: Span<UInt8>
    ) throws(JSONError) {
        keys.removeAll(keepingCapacity: true)
        for key in JSONChildren(tokens, of: object) { keys.append((hash(tokens[key], bytes), key)) }
        keys.sort { $0.hash < $1.hash }
        for right in 1..<keys.count {
            var left = right - 1
            while left >= 0, keys[left].hash == keys[right].hash {
                if isSameText(keys[left].token, keys[right].token, bytes) {
                    let later = max(keys[left].token, keys[right].token)
                    throw JSONError(.duplicateKey, at: Int(tokens[later].start) - 1)
                }
                left -= 1
            }
        }
    }

    /// Length and first bytes of a key. Equal texts have equal marks.
    @inline(__always)
    private func mark(_ key: JSONToken, _ bytes: Span<UInt8>) -> UInt64 {
        if key.isEscaped { return Self.mark(bytes.text(key).span, 0..<bytes.text(key).count) }
        return Self.mark(bytes, key.bytes)
    }

    @inline(__always)
    private static func mark(_ bytes: Span<UInt8>, _ range: Range<Int>) -> UInt64 {
        let count = UInt64(range.count)
        return ShortText.word(bytes, range.lowerBound, range.count) ^ count &* 0x9E37_79B9_7F4A_7C15
    }

    private func hash(_ key: JSONToken, _ bytes: Span<UInt8>) -> UInt64 {
        if key.isEscaped { return KeyHash.of(bytes.text(key).span) }
        return KeyHash.of(bytes.extracting(key.bytes))
    }

    private func isSameText(_ left: Int, _ right: Int, _ bytes: Span<UInt8>) -> Bool {
        let (left, right) = (tokens[left], tokens[right])
        // Without escapes, texts of different lengths differ.
        if !left.isEscaped, !right.isEscaped, left.bytes.count != right.bytes.count { return false }
        return bytes.text(left) == bytes.text(right)
    }

    // MARK: Scalars

    private mutating func string(
        _ kind: JSONToken.Kind, _ bytes: Span<UInt8>, _ index: inout Int
    ) throws(JSONError) {
        index += 1
        let start = index
        var isEscaped = false
        while true {
            index = JSONText.firstSpecial(bytes, from: index)
            guard index < bytes.count else { throw JSONError(.unexpectedEnd, at: index) }
            switch bytes[index] {
            case UInt8(ascii: "\""):
                append(kind, isEscaped: isEscaped, from: start, to: index)
                index += 1
                return
            case UInt8(ascii: "\\"):
                isEscaped = true
                index = try JSONText.afterEscape(bytes, at: index)
            case 0x80...:
                index = try JSONText.afterScalar(bytes, at: index)
            case 0: throw JSONError(.nullCharacter, at: index)
            default: throw JSONError(.controlCharacter, at: index)
            }
        }
    }

    private mutating func number(
        _ bytes: Span<UInt8>, _ index: inout Int
    ) throws(JSONError) {
        let start = index
        if bytes[index] == UInt8(ascii: "-") { index += 1 }
        if index < bytes.count, bytes[index] == UInt8(ascii: "0") {
            index += 1
        } else {
            try skipDigits(bytes, &index)
        }
        if index < bytes.count, bytes[index] == UInt8(ascii: ".") {
            index += 1
            try skipDigits(bytes, &index)
        }
        if index < bytes.count, bytes[index] | 0x20 == UInt8(ascii: "e") {
            index += 1
            if index < bytes.count,
                bytes[index] == UInt8(ascii: "+") || bytes[index] == UInt8(ascii: "-")
            {
                index += 1
            }
            let exponent = index
            try skipDigits(bytes, &index)
            guard isSmall(bytes, exponent..<index) else {
                throw JSONError(.exponentTooLarge, at: exponent)
            }
        }
        // A digit here can only follow a leading zero.
        if index < bytes.count, isDigit(bytes[index]) { throw JSONError(.invalidNumber, at: index) }
        guard index - start <= limits.numberCharacters else {
            throw JSONError(.numberTooLong, at: start)
        }
        append(.number, from: start, to: index)
    }

    private func skipDigits(_ bytes: Span<UInt8>, _ index: inout Int) throws(JSONError) {
        guard index < bytes.count else { throw JSONError(.unexpectedEnd, at: index) }
        guard isDigit(bytes[index]) else { throw JSONError(.invalidNumber, at: index) }
        repeat { index += 1 } while index < bytes.count && isDigit(bytes[index])
    }

    private func isSmall(_ bytes: Span<UInt8>, _ digits: Range<Int>) -> Bool {
        var value = 0
        for index in digits {
            value = value * 10 + Int(bytes[index] &- UInt8(ascii: "0"))
            if value > PacketLimits.exponentMagnitudeMax { return false }
        }
        return true
    }

    private mutating func literal(
        _ text: StaticString, _ kind: JSONToken.Kind, _ bytes: Span<UInt8>, _ index: inout Int
    ) throws(JSONError) {
        let start = index
        for place in 0..<text.utf8CodeUnitCount { try expect(text.byte(at: place), bytes, &index) }
        append(kind, from: start, to: index)
    }

    @inline(__always)
    private func expect(
        _ byte: UInt8, _ bytes: Span<UInt8>, _ index: inout Int
    ) throws(JSONError) {
        guard index < bytes.count else { throw JSONError(.unexpectedEnd, at: index) }
        guard bytes[index] == byte else { throw JSONError(.unexpectedByte, at: index) }
        index += 1
    }

    @inline(__always)
    private func skipSpace(_ bytes: Span<UInt8>, _ index: inout Int) {
        while index < bytes.count, JSONText.isSpace(bytes[index]) { index += 1 }
    }

    @inline(__always)
    private func isDigit(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "0") < 10 }
}
