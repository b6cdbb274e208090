internal import NIOCore
internal import NIOHTTP1

/// Writes a connection's answers and knows when the last one has been sent. Used on the
/// connection's event loop.
final class ResponseWriter {
    /// Nil once the connection has closed.
    private var context: ChannelHandlerContext?
    /// The end of the newest answer.
    private(set) var lastWrite: EventLoopFuture<Void>?

    init(_ context: ChannelHandlerContext) { self.context = context }

    /// The connection has closed: nothing more is written.
    func detach() { context = nil }

    /// Records a write of answer bytes that bypasses the pipeline.
    func wroteBeside(_ future: EventLoopFuture<Void>) { lastWrite = future }

    /// Asks for the body of a request that expects `100-continue` (RFC 9110 section 10.1.1).
    func proceed() {
        write(.head(HTTPResponseHead(version: .http1_1, status: .continue)))
        context?.flush()
    }

    func send(_ answer: Answer, isHead: Bool, isLast: Bool) {
        let headers = HTTPHeaders(answer.headers(isLast: isLast))
        let status = HTTPResponseStatus(statusCode: answer.status)
        write(.head(HTTPResponseHead(version: .http1_1, status: status, headers: headers)))
        writePieces(of: ByteBuffer(bytes: isHead ? [] : answer.body))
        end()
    }

    /// Begins an answer of lines to a request with this HTTP version. Sends its head at once, because
    /// the first line may be long in coming.
    func beginStreaming(_ version: HTTPVersion, isLast: Bool) {
        var headers = HTTPHeaders()
        headers.add(name: "content-type", value: "application/x-ndjson")
        // In HTTP/1.0, the end of the connection marks the end of the answer.
        if version != .http1_0 { headers.add(name: "transfer-encoding", value: "chunked") }
        if isLast { headers.add(name: "connection", value: "close") }
        write(.head(HTTPResponseHead(version: version, status: .ok, headers: headers)))
        context?.flush()
    }

    /// Calls `taken` once the client has taken the lines, or has gone.
    func stream(_ lines: ByteBuffer, taken: @escaping () -> Void) {
        guard let context else { return taken() }
        var lines = lines
        let count = min(lines.readableBytes, ConnectionLimits.writeBytes)
        let last = lines.getSlice(at: lines.writerIndex - count, length: count)
        lines.moveWriterIndex(to: lines.writerIndex - count)
        writePieces(of: lines)
        context.writeAndFlush(part(.body(.byteBuffer(last ?? ByteBuffer()))))
            .assumeIsolated().whenComplete { _ in taken() }
    }

    /// Ends the answer.
    func end() {
        guard let context else { return }
        // Known before it is written: the next request, and the end of all, may arrive in there.
        let promise = context.eventLoop.makePromise(of: Void.self)
        lastWrite = promise.futureResult
        context.writeAndFlush(part(.end(nil)), promise: promise)
    }

    /// Closes once the last answer has been sent.
    func close() {
        guard let lastWrite, let context else { return context?.close(promise: nil) ?? () }
        lastWrite.assumeIsolated().whenComplete { _ in context.close(promise: nil) }
    }

    /// Writes in pieces, so that a slow reader is seen to make progress.
    private func writePieces(of bytes: ByteBuffer) {
        var bytes = bytes
        while let piece = bytes.readSlice(
            length: min(bytes.readableBytes, ConnectionLimits.writeBytes)), piece.readableBytes > 0
        {
            write(.body(.byteBuffer(piece)))
        }
    }

    private func write(_ part: HTTPServerResponsePart) {
        context?.write(self.part(part), promise: nil)
    }

    private func part(_ part: HTTPServerResponsePart) -> NIOAny { NIOAny(part) }
}
