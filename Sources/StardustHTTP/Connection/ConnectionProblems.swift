internal import NIOHTTP1

/// Problems with a connection rather than with a request.
extension Problem {
    static let slowHeader = Problem(
        .requestTimeout, "the header did not arrive within \(ConnectionLimits.headerTime)")

    static let slowBody = Problem(
        .requestTimeout,
        "of the body fewer than \(ConnectionLimits.bodyBytesPerPeriod) bytes arrived within "
            + "\(ConnectionLimits.bodyPeriod)")

    static let noRoomForAnswer = Problem(
        .tooMuchMemory,
        "answers that are not yet taken, in all or by this user, leave no room for this one; take "
            + "them, or ask for less", retryAfterSeconds: 1)

    init(_ error: HTTPParserError) {
        if error == .headerOverflow {
            self.init(
                .headerTooLarge,
                "a request header may have at most \(ConnectionLimits.headerLines) lines and "
                    + "\(ConnectionLimits.headerBytes) bytes")
        } else {
            self.init(.malformedRequest, "this is not HTTP/1.1 as RFC 9112 has it")
        }
    }
}
