internal import LedgerFormat

/// Names a member below `lineage` or `decision_chain` as a JSON Pointer (RFC 6901), which looks into
/// every object of an array unless it numbers one.
package struct MemberPath: Sendable {
    private let isOfLineage: Bool
    private let names: [[UInt8]]

    /// Nil if it is no pointer, or begins with another member.
    package init?(_ pointer: String) {
        let parts = pointer.utf8.split(
            separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        guard parts.count >= 2, parts[0].isEmpty else { return nil }
        var names: [[UInt8]] = []
        for part in parts.dropFirst() {
            guard let name = Self.unescaped(Array(part)) else { return nil }
            names.append(name)
        }
        switch String(decoding: names[0], as: UTF8.self) {
        case "lineage": isOfLineage = true
        case "decision_chain": isOfLineage = false
        default: return nil
        }
        self.names = Array(names.dropFirst())
    }

    /// RFC 6901 section 4: ~1 is a slash, ~0 a tilde.
    private static func unescaped(_ part: [UInt8]) -> [UInt8]? {
        var (result, index) = ([UInt8](), 0)
        while index < part.count {
            guard part[index] == UInt8(ascii: "~") else {
                result.append(part[index])
                index += 1
                continue
            }
            guard index + 1 < part.count else { return nil }
            switch part[index + 1] {
            case UInt8(ascii: "0"): result.append(UInt8(ascii: "~"))
            case UInt8(ascii: "1"): result.append(UInt8(ascii: "/"))
            default: return nil
            }
            index += 2
        }
        return result
    }

    /// Whether a packet has the member, its value null included.
    package func isThere(
        _ tokens: [JSONToken], _ bytes: Span<UInt8>, _ outline: PacketOutline
    ) -> Bool {
        guard let root = isOfLineage ? outline.lineage : outline.decisionChain else { return false }
        return isThere(tokens, bytes, root, 0)
    }

    private func isThere(
        _ tokens: [JSONToken], _ bytes: Span<UInt8>, _ value: Int, _ depth: Int
    ) -> Bool {
        guard depth < names.count else { return true }
        switch tokens[value].kind {
        case .object:
            guard let member = member(tokens, bytes, value, depth) else { return false }
            return isThere(tokens, bytes, member, depth + 1)
        case .array:
            let number = UInt64(canonical: names[depth])
            for (place, element) in JSONChildren(tokens, of: value).enumerated() {
                if let number, UInt64(place) == number {
                    if isThere(tokens, bytes, element, depth + 1) { return true }
                }
                if tokens[element].kind == .object, isThere(tokens, bytes, element, depth) {
                    return true
                }
            }
            return false
        default: return false
        }
    }

    private func member(
        _ tokens: [JSONToken], _ bytes: Span<UInt8>, _ object: Int, _ depth: Int
    ) -> Int? {
        for key in JSONChildren(tokens, of: object) where bytes.text(tokens[key]) == names[depth] {
            return key + 1
        }
        return nil
    }
}
