internal import LedgerFormat
internal import NIOHTTP1

/// Finds the endpoint for a request, using a tree of the parts of all paths.
struct Router: Sendable {
    private let root: Node
    /// Number of parts in the longest path; a variable that spans several parts counts as one.
    private let depth: Int
    /// Checked first, because nearly every request goes here.
    private let first: Endpoint

    fileprivate final class Node: Sendable {
        let literals: [(part: String, node: Node)]
        let variable: (name: String, takesRest: Bool, node: Node)?
        let endpoints: [Endpoint]

        /// All `paths` pass through this node; `parts` are the parts that follow it.
        init(_ paths: [(parts: ArraySlice<String>, endpoint: Endpoint)]) {
            endpoints = paths.filter { $0.parts.isEmpty }.map(\.endpoint)
            var (names, literals): ([String], [(String, Node)]) = ([], [])
            for (parts, _) in paths {
                if let part = parts.first, !part.hasPrefix("{"), !names.contains(part) {
                    names.append(part)
                }
            }
            func following(_ part: String) -> Node {
                Node(
                    paths.filter { $0.parts.first == part }
                        .map { ($0.parts.dropFirst(), $0.endpoint) })
            }
            for name in names { literals.append((name, following(name))) }
            self.literals = literals
            variable = paths.compactMap(\.parts.first).first { $0.hasPrefix("{") }.map { part in
                let name = String(part.dropFirst().dropLast())
                return (name, name == "index", following(part))
            }
        }
    }

    init(_ endpoints: [Endpoint]) {
        let paths = endpoints.map { endpoint in
            (parts: Self.parts(endpoint.path[...]).map(String.init)[...], endpoint: endpoint)
        }
        root = Node(paths)
        depth = paths.map(\.parts.count).max() ?? 0
        first = endpoints[0]
    }

    private static func parts(_ path: Substring) -> ArraySlice<Substring> {
        path.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
            .map(Substring.init).dropFirst()
    }

    /// A request's endpoint and the variables of its path.
    typealias Match = (endpoint: Endpoint, variables: PathVariables)

    /// The problem says what is wrong with the path or method.
    func find(_ method: HTTPMethod, _ path: Substring) throws(Problem) -> Match {
        if method == .POST, first.method == .post, path == first.path {
            return (first, PathVariables())
        }
        let (endpoints, found) = try resolve(path)
        let wanted: Endpoint.Method? =
            switch method {
            case .GET, .HEAD: .get
            case .POST: .post
            default: nil
            }
        if let endpoint = endpoints.first(where: { $0.method == wanted }) {
            var variables = PathVariables()
            for (name, text) in found { try variables.take(name, text) }
            return (endpoint, variables)
        }
        let allowed = endpoints.map { $0.method == .get ? "GET, HEAD" : "POST" }.sorted()
            .joined(separator: ", ")
        var problem = Problem(
            .methodNotAllowed, "\(path) accepts \(allowed), not \(method.rawValue)")
        problem.allow = allowed
        throw problem
    }

    private typealias Variable = (name: String, text: Substring)

    /// The endpoints at a path, whatever their method, and the texts of the path's variables.
    private func resolve(
        _ path: Substring
    ) throws(Problem) -> (endpoints: [Endpoint], variables: [Variable]) {
        var parts = Self.parts(path)
        var (node, variables) = (root, [Variable]())
        // A path that is too long matches nothing, whatever its parts are.
        let isTooLong = parts.count > depth
        while let part = parts.first {
            if let next = node.literals.first(where: { $0.part == part }) {
                node = next.node
                parts = parts.dropFirst()
            } else if let (name, takesRest, next) = node.variable,
                takesRest || !isTooLong || next.variable?.takesRest == true
            {
                let text = takesRest ? parts.joined(separator: "/")[...] : part
                variables.append((name, try Self.decoded(text)))
                parts = takesRest ? [] : parts.dropFirst()
                node = next
            } else {
                throw .notFound
            }
        }
        guard !node.endpoints.isEmpty else { throw .notFound }
        return (node.endpoints, variables)
    }

    /// A part of a path without percent-encoding (RFC 3986 section 2.1).
    private static func decoded(_ part: Substring) throws(Problem) -> Substring {
        guard part.utf8.contains(UInt8(ascii: "%")) else { return part }
        guard let text = String(percentEncoded: part), !text.contains("/"), !text.contains("\0")
        else {
            throw Problem(.badRequest, "\(part.prefix(100)) in the path is not properly encoded")
        }
        return text[...]
    }
}
