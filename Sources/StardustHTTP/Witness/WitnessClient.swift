internal import NIOHTTP1
package import Publishing

/// Where a witness listens, from a URL in the policy.
package enum WitnessAddress: Hashable, Sendable {
    case tcp(host: String, port: Int, prefix: String)
    case unix(path: String)

    /// `http://host:port/prefix`, or `unix:/path`. Nil for anything else.
    package init?(_ url: String) {
        if url.hasPrefix("unix:/") {
            self = .unix(path: String(url.dropFirst("unix:".count)))
            return
        }
        guard url.hasPrefix("http://") else { return nil }
        let rest = url.dropFirst("http://".count)
        let authority = rest.prefix { $0 != "/" }
        var prefix = rest.dropFirst(authority.count)
        while prefix.hasSuffix("/") { prefix = prefix.dropLast() }
        if let (host, port) = Self.hostAndPort(String(authority)) {
            self = .tcp(host: host, port: port, prefix: String(prefix))
        } else if !authority.isEmpty, !authority.contains(":") {
            self = .tcp(host: String(authority), port: 80, prefix: String(prefix))
        } else {
            return nil
        }
    }

    /// The two parts of `host:port`; nil for a path.
    package static func hostAndPort(_ text: String) -> (host: String, port: Int)? {
        guard !text.contains("/"), let colon = text.lastIndex(of: ":"), colon > text.startIndex,
            let port = Int(text[text.index(after: colon)...]), (0...65_535).contains(port)
        else { return nil }
        let host = text[..<colon]
        return (host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : String(host), port)
    }
}

/// Sends checkpoints to witnesses. Blocks the calling thread, so never call it on an event loop.
package enum WitnessClient {
    private static let answerBytesMax = 64 << 10

    /// A `WitnessCouncil.Transport`.
    @Sendable package static func post(
        _ url: String, _ body: [UInt8], _ time: Duration
    ) -> Result<PlainAnswer, WitnessCouncil.Unreachable> {
        guard let address = WitnessAddress(url) else {
            return .failure(.init("\(url) is neither http://host:port nor unix:/path"))
        }
        return PlainClient(address: address, answerBytesMax: answerBytesMax).send(
            PlainClient.Request(
                method: .POST, path: "/add-checkpoint", host: "witness",
                body: ("text/plain; charset=utf-8", body)), within: time)
    }
}
