internal import NIOHTTP1

/// What a request's header must not say: framing that a proxy in front may read differently, and
/// requests that a page from elsewhere makes a browser send to a forwarded socket.
enum RequestFraming {
    /// The problem with a header; nil if there is none (RFC 9110 sections 7.2, 8.4 and 10.1.1, RFC
    /// 9112 sections 3.2 and 6.1). `hasBody` says whether the request's body matters.
    static func problem(
        _ head: HTTPRequestHead, _ fields: RequestFields, hasBody: Bool
    ) -> Problem? {
        framing(head.version, fields, hasBody: hasBody) ?? misdirected(head.uri)
            ?? crossSite(fields)
    }

    /// The part of it that does not depend on who asks for whom.
    static func framing(
        _ version: HTTPVersion, _ fields: RequestFields, hasBody: Bool
    ) -> Problem? {
        if !fields.transferCodings.isEmpty {
            let codings = items(fields.transferCodings)
            if version != .http1_1 {
                return Problem(.malformedRequest, "HTTP/1.0 has no transfer-encoding")
            }
            guard !codings.isEmpty else {
                return Problem(.malformedRequest, "the header transfer-encoding has no value")
            }
            guard codings == ["chunked"] else {
                return Problem(
                    .notImplemented,
                    "the transfer-encoding \(shown(codings)) is not supported; only chunked is")
            }
        }
        let content = items(fields.contentCodings)
        if hasBody, content.contains(where: { $0 != "identity" }) {
            return Problem(
                .unsupportedMediaType,
                "the content-encoding \(shown(content)) is not supported; send the body as it is")
        }
        if let other = items(fields.expectations).first(where: { $0 != "100-continue" }) {
            return Problem(.expectationFailed, "the expectation \(shown([other])) cannot be met")
        }
        if fields.contentTypes > 1 || fields.contentLengths > 1 {
            let name = fields.contentTypes > 1 ? "content-type" : "content-length"
            return Problem(.malformedRequest, "there are several headers \(name)")
        }
        if let length = fields.contentLength, Int(length) == nil {
            return Problem(.tooLarge, "no body may have \(shown([length])) bytes")
        }
        let hosts = fields.hosts
        guard hosts == 1 || (hosts == 0 && version != .http1_1) else {
            return Problem(
                .malformedRequest,
                "a request needs exactly one Host header; this one has \(hosts)")
        }
        return nil
    }

    /// The members of list fields (RFC 9110 section 5.6.1), in lower case.
    private static func items(_ values: [String]) -> [String] {
        values.flatMap { $0.split(separator: ",") }.map { member in
            let text = member.drop { $0 == " " || $0 == "\t" }
            let end = text.lastIndex { $0 != " " && $0 != "\t" }
            return end.map { text[...$0].lowercased() } ?? ""
        }.filter { !$0.isEmpty }
    }

    /// The authority of a target in absolute form, which counts rather than the Host header (RFC 9112
    /// section 3.2.2).
    private static func misdirected(_ target: String) -> Problem? {
        guard let authority = target.authority else { return nil }
        return authority.isEmpty
            ? Problem(.malformedRequest, "the target names no host") : foreign(authority)
    }

    private static func foreign(_ host: some StringProtocol) -> Problem? {
        guard !isOwn(host) else { return nil }
        return Problem(
            .misdirected,
            "this socket does not serve the host \(shown([String(host)])); use localhost")
    }

    /// RFC 9110 section 7.4, and the Fetch standard's request headers.
    private static func crossSite(_ fields: RequestFields) -> Problem? {
        let host = fields.host ?? ""
        if let problem = foreign(host) { return problem }
        let own = "http://\(host.lowercased())"
        let isSameSite = fields.sites.allSatisfy {
            ["same-origin", "none"].contains($0.lowercased())
        }
        return isSameSite && fields.origins.allSatisfy { $0.lowercased() == own } ? nil : crossSite
    }

    private static let crossSite = Problem(
        .crossSite, "a page of another site made this request, so it is refused")

    /// Whether a `host` names this machine: a name without a dot, or a loopback address.
    static func isOwn(_ host: some StringProtocol) -> Bool {
        // As nearly every client on a Unix socket sends it.
        if host == "localhost" { return true }
        let isWellFormed = host.utf8.allSatisfy { byte in
            byte.isDigit || (byte | 0x20) &- 0x61 < 26 || ".-:[]_".utf8.contains(byte)
        }
        guard isWellFormed else { return false }
        let isAddress = host.hasPrefix("[")
        guard !isAddress || host.hasPrefix("[::1]") else { return false }
        let name = isAddress ? host.prefix(5) : host.prefix { $0 != ":" }
        let port = host[name.endIndex...]
        guard port.isEmpty || (port.first == ":" && port.utf8.dropFirst().allSatisfy(\.isDigit))
        else { return false }
        return isAddress || !name.contains(".") || isLoopback(name)
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

extension UInt8 {
    fileprivate var isDigit: Bool { self &- 0x30 < 10 }
}
