package import Logging
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import Publishing
internal import ServiceLifecycle
package import StardustCore

/// The daemon's Unix socket.
package struct SocketServer: Service {
    private let ledger: RunningLedger
    private let path: String
    private let policy: AccessPolicy
    private let logger: Logger
    private let isListening: @Sendable () -> Void

    /// The caller holds the ledger's lock, so any socket file at `path` is stale. `isListening` is
    /// called once, when clients can connect.
    package init(
        _ ledger: RunningLedger, path: String, policy: AccessPolicy, logger: Logger,
        isListening: @escaping @Sendable () -> Void = {}
    ) {
        self.ledger = ledger
        self.path = path
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
        try SocketFile.prepare(path)
        let loops = MultiThreadedEventLoopGroup(numberOfThreads: min(2, System.coreCount))
        let pools = ThreadPools()
        let context = ServerContext(ledger, policy, pools, logger)
        let contexts = try await Self.loopContexts(loops)
        let channel = try await bind(loops, context, contexts)
        let place = try SocketFile.restrict(path)
        isListening()
        // Returns when the group shuts down; cancelling the task has the same effect.
        try? await gracefulShutdown()
        // Fail requests that wait for the index or a checkpoint.
        ledger.follower?.stopWaiting()
        ledger.publisher?.stopWaiting()
        ledger.model?.stopReading()
        await stop(channel, contexts)
        SocketFile.remove(path, at: place)
        try await pools.shutDown()
        try await loops.shutdownGracefully()
    }

    private typealias LoopContexts = [ObjectIdentifier: NIOLoopBound<LoopContext>]

    private static func loopContexts(
        _ loops: MultiThreadedEventLoopGroup
    ) async throws -> LoopContexts {
        var contexts: LoopContexts = [:]
        for loop in loops.makeIterator() {
            contexts[ObjectIdentifier(loop)] = try await loop.submit {
                NIOLoopBound(LoopContext(), eventLoop: loop)
            }.get()
        }
        return contexts
    }

    private func bind(
        _ loops: MultiThreadedEventLoopGroup, _ context: ServerContext, _ contexts: LoopContexts
    ) async throws -> any Channel {
        for loop in loops.makeIterator() {
            let interval = TimeAmount(ConnectionLimits.deadlineInterval)
            loop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { _ in
                contexts[ObjectIdentifier(loop)]?.value.enforceDeadlines()
            }
        }
        return try await ServerBootstrap(group: loops)
            .serverChannelOption(.backlog, value: 1024)
            .childChannelOption(.maxMessagesPerRead, value: 4)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(
                .writeBufferWaterMark,
                value: ChannelOptions.Types.WriteBufferWaterMark(
                    low: ConnectionLimits.answerBytesMin, high: ConnectionLimits.answerBytesMax)
            )
            .childChannelOption(
                .recvAllocator,
                value: AdaptiveRecvByteBufferAllocator(
                    minimum: 2048, initial: 4096, maximum: 1 << 18)
            )
            .childChannelInitializer { channel in
                PeerCredentials.identity(of: channel).flatMapThrowing { peer in
                    guard let loop = contexts[ObjectIdentifier(channel.eventLoop)] else {
                        preconditionFailure("the connection's event loop is not ours")
                    }
                    guard context.admit(peer) else { throw ConnectionRefused() }
                    channel.closeFuture.whenComplete { _ in context.dismiss(peer) }
                    try Self.configure(channel, peer, context, loop.value)
                }
            }
            .bind(unixDomainSocketPath: path).get()
    }

    /// A connection beyond the limit: closed at once.
    private struct ConnectionRefused: Error {}

    private static func configure(
        _ channel: any Channel, _ peer: PeerIdentity, _ context: ServerContext, _ loop: LoopContext
    ) throws {
        var limits = NIOHTTPDecoderLimitConfiguration()
        limits.maxHeaderFieldSize = ConnectionLimits.headerBytes
        limits.maxHeaderListSize = ConnectionLimits.headerBytes
        limits.maxHeaderFieldCount = ConnectionLimits.headerLines
        let handler = ConnectionHandler(
            peer: peer, server: context, loop: loop, on: channel.eventLoop)
        let pipeline = channel.pipeline.syncOperations
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
