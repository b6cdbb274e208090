internal import NIOCore

/// First in the pipeline: tells the connection's handler of every byte that comes and goes.
final class ByteWatch: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = IOData
    typealias OutboundOut = IOData

    private let handler: ConnectionHandler
    private var context: ChannelHandlerContext?
    private var unsent = 0

    init(_ handler: ConnectionHandler) { self.handler = handler }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        handler.watch = self
    }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    /// Answers where there is no request that the pipeline knows of, and closes.
    func sendLast(_ answer: Answer) {
        guard let context else { return }
        let head =
            "HTTP/1.1 \(answer.status) Request Timeout\r\ncontent-type: \(answer.contentType)\r\n"
            + "content-length: \(answer.body.count)\r\nconnection: close\r\n\r\n"
        let bytes = ByteBuffer(bytes: Array(head.utf8) + answer.body)
        context.writeAndFlush(wrapOutboundOut(.byteBuffer(bytes))).assumeIsolated()
            .whenComplete { _ in context.close(promise: nil) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        handler.received(unwrapInboundIn(data).readableBytes)
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let promise = promise ?? context.eventLoop.makePromise(of: Void.self)
        unsent += 1
        handler.wrote()
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        promise.futureResult.whenComplete { _ in
            let watch = bound.value
            watch.unsent -= 1
            watch.handler.sent(isAll: watch.unsent == 0)
        }
        context.write(data, promise: promise)
    }
}
