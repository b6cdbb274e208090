internal import LedgerFormat

/// Checks single values, and creates violations.
extension PacketSchema {
    @inline(__always)
    func name(_ key: Int, _ bytes: Span<UInt8>) -> MemberName? {
        shortText(key, bytes).flatMap(MemberName.named)
    }

    /// The text of a string or key; nil if it has more than 24 bytes.
    @inline(__always)
    func shortText(_ index: Int, _ bytes: Span<UInt8>) -> ShortText? {
        if tokens[index].isEscaped {
            let text = bytes.text(tokens[index])
            return ShortText(text.span, 0..<text.count)
        }
        return ShortText(bytes, tokens[index].bytes)
    }

    // MARK: Types and containers

    @inline(__always)
    func requireKind(
        _ kind: JSONToken.Kind, _ index: Int, _ bytes: Span<UInt8>, or other: String? = nil
    ) throws(SchemaViolation) {
        guard tokens[index].kind == kind else {
            let alternative = other.map { " or \($0)" } ?? ""
            throw violation(.wrongType, index, bytes, "must be \(kind.withArticle)\(alternative)")
        }
    }

    typealias Check = (Int, Span<UInt8>) throws(SchemaViolation) -> Void

    @inline(__always)
    func each(
        _ index: Int, _ bytes: Span<UInt8>, atMost limit: Int = .max, _ check: Check
    ) throws(SchemaViolation) {
        try requireKind(.array, index, bytes)
        var elements = 0
        for element in JSONChildren(tokens, of: index) {
            elements += 1
            guard elements <= limit else {
                throw violation(.wrongLength, index, bytes, "may have at most \(limit) elements")
            }
            try check(element, bytes)
        }
    }

    @inline(__always)
    func eachMember(
        _ index: Int, _ bytes: Span<UInt8>, _ check: Check
    ) throws(SchemaViolation) {
        try requireKind(.object, index, bytes)
        for key in JSONChildren(tokens, of: index) { try check(key + 1, bytes) }
    }

    // MARK: Strings

    func string(_ index: Int, _ bytes: Span<UInt8>) throws(SchemaViolation) -> [UInt8] {
        try requireKind(.string, index, bytes)
        return bytes.text(tokens[index])
    }

    func token(_ index: Int, _ bytes: Span<UInt8>) throws(SchemaViolation) {
        try text(index, bytes, atMost: 128)
        if tokens[index].bytes.isEmpty {
            throw violation(.wrongLength, index, bytes, "must not be empty")
        }
    }

    func short(_ index: Int, _ bytes: Span<UInt8>) throws(SchemaViolation) {
        try text(index, bytes, atMost: 512)
    }

    func prose(_ index: Int, _ bytes: Span<UInt8>) throws(SchemaViolation) {
        try text(index, bytes, atMost: 65_536)
    }

    /// A string of at most `limit` characters (Unicode scalars, as JSON Schema counts them).
    func text(
        _ index: Int, _ bytes: Span<UInt8>, atMost limit: Int
    ) throws(SchemaViolation) {
        try requireKind(.string, index, bytes)
        // With or without escapes, a text never has more characters than bytes.
        guard tokens[index].bytes.count > limit else { return }
        guard scalarCount(bytes.text(tokens[index])[...]) <= limit else {
            throw violation(.wrongLength, index, bytes, "may have at most \(limit) characters")
        }
    }

    func scalarCount(_ text: ArraySlice<UInt8>) -> Int {
        text.reduce(0) { $0 + ($1 & 0xC0 == 0x80 ? 0 : 1) }
    }

    func knownWord(
        _ words: [ShortText], orExtension: Bool = false, _ index: Int, _ bytes: Span<UInt8>
    ) throws(SchemaViolation) {
        try requireKind(.string, index, bytes)
        if let text = shortText(index, bytes) {
            for word in words where word == text { return }
        }
        if orExtension, bytes.text(tokens[index]).isExtensionWord { return }
        throw violation(
            .unknownValue, index, bytes,
            orExtension
                ? "is not one of the schema's values or an extension: x_ and 1 to 62 of a-z 0-9 _"
                : "is not one of the schema's values")
    }

