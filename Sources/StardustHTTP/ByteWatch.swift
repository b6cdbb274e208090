internal import NIOCore

/// First in the pipeline: tells the connection's handler of every byte that comes and goes.
final class ByteWatch: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = IOData

    private let handler: ConnectionHandler
    private var unsent = 0

    init(_ handler: ConnectionHandler) { self.handler = handler }

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
