/// Whether a document contains a pattern, as PostgreSQL's `jsonb @>` defines it (its manual, section
/// "jsonb Containment and Existence").
///
/// An object contains another if it has all the other's members, with values that contain the
/// other's values. An array contains another if every element of the other is contained in one of
/// its own; order and repetition do not matter. Scalars are compared by value. As a special case at
/// the top level, an array contains a scalar that is one of its elements.
package struct JSONContainment: ~Copyable {
    private let pattern: JSONDocument
    /// Comparisons left. Two large arrays of objects need as many as the product of their sizes.
    private var stepsLeft = 0

    package static let stepsMax = 20_000_000

    /// The limit when others wait for the same thread: a fraction of a millisecond.
    package static let quickStepsMax = 20_000

    /// The comparison took more steps than anybody should wait for.
    package struct TooCostly: Error {}

    package init(_ pattern: JSONDocument) { self.pattern = pattern }

    /// Whether the value at `index` of a document contains the pattern.
    package mutating func isContained(
        in tokens: [JSONToken], _ bytes: Span<UInt8>, at index: Int,
        steps: Int = JSONContainment.stepsMax
    ) throws(TooCostly) -> Bool {
        stepsLeft = steps
        let (outer, inner) = (tokens[index].kind, pattern.tokens[0].kind)
        if outer == .array, inner != .array, inner != .object {
            return try hasElement(index, tokens, bytes, equalTo: 0)
        }
        return try contains(index, tokens, bytes, 0)
    }

    private mutating func contains(
        _ index: Int, _ tokens: [JSONToken], _ bytes: Span<UInt8>, _ part: Int
    ) throws(TooCostly) -> Bool {
        try step()
        guard tokens[index].kind == pattern.tokens[part].kind else { return false }
        switch pattern.tokens[part].kind {
        case .object:
            for key in JSONChildren(pattern.tokens, of: part) {
                guard let value = try member(key, index, tokens, bytes),
                    try contains(value, tokens, bytes, key + 1)
                else { return false }
            }
            return true
        case .array:
            for element in JSONChildren(pattern.tokens, of: part) {
                guard try hasElement(index, tokens, bytes, equalTo: element) else { return false }
            }
            return true
        default: return isSameScalar(tokens[index], bytes, pattern.tokens[part])
        }
    }

    /// Whether an array has an element that contains this part of the pattern.
    private mutating func hasElement(
        _ index: Int, _ tokens: [JSONToken], _ bytes: Span<UInt8>, equalTo part: Int
    ) throws(TooCostly) -> Bool {
        var element = index + 1
        let end = Int(tokens[index].next)
        while element < end {
            if try contains(element, tokens, bytes, part) { return true }
            element = Int(tokens[element].next)
        }
        return false
    }

    /// The value of the member that a key of the pattern names; nil if there is none.
    private mutating func member(
        _ key: Int, _ index: Int, _ tokens: [JSONToken], _ bytes: Span<UInt8>
    ) throws(TooCostly) -> Int? {
        var candidate = index + 1
        let end = Int(tokens[index].next)
        while candidate < end {
            try step()
            if isSameText(tokens[candidate], bytes, pattern.tokens[key]) { return candidate + 1 }
            candidate = Int(tokens[candidate + 1].next)
        }
        return nil
    }

    private mutating func step() throws(TooCostly) {
        stepsLeft -= 1
        guard stepsLeft >= 0 else { throw TooCostly() }
    }

    // MARK: Scalars

    private func isSameScalar(
        _ token: JSONToken, _ bytes: Span<UInt8>, _ part: JSONToken
    ) -> Bool {
        switch token.kind {
        case .string: isSameText(token, bytes, part)
        case .number:
            isSameBytes(token, bytes, part)
                || JSONDecimal(bytes.extracting(token.bytes))
                    == JSONDecimal(pattern.bytes.span.extracting(part.bytes))
        default: true
        }
    }

    private func isSameText(_ token: JSONToken, _ bytes: Span<UInt8>, _ part: JSONToken) -> Bool {
        if !token.isEscaped, !part.isEscaped { return isSameBytes(token, bytes, part) }
        return bytes.text(token) == pattern.bytes.span.text(part)
    }

    private func isSameBytes(_ token: JSONToken, _ bytes: Span<UInt8>, _ part: JSONToken) -> Bool {
        guard token.bytes.count == part.bytes.count else { return false }
        let (start, other) = (token.bytes.lowerBound, part.bytes.lowerBound)
        for offset in 0..<token.bytes.count
        where bytes[start + offset] != pattern.bytes[other + offset] {
            return false
        }
        return true
    }
}