    func uuid(_ index: Int, _ bytes: Span<UInt8>) throws(SchemaViolation) -> UUID128 {
        try requireKind(.string, index, bytes)
        if let id = withText(index, bytes, { UUID128(text: $0) }) { return id }
        throw violation(
            .wrongFormat, index, bytes, "must be a UUID: 8-4-4-4-12 hexadecimal digits")
    }

    func uuid4(_ index: Int, _ bytes: Span<UInt8>) throws(SchemaViolation) -> UUID128 {
        let id = try uuid(index, bytes)
        guard id.isVersion4 else {
            throw violation(.wrongFormat, index, bytes, "must be a UUID of version 4")
        }
        return id
    }

    func traceID(_ index: Int, _ bytes: Span<UInt8>) throws(SchemaViolation) {
        try requireKind(.string, index, bytes)
        let isTraceID = withText(index, bytes) { text in
            guard UUID128(text: text) != nil || isLowerHex(text, 0..<text.count, digits: 32) else {
                return false
            }
            for place in text.indices
            where text[place] != UInt8(ascii: "0") && text[place] != UInt8(ascii: "-") {
                return true
            }
            return false
        }
        guard isTraceID else {
            throw violation(
                .wrongFormat, index, bytes,
                "must be a UUID, or 32 lower-case hexadecimal digits, that is not all zero")
        }
    }

    func lowerHex(
        _ digits: Int, _ index: Int, _ bytes: Span<UInt8>
    ) throws(SchemaViolation) {
        try requireKind(.string, index, bytes)
        guard withText(index, bytes, { isLowerHex($0, 0..<$0.count, digits: digits) }) else {
            throw violation(
                .wrongFormat, index, bytes, "must be \(digits) lower-case hexadecimal digits")
        }
    }

    func digest(_ index: Int, _ bytes: Span<UInt8>) throws(SchemaViolation) {
        try requireKind(.string, index, bytes)
        let isDigest = withText(index, bytes) { text in
            guard text.count == 71, let tag = ShortText(text, 0..<7) else { return false }
            return Self.digestTags.contains(tag) && isLowerHex(text, 7..<71, digits: 64)
        }
        guard isDigest else {
            throw violation(
                .wrongFormat, index, bytes,
                "must be sha256: or blake3:, then 64 lower-case hexadecimal digits")
        }
    }

    /// Whether a range is exactly `digits` lower-case hexadecimal digits, a multiple of eight.
    private func isLowerHex(_ text: Span<UInt8>, _ range: Range<Int>, digits: Int) -> Bool {
        guard range.count == digits else { return false }
        for start in stride(from: range.lowerBound, to: range.upperBound, by: 8)
        where !HexadecimalWord(text.littleEndian(UInt64.self, at: start)).isLowerCase {
            return false
        }
        return true
    }

    private static let digestTags = [ShortText](texts: "sha256:", "blake3:")

    func time(_ index: Int, _ bytes: Span<UInt8>) throws(SchemaViolation) -> Timestamp {
        try requireKind(.string, index, bytes)
        if let time = withText(index, bytes, { Timestamp(rfc3339: $0) }) { return time }
        throw violation(
            .wrongFormat, index, bytes,
            "must be an existing time in RFC 3339 and UTC, such as 2026-09-14T10:42:07.311Z")
    }

