internal import LedgerFormat

/// The decoded query parameters of a request's target. Each name occurs once.
struct Parameters {
    private var values: [String: String] = [:]

    init(_ values: [String: String]) { self.values = values }

    /// Reads the query of a target. A name that occurs twice is a problem.
    init(query: Substring?) throws(Problem) {
        guard let query, !query.isEmpty else { return }
        for pair in query.split(separator: "&", omittingEmptySubsequences: true) {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = Self.decoded(parts[0]),
                let value = parts.count == 2 ? Self.decoded(parts[1]) : ""
            else {
                throw .badParameter(String(parts[0]), "the percent-encoding is not valid UTF-8")
            }
            guard values.updateValue(value, forKey: name) == nil else {
                throw .badParameter(name, "given twice")
            }
        }
    }

    /// Accepts only names the request knows.
    init(query: Substring?, known: Set<String>) throws(Problem) {
        try self.init(query: query)
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

    subscript(_ name: String) -> String? { values[name] }

    func number(_ name: String, in range: ClosedRange<UInt64>) throws(Problem) -> UInt64? {
        guard let text = values[name] else { return nil }
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
