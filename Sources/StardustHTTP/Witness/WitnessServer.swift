internal import LedgerFormat
internal import LedgerStorage
package import Logging
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
package import Publishing
internal import ServiceLifecycle
internal import StardustCore
internal import Synchronization

/// Serves a witness over HTTP, on a Unix socket or a TCP address.
package struct WitnessServer: Service {
    private let witness: WitnessThread
    private let address: String
    private let logger: Logger

    /// `address` is a path or `host:port`.
    package init(_ witness: consuming Witness, address: String, logger: Logger) {
        self.witness = WitnessThread(witness)
        self.address = address
        self.logger = logger
    }

    /// Serves until the group shuts down.
    package func run() async throws {
        let loops = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        witness.start()
        let places = Places(logger)
        let bootstrap = ServerBootstrap(group: loops)
            .childChannelInitializer { [witness, logger] channel in
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
                    try pipeline.addHandler(WitnessConnection(witness, logger))
                }
            }
        let channel: any Channel
        var file: SocketFile?
        if let (host, port) = WitnessAddress.hostAndPort(address) {
            channel = try await bootstrap.serverChannelOption(
                .socketOption(.so_reuseaddr), value: 1
            )
            .bind(host: host, port: port).get()
        } else {
            let (descriptor, made) = try SocketFile.listen(at: address)
            file = made
            channel = try await bootstrap.withBoundSocket(descriptor).get()
        }
        logger.notice("witnessing", metadata: ["address": "\(address)"])
        try? await gracefulShutdown()
        file?.remove()
        // Closing a listening socket fails only if it is already closed.
        try? await channel.close()
        try await witness.stop()
        try await loops.shutdownGracefully()
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
                logger.warning("too many connections; more are closed until others end")
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

/// The only thread that uses the witness.
final class WitnessThread: @unchecked Sendable {
    // Unchecked: `witness` is used only on the pool's single thread.
    private var witness: Witness
    private let thread = NIOThreadPool(numberOfThreads: 1)

    init(_ witness: consuming Witness) { self.witness = witness }

    func start() { thread.start() }
    func stop() async throws { try await thread.shutdownGracefully() }

    func answer(
        _ method: HTTPMethod, _ path: String, _ body: [UInt8], on loop: any EventLoop
    ) -> EventLoopFuture<WitnessAnswer> {
        thread.runIfActive(eventLoop: loop) { self.answer(method, path, body) }
    }

    private func answer(_ method: HTTPMethod, _ path: String, _ body: [UInt8]) -> WitnessAnswer {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
        switch (method, parts.count, parts.last) {
        case (.POST, 1, "add-checkpoint"): return witness.add(body)
        case (.GET, 2, "checkpoint"):
            if let note = witness.checkpoint(ofOriginHash: String(parts.first!)) {
                return WitnessAnswer(
                    status: 200, contentType: "text/plain; charset=utf-8", body: note)
            }
            return .text(404, "this witness has cosigned no checkpoint of that log")
        default: return .text(404, "use POST /add-checkpoint or GET /<sha256>/checkpoint")
        }
    }
}

/// One connection of a witness.
private final class WitnessConnection: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let witness: WitnessThread
    private let logger: Logger
    private var head: HTTPRequestHead?
    private var body: [UInt8] = []
    /// What the request is refused with at its end.
    private var refusal: WitnessAnswer?
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

    init(_ witness: WitnessThread, _ logger: Logger) {
        (self.witness, self.logger) = (witness, logger)
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
            guard body.count + bytes.readableBytes <= Witness.bodyBytesMax else {
                head = nil
                return respond(
                    .text(413, "a request may have at most \(Witness.bodyBytesMax) bytes"), context,
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
        witness.answer(head.method, head.uri, body, on: context.eventLoop).whenSuccess { answer in
            let (connection, context) = bound.value
            // Reading is nobody's business, and others choose the path.
            if head.method == .POST, head.uri == "/add-checkpoint" {
                connection.logger.info("answered", metadata: ["status": "\(answer.status)"])
            }
            connection.respond(answer, context, isLast: isLast)
        }
    }

    private func respond(
        _ answer: WitnessAnswer, _ context: ChannelHandlerContext, isLast: Bool
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