    /// `^[\w.+-]+/[\w.+-]+$`
    func mediaType(_ index: Int, _ bytes: Span<UInt8>) throws(SchemaViolation) {
        let parts = try string(index, bytes).split(
            separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        let isValid =
            parts.count == 2
            && parts.allSatisfy { part in
                !part.isEmpty
                    && part.allSatisfy {
                        ($0 | 0x20).isLowerLetter || $0.isDigit
                            || [0x5F, 0x2E, 0x2B, 0x2D].contains($0)
                    }
            }
        guard isValid else {
            throw violation(.wrongFormat, index, bytes, "must be a media type such as video/mp4")
        }
    }

    @inline(__always)
    func withText<Result>(
        _ index: Int, _ bytes: Span<UInt8>, _ body: (Span<UInt8>) -> Result
    ) -> Result {
        guard tokens[index].isEscaped else { return body(bytes.extracting(tokens[index].bytes)) }
        return body(bytes.text(tokens[index]).span)
    }

    // MARK: Numbers

    private func decimal(
        _ index: Int, _ bytes: Span<UInt8>
    ) throws(SchemaViolation) -> JSONDecimal {
        try requireKind(.number, index, bytes)
        return JSONDecimal(bytes.extracting(tokens[index].bytes))
    }

    /// An integer of 0 or more. 3.0 is an integer, as in JSON Schema.
    func count(_ index: Int, _ bytes: Span<UInt8>) throws(SchemaViolation) {
        guard try decimal(index, bytes).isInteger else {
            throw violation(.wrongType, index, bytes, "must be an integer")
        }
        try notNegative(index, bytes)
    }

    func notNegative(_ index: Int, _ bytes: Span<UInt8>) throws(SchemaViolation) {
        if try decimal(index, bytes).isNegative {
            throw violation(.outOfRange, index, bytes, "must be 0 or more")
        }
    }

    /// A number from 0 to 1.
    func fraction(_ index: Int, _ bytes: Span<UInt8>) throws(SchemaViolation) {
        try notNegative(index, bytes)
        guard try decimal(index, bytes).isAtMostOne else {
            throw violation(.outOfRange, index, bytes, "must be 1 or less")
        }
    }

    // MARK: Violations

    func missing(_ member: String, in index: Int, _ bytes: Span<UInt8>) -> SchemaViolation {
        violation(.missingMember, index, bytes, "the member \(member) is missing")
    }

    func violation(
        _ code: SchemaViolation.Code, _ index: Int, _ bytes: Span<UInt8>, _ detail: String
    ) -> SchemaViolation {
        let isText = tokens[index].kind == .key || tokens[index].kind == .string
        return SchemaViolation(
            code: code, pointer: pointer(to: index, bytes),
            offset: Int(tokens[index].start) - (isText ? 1 : 0), detail: detail)
    }

    /// The JSON Pointer of a token, found by walking down from the root.
    private func pointer(to target: Int, _ bytes: Span<UInt8>) -> String {
        var (container, pointer) = (0, "")
        walk: while container != target {
            var element = 0
            for child in JSONChildren(tokens, of: container) {
                defer { element += 1 }
                let isObject = tokens[container].kind == .object
                let value = isObject ? child + 1 : child
                guard target < Int(tokens[value].next) else { continue }
                pointer += "/" + (isObject ? escapedKey(child, bytes) : String(element))
                if child == target { return pointer }
                container = value
                continue walk
            }
            preconditionFailure("the token is not in this document")
        }
        return pointer
    }

    private func escapedKey(_ key: Int, _ bytes: Span<UInt8>) -> String {
        String(decoding: bytes.text(tokens[key]), as: UTF8.self).reduce(into: "") {
            $0 += $1 == "~" ? "~0" : $1 == "/" ? "~1" : String($1)
        }
    }
}

extension JSONToken.Kind {
    fileprivate var withArticle: String {
        switch self {
        case .object: "an object"
        case .array: "an array"
        case .key, .string: "a string"
        case .number: "a number"
        case .true, .false: "true or false"
        case .null: "null"
        }
    }
}

extension UInt8 {
    var isLowerLetter: Bool { (0x61...0x7A).contains(self) }
    var isDigit: Bool { (0x30...0x39).contains(self) }
}

extension [UInt8] {
    /// `^x_[a-z][a-z0-9_]{0,61}$`
    var isExtensionWord: Bool {
        guard (3...64).contains(count), starts(with: [0x78, 0x5F]) else { return false }
        return self[2].isLowerLetter
            && dropFirst(2).allSatisfy { $0.isLowerLetter || $0.isDigit || $0 == 0x5F }
    }
}
