package import LedgerFormat

/// Signs requests to an object store: AWS Signature Version 4 ("Authenticating Requests:
/// Using the Authorization Header", Amazon S3 API reference), and Google Cloud Storage's V4
/// signatures, which differ in names alone.
package struct RequestSigner: Sendable {
    package var dialect: Dialect
    package var credentials: StoreCredentials
    package var region: String

    package enum Dialect: Sendable {
        case aws, google

        /// What the names of headers begin with.
        var prefix: String { self == .aws ? "x-amz-" : "x-goog-" }
        fileprivate var algorithm: String {
            self == .aws ? "AWS4-HMAC-SHA256" : "GOOG4-HMAC-SHA256"
        }
        fileprivate var keyPrefix: String { self == .aws ? "AWS4" : "GOOG4" }
        fileprivate var service: String { self == .aws ? "s3" : "storage" }
        fileprivate var end: String { self == .aws ? "aws4_request" : "goog4_request" }
    }

    package init(_ dialect: Dialect, _ credentials: StoreCredentials, region: String) {
        (self.dialect, self.credentials, self.region) = (dialect, credentials, region)
    }

    /// A request as it is signed. Path and query are not yet encoded.
    package struct Request: Sendable {
        package var method: String
        package var host: String
        /// Begins with a slash.
        package var path: String
        package var query: [(name: String, value: String)] = []
        /// Headers beside `host` and those that the signature adds.
        package var headers: [(name: String, value: String)] = []
        /// SHA-256 of the body.
        package var payload: Digest

        package init(
            _ method: String, host: String, path: String, payload: Digest = .sha256([])
        ) {
            (self.method, self.host, self.path, self.payload) = (method, host, path, payload)
        }

        /// Each part of the path and the query, encoded once (RFC 3986 section 2).
        package var encodedPath: String {
            path.split(separator: "/", omittingEmptySubsequences: false)
                .map { String($0).percentEncoded }.joined(separator: "/")
        }

        /// The query in the order in which it is signed.
        package var encodedQuery: String {
            query.map { ($0.name.percentEncoded, $0.value.percentEncoded) }
                .sorted { $0 < $1 }.map { "\($0)=\($1)" }.joined(separator: "&")
        }
    }

    /// The headers to send with a request, its own included, without `host`.
    package func headers(
        of request: Request, at time: Timestamp
    ) -> [(name: String, value: String)] {
        let stamp = Self.stamp(time)
        let scope = "\(stamp.prefix(8))/\(region)/\(dialect.service)/\(dialect.end)"
        var headers = request.headers
        headers.append((dialect.prefix + "date", stamp))
        headers.append((dialect.prefix + "content-sha256", request.payload.hex))
        if let token = credentials.token {
            headers.append((dialect.prefix + "security-token", token))
        }
        var signed = headers.map { ($0.name.lowercased(), Self.canonical($0.value)) }
        signed.append(("host", request.host))
        signed.sort { $0.0 < $1.0 }
        let names = signed.map(\.0).joined(separator: ";")
        let canonical = [
            request.method, request.encodedPath, request.encodedQuery,
            signed.map { "\($0):\($1)\n" }.joined(), names, request.payload.hex,
        ].joined(separator: "\n")
        let text = [
            dialect.algorithm, stamp, scope, Digest.sha256(Array(canonical.utf8)).hex,
        ].joined(separator: "\n")
        var key = Array((dialect.keyPrefix + credentials.secret).utf8)
        for part in scope.split(separator: "/") { key = hmacSHA256(key, part.utf8) }
        let signature = String(hexadecimal: hmacSHA256(key, text.utf8))
        headers.append(
            (
                "authorization",
                "\(dialect.algorithm) Credential=\(credentials.accessKey)/\(scope), "
                    + "SignedHeaders=\(names), Signature=\(signature)"
            ))
        return headers
    }

    /// A time as in `20260528T202640Z`.
    private static func stamp(_ time: Timestamp) -> String {
        time.description.prefix(19).filter { $0 != "-" && $0 != ":" } + "Z"
    }

    /// A header's value without spaces around it, and with single spaces in it.
    private static func canonical(_ value: String) -> String {
        value.split { $0 == " " || $0 == "\t" }.joined(separator: " ")
    }
}

/// What a store knows its client by.
package struct StoreCredentials: Hashable, Sendable, CustomStringConvertible {
    package var accessKey: String
    package var secret: String
    /// Of credentials that expire.
    package var token: String?
    package var expires: Timestamp?

    package init(
        accessKey: String, secret: String, token: String? = nil, expires: Timestamp? = nil
    ) {
        (self.accessKey, self.secret) = (accessKey, secret)
        (self.token, self.expires) = (token, expires)
    }

    /// Without the secret.
    package var description: String { accessKey }
}
