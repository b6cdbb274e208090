internal import LedgerFormat

/// The decoded parameters of a request: of its target's query, or of its body.
struct Parameters {
    private var values: [String: [String]] = [:]

    /// Names that may be given more than once, which means any of the values.
    static let repeatable = packetFilters.union(StepQueries.repeatable).union(["group_by"])

    init(_ values: [String: [String]]) { self.values = values }

    /// Reads the query of a target. Only names in `repeatable` may occur more than once.
    init(query: Substring?, repeatable: Set<String> = []) throws(Problem) {
        guard let query, !query.isEmpty else { return }
        for pair in query.split(separator: "&", omittingEmptySubsequences: true) {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = Self.decoded(parts[0]),
                let value = parts.count == 2 ? Self.decoded(parts[1]) : ""
            else {
                throw .badParameter(String(parts[0]), "the percent-encoding is not valid UTF-8")
            }
            values[name, default: []].append(value)
        }
        for (name, values) in values.sorted(by: { $0.key < $1.key })
        where values.count > 1 && !repeatable.contains(name) {
            throw .badParameter(name, "given twice")
        }
    }

    /// Accepts only names the request knows.
    init(query: Substring?, known: Set<String>) throws(Problem) {
        try self.init(query: query, repeatable: Self.repeatable)
        try check(known)
    }

    /// Refuses any name the request does not know.
    func check(_ known: Set<String>) throws(Problem) {
        guard let name = values.keys.sorted().first(where: { !known.contains($0) }) else { return }
        throw .badParameter(
            name,
            known.isEmpty
                ? "this path takes no parameters"
                : "not a parameter of this path, which takes "
                    + known.sorted().joined(separator: ", "))
    }

    subscript(_ name: String) -> String? { values[name]?.first }

    /// All the values of a parameter that may be given more than once.
    func all(_ name: String) -> [String] { values[name] ?? [] }

    /// The same with another value.
    func with(_ name: String, _ value: String) -> Parameters {
        var changed = self
        changed.values[name] = [value]
        return changed
    }

    func number(_ name: String, in range: ClosedRange<UInt64>) throws(Problem) -> UInt64? {
        guard let text = self[name] else { return nil }
        guard let value = UInt64(text), range.contains(value) else {
            throw .badParameter(
                name, "\(text) is not a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }

    private static func decoded(_ text: Substring) -> String? {
        String(percentEncoded: text.replacing("+", with: " "))
    }
}
