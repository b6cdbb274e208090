internal import LedgerStorage
internal import Logging
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import Platform
internal import Publishing
internal import ServiceLifecycle
internal import Synchronization

/// What answers the requests of a small server: whole requests, and answers that fit in memory.
protocol PlainAnswering: Sendable {
    /// No request may have a longer body.
    var bodyBytesMax: Int { get }
    func start()
    func stop() async throws
    func answer(
        _ method: HTTPMethod, _ target: String, _ body: [UInt8], on loop: any EventLoop
    ) -> EventLoopFuture<PlainAnswer>
    /// Whether an answer to this request is worth a line in the log.
    func isNotable(_ method: HTTPMethod, _ target: String) -> Bool
}

/// Serves a few kinds of requests over HTTP, on a Unix socket or a TCP address.
package struct PlainServer: Service {
    private let answering: any PlainAnswering
    private let address: Address
    private let greeting: Logger.Message
    private let logger: Logger

    /// Where it listens.
    enum Address {
        /// A path or `host:port`; `group` owns a socket at a path.
        case named(String, group: UInt32?)
        /// A listening socket that somebody passed.
        case passed(Int32)
    }

    init(
        _ answering: any PlainAnswering, address: Address, _ greeting: Logger.Message,
        logger: Logger
    ) {
        (self.answering, self.address) = (answering, address)
        (self.greeting, self.logger) = (greeting, logger)
    }

    /// Serves until the group shuts down.
    package func run() async throws {
        let loops = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        answering.start()
        let places = Places(logger)
        let bootstrap = ServerBootstrap(group: loops)
            .childChannelInitializer { [answering, logger] channel in
                channel.eventLoop.makeCompletedFuture {
                    guard places.take(until: channel.closeFuture) else {
                        return channel.close(promise: nil)
                    }
                    var limits = NIOHTTPDecoderLimitConfiguration()
                    limits.maxHeaderListSize = ConnectionLimits.headerBytes
                    limits.maxHeaderFieldCount = ConnectionLimits.headerLines
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.configureHTTPServerPipeline(
                        withPipeliningAssistance: true, withServerUpgrade: nil,
                        withErrorHandling: true, withOutboundHeaderValidation: true,
                        withEncoderConfiguration: .init(), withDecoderLimitConfiguration: limits)
                    try pipeline.addHandler(PlainConnection(answering, logger))
                }
            }
        let (channel, file) = try await listen(bootstrap)
        try? await gracefulShutdown()
        file?.remove()
        // Closing a listening socket fails only if it is already closed.
        try? await channel.close()
        try await answering.stop()
        try await loops.shutdownGracefully()
    }

    private func listen(
        _ bootstrap: ServerBootstrap
    ) async throws -> (any Channel, SocketFile?) {
        switch address {
        case .passed(let descriptor):
            let channel = try await bootstrap.withBoundSocket(descriptor).get()
            logger.log(.listening, greeting)
            return (channel, nil)
        case .named(let name, let group):
            defer { logger.log(.listening, greeting, metadata: ["address": "\(name)"]) }
            if let (host, port) = WitnessAddress.hostAndPort(name) {
                return (
                    try await bootstrap.serverChannelOption(
                        .socketOption(.so_reuseaddr), value: 1
                    ).bind(host: host, port: port).get(), nil
                )
            }
            let (descriptor, file) = try SocketFile.listen(at: name, group: group)
            return (try await bootstrap.withBoundSocket(descriptor).get(), file)
        }
    }
}

/// Places for connections.
private final class Places: Sendable {
    private let taken = Atomic(0)
    /// Whether it has been said that there is none left.
    private let isFull = Atomic(false)
    private let logger: Logger

    init(_ logger: Logger) { self.logger = logger }

    /// Takes a place until the connection closes; false if there is none.
    func take(until closed: EventLoopFuture<Void>) -> Bool {
        guard taken.add(1, ordering: .relaxed).newValue <= WitnessLimits.connections else {
            taken.subtract(1, ordering: .relaxed)
            if !isFull.exchange(true, ordering: .relaxed) {
                logger.log(
                    .connectionsRefused, "too many connections; more are closed until others end")
            }
            return false
        }
        closed.whenComplete { _ in
            self.taken.subtract(1, ordering: .relaxed)
            self.isFull.store(false, ordering: .relaxed)
        }
        return true
    }
}

/// One connection.
private final class PlainConnection: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let answering: any PlainAnswering
    private let logger: Logger
    private var head: HTTPRequestHead?
    private var body: [UInt8] = []
    /// What the request is refused with at its end.
    private var refusal: PlainAnswer?
    /// Closes the connection unless a complete request arrives in time, at whatever speed.
    private var deadline: Scheduled<Void>?

    func channelActive(context: ChannelHandlerContext) {
        awaitRequest(context)
        context.fireChannelActive()
    }

    private func awaitRequest(_ context: ChannelHandlerContext) {
        deadline?.cancel()
        deadline = context.eventLoop.assumeIsolated().scheduleTask(
            in: TimeAmount(WitnessLimits.requestTime)
        ) {
            context.close(promise: nil)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        deadline?.cancel()
        context.fireChannelInactive()
    }

    init(_ answering: any PlainAnswering, _ logger: Logger) {
        (self.answering, self.logger) = (answering, logger)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            body = []
            self.head = head
            refusal = RequestFraming.framing(
                head.version, RequestFields(head.headers), hasBody: head.method == .POST
            ).map {
                .text($0.status, $0.detail)
            }
        case .body where refusal != nil: break
        case .body(let bytes):
            guard body.count + bytes.readableBytes <= answering.bodyBytesMax else {
                head = nil
                return respond(
                    .text(413, "a request may have at most \(answering.bodyBytesMax) bytes"),
                    context,
                    isLast: true)
            }
            body += bytes.readableBytesView
        case .end: finish(context)
        }
    }

    private func finish(_ context: ChannelHandlerContext) {
        guard let head else { return }
        // Not before the end: closing with unread bytes would reset the connection.
        if let refusal { return respond(refusal, context, isLast: true) }
        awaitRequest(context)
        let isLast = !head.isKeepAlive || head.version != .http1_1
        let bound = NIOLoopBound((connection: self, context: context), eventLoop: context.eventLoop)
        answering.answer(head.method, head.uri, body, on: context.eventLoop).whenSuccess { answer in
            let (connection, context) = bound.value
            if connection.answering.isNotable(head.method, head.uri) {
                connection.logger.log(
                    .answered, "answered", metadata: ["status": "\(answer.status)"])
            }
            connection.respond(answer, context, isLast: isLast)
        }
    }

    private func respond(
        _ answer: PlainAnswer, _ context: ChannelHandlerContext, isLast: Bool
    ) {
        var headers = HTTPHeaders()
        if let type = answer.contentType { headers.add(name: "content-type", value: type) }
        headers.add(name: "content-length", value: String(answer.body.count))
        if isLast { headers.add(name: "connection", value: "close") }
        let status = HTTPResponseStatus(statusCode: answer.status)
        let head = HTTPResponseHead(version: .http1_1, status: status, headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.write(
            wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: answer.body)))), promise: nil)
        let written = context.writeAndFlush(wrapOutboundOut(.end(nil)))
        if isLast {
            written.assumeIsolated().whenComplete { _ in context.close(promise: nil) }
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}
