internal import NIOHTTP1

/// Problems with a connection rather than with a request.
extension Problem {
    static let slowHeader = Problem(
        .requestTimeout, "the header did not arrive within \(ConnectionLimits.headerTime)")

    static let slowBody = Problem(
        .requestTimeout,
        "the body arrived slower than \(ConnectionLimits.bodyBytesPerSecond) bytes a second")

    init(_ error: HTTPParserError) {
        if error == .headerOverflow {
            self.init(
                .headerTooLarge,
                "a request header may have at most \(ConnectionLimits.headerLines) lines and "
                    + "\(ConnectionLimits.headerBytes) bytes")
        } else {
            self.init(.malformedRequest, "this is not HTTP/1.1: \(error)")
        }
    }
}
