internal import NIOHTTP1

/// What a request's header must not say: framing that a proxy in front may read differently, and
/// requests that a page from elsewhere makes a browser send to a forwarded socket.
enum RequestFraming {
    /// The problem with a header; nil if there is none (RFC 9110 sections 7.2, 8.4 and 10.1.1, RFC
    /// 9112 sections 3.2 and 6.1). `hasBody` says whether the request's body matters.
    static func problem(_ head: HTTPRequestHead, hasBody: Bool) -> Problem? {
        framing(head, hasBody: hasBody) ?? crossSite(head)
    }

    /// The part of it that does not depend on who asks for whom.
    static func framing(_ head: HTTPRequestHead, hasBody: Bool) -> Problem? {
        let codings = head.headers[canonicalForm: "transfer-encoding"].map { $0.lowercased() }
        if !codings.isEmpty {
            if head.version != .http1_1 {
                return Problem(.malformedRequest, "HTTP/1.0 has no transfer-encoding")
            }
            guard codings == ["chunked"] else {
                return Problem(
                    .notImplemented,
                    "the transfer-encoding \(shown(codings)) is not supported; only chunked is")
            }
        }
        let content = head.headers[canonicalForm: "content-encoding"].map { $0.lowercased() }
        if hasBody, content.contains(where: { $0 != "identity" }) {
            return Problem(
                .unsupportedMediaType,
                "the content-encoding \(shown(content)) is not supported; send the body as it is")
        }
        let expected = head.headers["expect"]
        if let other = expected.first(where: { $0.lowercased() != "100-continue" }) {
            return Problem(.expectationFailed, "the expectation \(shown([other])) cannot be met")
        }
        for name in ["content-type", "content-length"] where head.headers[name].count > 1 {
            return Problem(.malformedRequest, "there are several headers \(name)")
        }
        if let length = head.headers.first(name: "content-length"), Int(length) == nil {
            return Problem(.tooLarge, "no body may have \(shown([length])) bytes")
        }
        let hosts = head.headers["host"]
        guard hosts.count == 1 || (hosts.isEmpty && head.version != .http1_1) else {
            return Problem(
                .malformedRequest,
                "a request needs exactly one Host header; this one has \(hosts.count)")
        }
        return nil
    }

    /// RFC 9110 section 7.4, and the Fetch standard's request headers.
    private static func crossSite(_ head: HTTPRequestHead) -> Problem? {
        let host = head.headers.first(name: "host") ?? ""
        guard isOwn(host) else {
            return Problem(
                .misdirected,
                "this socket does not serve the host \(shown([host])); use localhost")
        }
        let site = head.headers.first(name: "sec-fetch-site")?.lowercased()
        if let site, site != "same-origin", site != "none" {
            return crossSite
        }
        if let origin = head.headers.first(name: "origin"),
            origin.lowercased() != "http://\(host.lowercased())"
        {
            return crossSite
        }
        return nil
    }

    private static let crossSite = Problem(
        .crossSite, "a page of another site made this request, so it is refused")

    /// Whether a `host` names this machine: a name without a dot, or a loopback address.
    static func isOwn(_ host: some StringProtocol) -> Bool {
        let isWellFormed = host.utf8.allSatisfy { byte in
            byte &- 0x30 < 10 || (byte | 0x20) &- 0x61 < 26 || ".-:[]_".utf8.contains(byte)
        }
        guard isWellFormed else { return false }
        if host.hasPrefix("[") { return host.hasPrefix("[::1]") }
        let name = host.prefix { $0 != ":" }
        return !name.contains(".") || isLoopback(name)
    }

    /// 127.0.0.0/8.
    private static func isLoopback(_ name: some StringProtocol) -> Bool {
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127"
            && parts.allSatisfy { UInt8($0) != nil && $0.utf8.count <= 3 }
    }

    private static func shown(_ values: [String]) -> String {
        String(values.joined(separator: ", ").prefix(80))
    }
}
