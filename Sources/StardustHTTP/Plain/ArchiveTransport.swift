internal import NIOHTTP1
internal import Publishing
package import StardustCore

/// Asks the archive process over its socket.
package enum ArchiveTransport {
    /// No answer has more than a piece of a segment, or a message.
    private static let answerBytesMax = 2 << 20

    /// `users` may serve the socket: whoever does is given nothing, but could keep readers waiting.
    package static func over(
        socket: String, users: Set<UInt32>
    ) -> ArchiveClient.Transport {
        let client = PlainClient(
            address: .unix(path: socket), answerBytesMax: answerBytesMax, users: users)
        return { (path, time) in
            client.send(
                PlainClient.Request(method: .GET, path: path, host: "archive"), within: time
            ).map { ArchiveClient.Answer(status: $0.status, body: $0.body) }
                .mapError { ArchiveClient.Unanswered($0.reason) }
        }
    }
}
