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
    private let place: Place
    private let logger: Logger
    private let isListening: @Sendable () -> Void
    private let pulse: LoopPulse

    /// Where clients connect.
    package enum Place: Sendable {
        /// At a path, where the socket is made and removed; `group` is the socket's, nil for the process's
        /// own.
        case path(String, group: UInt32?)
        /// A listening socket that somebody passed, and goes on to have.
        case passed(Int32)
    }

    /// `isListening` is called once, when clients can connect. `pulse` tells whether the event loops turn.
    package init(
        _ ledger: RunningLedger, at place: Place, logger: Logger,
        pulse: LoopPulse = LoopPulse(), isListening: @escaping @Sendable () -> Void = {}
    ) {
        self.ledger = ledger
        self.place = place
        self.pulse = pulse
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
        let (descriptor, file): (Int32, SocketFile?) =
            switch place {
            case .path(let path, let group): try SocketFile.listen(at: path, group: group)
            case .passed(let descriptor): (descriptor, nil)
            }
        ledger.metrics.requestSeconds.begin(Endpoint.all.map(\.route))
        let loops = MultiThreadedEventLoopGroup(numberOfThreads: min(2, System.coreCount))
        let pools = ThreadPools()
        let context = ServerContext(ledger, pools, logger)
        let contexts = try await Self.loopContexts(loops)
        pulse.watch(loops.makeIterator())
        let acceptor = Acceptor(descriptor, isOurs: file != nil, context) {
            client, admission, ordinal in
            Self.connect(client, admission, context, to: contexts[ordinal % contexts.count])
        }
        acceptor.start()
        isListening()
        let trimmer = MemoryTrimmer(context)
        loops.next().scheduleRepeatedTask(
            initialDelay: TimeAmount(MemoryTrimmer.interval),
            delay: TimeAmount(MemoryTrimmer.interval)
        ) { _ in
            trimmer.look()
            context.logRepeated()
        }
        let isStopped = await Self.shutdown(orLossOf: file)
        // Fail requests that wait for the index or a checkpoint.
        ledger.follower?.stopWaiting()
        ledger.publisher?.stopWaiting()
        ledger.model?.stopReading()
        file?.remove()
        await acceptor.stop()
        await Self.stop(contexts)
        // What still runs there holds nothing that must be kept, and may take as long as a query.
        await Patience.wait(atMost: ConnectionLimits.poolPatience) {
            try? await pools.shutDown()
            try? await loops.shutdownGracefully()
        }
        if !isStopped, case .path(let path, _) = place {
            throw SocketFile.Lost(
                description: "\(path) was removed or replaced, so no client could reach the daemon")
        }
    }

    /// Waits until the group shuts down; false if the socket is lost before.
    private static func shutdown(orLossOf file: SocketFile?) async -> Bool {
        await withTaskGroup(of: Bool.self) { group in
            group.addTask {
                // Cancelling the task has the same effect.
                try? await gracefulShutdown()
                return true
            }
            group.addTask {
                while file?.isInPlace ?? true {
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

    private static func loopContexts(
        _ loops: MultiThreadedEventLoopGroup
    ) async throws -> [NIOLoopBound<LoopContext>] {
        var contexts: [NIOLoopBound<LoopContext>] = []
        for loop in loops.makeIterator() {
            let context = try await loop.submit {
                NIOLoopBound(LoopContext(loop), eventLoop: loop)
            }.get()
            let interval = TimeAmount(ConnectionLimits.deadlineInterval)
            loop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { _ in
                context.value.enforceDeadlines()
            }
            contexts.append(context)
        }
        return contexts
    }

    /// Serves a connection on its event loop.
    private static func connect(
        _ descriptor: Int32, _ admission: Admission, _ context: ServerContext,
        to loop: NIOLoopBound<LoopContext>
    ) {
        // If the loop takes no more, the socket is closed with its channel.
        _ = ClientBootstrap(group: loop.eventLoop)
            .channelOption(.maxMessagesPerRead, value: 1)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelOption(
                .writeBufferWaterMark,
                value: ChannelOptions.Types.WriteBufferWaterMark(
                    low: ConnectionLimits.answerBytesMin, high: ConnectionLimits.answerBytesMax)
            )
            .channelOption(
                .recvAllocator,
                value: AdaptiveRecvByteBufferAllocator(
                    minimum: 2048, initial: 4096, maximum: ConnectionLimits.readBytes)
            )
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try configure(channel, admission, context, loop.value)
                }
            }
            .withConnectedSocket(descriptor)
    }

    private static func configure(
        _ channel: any Channel, _ admission: Admission, _ context: ServerContext,
        _ loop: LoopContext
    ) throws {
        var limits = NIOHTTPDecoderLimitConfiguration()
        limits.maxHeaderFieldSize = ConnectionLimits.headerBytes
        limits.maxHeaderListSize = ConnectionLimits.headerBytes
        limits.maxHeaderFieldCount = ConnectionLimits.headerLines
        let pipeline = channel.pipeline.syncOperations
        let handler = ConnectionHandler(
            admission, server: context, loop: loop, on: channel.eventLoop)
        try pipeline.addHandler(PlainRequestHandler(handler))
        try pipeline.configureHTTPServerPipeline(
            withPipeliningAssistance: true, withServerUpgrade: nil, withErrorHandling: false,
            withOutboundHeaderValidation: false, withEncoderConfiguration: .init(),
            withDecoderLimitConfiguration: limits)
        try pipeline.addHandler(handler)
    }

    /// Closes idle connections, and waits a while for the others.
    private static func stop(_ contexts: [NIOLoopBound<LoopContext>]) async {
        let deadline = ContinuousClock.now + ConnectionLimits.drainTime
        for bound in contexts {
            bound.eventLoop.execute { bound.value.drain() }
        }
        while ContinuousClock.now < deadline {
            var isEmpty = true
            for bound in contexts {
                let isLoopEmpty = try? await bound.eventLoop.submit { bound.value.isEmpty }.get()
                isEmpty = isEmpty && isLoopEmpty ?? true
            }
            if isEmpty { return }
            // If the sleep is cancelled, this loop only polls more often.
            try? await Task.sleep(for: ConnectionLimits.drainInterval)
        }
        for bound in contexts { bound.eventLoop.execute { bound.value.closeAll() } }
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
