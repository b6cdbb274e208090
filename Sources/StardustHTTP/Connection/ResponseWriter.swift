internal import NIOCore
internal import NIOHTTP1

/// Writes a connection's answers, and knows when the last of them has gone out. Used on the
/// connection's event loop.
final class ResponseWriter {
    private let context: ChannelHandlerContext
    /// The end of the newest answer.
    private(set) var lastWrite: EventLoopFuture<Void>?

    init(_ context: ChannelHandlerContext) { self.context = context }

    /// An answer's bytes go out beside the pipeline.
    func wroteBeside(_ future: EventLoopFuture<Void>) { lastWrite = future }

    /// Asks for the body of a request that waits to be asked (RFC 9110 section 10.1.1).
    func proceed() {
        write(.head(HTTPResponseHead(version: .http1_1, status: .continue)))
        context.flush()
    }

    func send(_ answer: Answer, isHead: Bool, isLast: Bool) {
        let headers = HTTPHeaders(answer.headers(isLast: isLast))
        let status = HTTPResponseStatus(statusCode: answer.status)
        write(.head(HTTPResponseHead(version: .http1_1, status: status, headers: headers)))
        writePieces(of: ByteBuffer(bytes: isHead ? [] : answer.body))
        end()
    }

    /// Begins an answer of lines to a request of this version.
    func beginStreaming(_ version: HTTPVersion, isLast: Bool) {
        var headers = HTTPHeaders()
        headers.add(name: "content-type", value: "application/x-ndjson")
        // To HTTP/1.0 the end of the connection is the end of the answer.
        if version != .http1_0 { headers.add(name: "transfer-encoding", value: "chunked") }
        if isLast { headers.add(name: "connection", value: "close") }
        write(.head(HTTPResponseHead(version: version, status: .ok, headers: headers)))
    }

    func stream(_ lines: ByteBuffer) {
        writePieces(of: lines)
        context.flush()
    }

    /// Ends the answer.
    func end() { lastWrite = context.writeAndFlush(part(.end(nil))) }

    /// Closes when the last answer has gone out.
    func close() {
        guard let lastWrite else { return context.close(promise: nil) }
        lastWrite.assumeIsolated().whenComplete { [context] _ in context.close(promise: nil) }
    }

    /// In pieces, so that a client that reads slowly is seen to read.
    private func writePieces(of bytes: ByteBuffer) {
        var bytes = bytes
        while let piece = bytes.readSlice(
            length: min(bytes.readableBytes, ConnectionLimits.writeBytes)), piece.readableBytes > 0
        {
            write(.body(.byteBuffer(piece)))
        }
    }

    private func write(_ part: HTTPServerResponsePart) {
        context.write(self.part(part), promise: nil)
    }

    private func part(_ part: HTTPServerResponsePart) -> NIOAny { NIOAny(part) }
}
