extension String {
    private static let scheme = "http://"

    private var isAbsolute: Bool { prefix(Self.scheme.count).lowercased() == Self.scheme }

    /// The authority of a target in absolute form; nil for other forms.
    var authority: Substring? {
        guard first != "/", isAbsolute else { return nil }
        return dropFirst(Self.scheme.count).prefix { $0 != "/" && $0 != "?" }
    }

    /// Splits a request's target into path and query. The absolute form also has a scheme and an
    /// authority (RFC 9112 section 3.2.2).
    var pathAndQuery: (path: Substring, query: Substring?) {
        var target = self[...]
        if first != "/", isAbsolute {
            let rest = dropFirst(Self.scheme.count)
            target = rest.firstIndex(of: "/").map { rest[$0...] } ?? "/"
        }
        guard let mark = target.utf8.firstIndex(of: UInt8(ascii: "?")) else { return (target, nil) }
        return (target[..<mark], target[target.utf8.index(after: mark)...])
    }
}
