extension String {
    /// Splits a request's target into path and query. The absolute form also has a scheme and an
    /// authority (RFC 9112 section 3.2.2).
    var pathAndQuery: (path: Substring, query: Substring?) {
        var target = self[...]
        if hasPrefix("http://") {
            let authority = dropFirst("http://".count)
            target = authority.firstIndex(of: "/").map { authority[$0...] } ?? "/"
        }
        guard let mark = target.utf8.firstIndex(of: UInt8(ascii: "?")) else { return (target, nil) }
        return (target[..<mark], target[target.utf8.index(after: mark)...])
    }
}
