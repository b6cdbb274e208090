package import Logging
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import Platform
internal import Publishing
internal import ServiceLifecycle
package import StardustCore

/// The daemon's Unix socket.
package struct SocketServer: Service {
    private let ledger: RunningLedger
    private let path: String
    private let group: UInt32?
    private let policy: AccessPolicy
    private let logger: Logger
    private let isListening: @Sendable () -> Void

    /// `group` is the socket's; nil for the process's own. `isListening` is called once, when clients
    /// can connect.
    package init(
        _ ledger: RunningLedger, path: String, group: UInt32? = nil, policy: AccessPolicy,
        logger: Logger, isListening: @escaping @Sendable () -> Void = {}
    ) {
        self.ledger = ledger
        self.path = path
        self.group = group
        self.policy = policy
        self.logger = logger
        self.isListening = isListening
    }

    /// Checks the relations between this module's limits; called once when the program starts.
    package static func checkLimits() {
        ConnectionLimits.checkRelations()
        EmissionLimits.checkRelations()
        QueryLimits.checkRelations()
    }

    /// Serves until the group shuts down, then lets current requests finish.
    package func run() async throws {
        let (descriptor, file) = try SocketFile.listen(at: path, group: group)
        let loops = MultiThreadedEventLoopGroup(numberOfThreads: min(2, System.coreCount))
        // A loop of its own: however busy the others are, connections are accepted or refused.
        let door = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let pools = ThreadPools()
        let context = ServerContext(ledger, policy, pools, logger)
        let contexts = try await Self.loopContexts(loops)
        let channel = try await accept(descriptor, door, loops, context, contexts)
        SocketFile.lengthenQueue(of: descriptor)
        isListening()
        let trimmer = MemoryTrimmer(context)
        door.next().scheduleRepeatedTask(
            initialDelay: TimeAmount(MemoryTrimmer.interval),
            delay: TimeAmount(MemoryTrimmer.interval)
        ) { _ in trimmer.look() }
        let isStopped = await Self.shutdown(orLossOf: file)
        // Fail requests that wait for the index or a checkpoint.
        ledger.follower?.stopWaiting()
        ledger.publisher?.stopWaiting()
        ledger.model?.stopReading()
        file.remove()
        await stop(channel, contexts)
        // What still runs there holds nothing that must be kept, and may take as long as a query.
        await Patience.wait(atMost: ConnectionLimits.poolPatience) {
            try? await pools.shutDown()
            try? await loops.shutdownGracefully()
            try? await door.shutdownGracefully()
        }
        guard isStopped else {
            throw SocketFile.Lost(
                description: "\(path) was removed or replaced, so no client could reach the daemon")
        }
    }

    /// Waits until the group shuts down; false if the socket is lost before.
    private static func shutdown(orLossOf file: SocketFile) async -> Bool {
        await withTaskGroup(of: Bool.self) { group in
            group.addTask {
                // Cancelling the task has the same effect.
                try? await gracefulShutdown()
                return true
            }
            group.addTask {
                while file.isInPlace {
                    do { try await Task.sleep(for: ConnectionLimits.socketInterval) } catch {
                        return true
                    }
                }
                return false
            }
            defer { group.cancelAll() }
            return await group.next() ?? true
        }
    }

    private typealias LoopContexts = [ObjectIdentifier: NIOLoopBound<LoopContext>]

    private static func loopContexts(
        _ loops: MultiThreadedEventLoopGroup
    ) async throws -> LoopContexts {
        var contexts: LoopContexts = [:]
        for loop in loops.makeIterator() {
            contexts[ObjectIdentifier(loop)] = try await loop.submit {
                NIOLoopBound(LoopContext(loop), eventLoop: loop)
            }.get()
        }
        return contexts
    }

    private func accept(
        _ descriptor: Int32, _ door: MultiThreadedEventLoopGroup,
        _ loops: MultiThreadedEventLoopGroup, _ context: ServerContext,
        _ contexts: LoopContexts
    ) async throws -> any Channel {
        for loop in loops.makeIterator() {
            let interval = TimeAmount(ConnectionLimits.deadlineInterval)
            loop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { _ in
                contexts[ObjectIdentifier(loop)]?.value.enforceDeadlines()
            }
        }
        return try await ServerBootstrap(group: door, childGroup: loops)
            .serverChannelOption(.maxMessagesPerRead, value: 64)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(AcceptBackoffHandler())
                }
            }
            .childChannelOption(.maxMessagesPerRead, value: 1)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(
                .writeBufferWaterMark,
                value: ChannelOptions.Types.WriteBufferWaterMark(
                    low: ConnectionLimits.answerBytesMin, high: ConnectionLimits.answerBytesMax)
            )
            .childChannelOption(
                .recvAllocator,
                value: AdaptiveRecvByteBufferAllocator(
                    minimum: 2048, initial: 4096, maximum: ConnectionLimits.readBytes)
            )
            .childChannelInitializer { channel in
                PeerCredentials.identity(of: channel).flatMapThrowing { peer in
                    guard let loop = contexts[ObjectIdentifier(channel.eventLoop)] else {
                        preconditionFailure("the connection's event loop is not ours")
                    }
                    try Self.configure(channel, peer, context, loop.value)
                }
            }
            .withBoundSocket(descriptor).get()
    }

    private static func configure(
        _ channel: any Channel, _ peer: PeerIdentity, _ context: ServerContext, _ loop: LoopContext
    ) throws {
        var limits = NIOHTTPDecoderLimitConfiguration()
        limits.maxHeaderFieldSize = ConnectionLimits.headerBytes
        limits.maxHeaderListSize = ConnectionLimits.headerBytes
        limits.maxHeaderFieldCount = ConnectionLimits.headerLines
        let pipeline = channel.pipeline.syncOperations
        let handler = ConnectionHandler(
            peer: peer, server: context, loop: loop, on: channel.eventLoop)
        guard handler.isAdmitted else {
            context.metrics.connectionsCut.add()
            return try pipeline.addHandler(RefusedConnection())
        }
        context.metrics.connectionsOpened.add()
        try pipeline.addHandler(PlainRequestHandler(handler))
        try pipeline.configureHTTPServerPipeline(
            withPipeliningAssistance: true, withServerUpgrade: nil, withErrorHandling: false,
            withOutboundHeaderValidation: false, withEncoderConfiguration: .init(),
            withDecoderLimitConfiguration: limits)
        try pipeline.addHandler(handler)
    }

    /// Accepts no more connections, closes idle ones, and waits a while for the others.
    private func stop(_ channel: any Channel, _ contexts: LoopContexts) async {
        // Closing a listening socket fails only if it is already closed.
        try? await channel.close()
        let deadline = ContinuousClock.now + ConnectionLimits.drainTime
        for bound in contexts.values {
            bound.eventLoop.execute { bound.value.drain() }
        }
        while ContinuousClock.now < deadline {
            var isEmpty = true
            for bound in contexts.values {
                let isLoopEmpty = try? await bound.eventLoop.submit { bound.value.isEmpty }.get()
                isEmpty = isEmpty && isLoopEmpty ?? true
            }
            if isEmpty { return }
            // If the sleep is cancelled, this loop only polls more often.
            try? await Task.sleep(for: ConnectionLimits.drainInterval)
        }
        for bound in contexts.values { bound.eventLoop.execute { bound.value.closeAll() } }
    }
}

/// A connection for which there is no room: told so, and closed.
private final class RefusedConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    func channelActive(context: ChannelHandlerContext) {
        let answer = Answer(
            Problem(
                .tooManyConnections,
                "there are too many connections, in all or of this user; close some and try again",
                retryAfterSeconds: 5))
        context.writeAndFlush(NIOAny(IOData.byteBuffer(answer.message(isLast: true))))
            .assumeIsolated().whenComplete { _ in context.close(promise: nil) }
    }
}

/// Waits for work that may not end.
private enum Patience {
    static func wait(
        atMost time: Duration, _ body: @escaping @Sendable () async -> Void
    ) async {
        let (ends, continuation) = AsyncStream<Void>.makeStream()
        Task {
            await body()
            continuation.finish()
        }
        Task {
            try? await Task.sleep(for: time)
            continuation.finish()
        }
        for await _ in ends {}
    }
}
