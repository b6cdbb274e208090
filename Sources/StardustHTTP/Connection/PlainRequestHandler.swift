internal import NIOCore

/// First in the pipeline. It has a plain request answered at once if possible, and reports every
/// byte received or sent to the connection's handler.
final class PlainRequestHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = IOData
    typealias OutboundOut = IOData

    private let handler: ConnectionHandler
    private var context: ChannelHandlerContext?
    private var unsent = 0
    /// Whether the decoder is between two requests: it has received only complete ones.
    private var isDecoderIdle = true

    init(_ handler: ConnectionHandler) { self.handler = handler }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        handler.attach(self)
    }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    /// Answers when the pipeline knows of no request, then closes.
    func sendLast(_ answer: Answer) {
        guard let context else { return }
        let bytes = answer.message(isLast: true)
        context.writeAndFlush(wrapOutboundOut(.byteBuffer(bytes))).assumeIsolated()
            .whenComplete { _ in context.close(promise: nil) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = unwrapInboundIn(data)
        handler.received(bytes.readableBytes)
        if isDecoderIdle {
            let request = PlainRequest(bytes.readableBytesUInt8Span)
            if let request, let answer = handler.answerAtOnce(request) {
                return send(answer, context)
            }
            isDecoderIdle = request != nil
        }
        context.fireChannelRead(data)
    }

    /// Writes in pieces, so that a slow reader is seen to make progress.
    private func send(_ answer: Answer, _ context: ChannelHandlerContext) {
        var bytes = answer.message(isLast: false)
        while bytes.readableBytes > 0 {
            let count = min(bytes.readableBytes, ConnectionLimits.writeBytes)
            guard let piece = bytes.readSlice(length: count) else { break }
            let promise = context.eventLoop.makePromise(of: Void.self)
            handler.writer.wroteBeside(promise.futureResult)
            write(context: context, data: wrapOutboundOut(.byteBuffer(piece)), promise: promise)
        }
        context.flush()
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let promise = promise ?? context.eventLoop.makePromise(of: Void.self)
        unsent += 1
        handler.wrote()
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        promise.futureResult.whenComplete { _ in
            let plain = bound.value
            plain.unsent -= 1
            plain.handler.sent(isAll: plain.unsent == 0)
        }
        context.write(data, promise: promise)
    }
}
