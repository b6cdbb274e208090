internal import Glibc
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

    /// The caller holds the ledger's lock, so that a socket file that stands at `path` is stale.
    /// `isListening` is called once when clients can connect.
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

    /// Serves until the group shuts down, then lets what is under way finish.
    package func run() async throws {
        try SocketFile.prepare(path)
        let loops = MultiThreadedEventLoopGroup(numberOfThreads: min(2, System.coreCount))
        let pools = ThreadPools()
        let context = ServerContext(ledger, policy, pools, logger)
        let contexts = try await Self.loopContexts(loops)
        let channel = try await bind(loops, context, contexts)
        let place = try SocketFile.restrict(path)
        isListening()
        // Ends when the group shuts down; a task that is cancelled ends the same way.
        try? await gracefulShutdown()
        // Whoever waits, for the index or a checkpoint, is told that it will not come.
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
            let interval = TimeAmount(SocketLimits.deadlineInterval)
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
                    low: SocketLimits.answerBytesMin, high: SocketLimits.answerBytesMax)
            )
            .childChannelOption(
                .recvAllocator,
                value: AdaptiveRecvByteBufferAllocator(
                    minimum: 2048, initial: 4096, maximum: 1 << 18)
            )
            .childChannelInitializer { channel in
                Peer.identity(of: channel).flatMapThrowing { peer in
                    guard let loop = contexts[ObjectIdentifier(channel.eventLoop)] else {
                        preconditionFailure("a connection on a loop that is not ours")
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
        limits.maxHeaderFieldSize = SocketLimits.headerBytes
        limits.maxHeaderListSize = SocketLimits.headerBytes
        limits.maxHeaderFieldCount = SocketLimits.headerLines
        let handler = ConnectionHandler(peer: peer, server: context, loop: loop)
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandler(ByteWatch(handler))
        try pipeline.configureHTTPServerPipeline(
            withPipeliningAssistance: true, withServerUpgrade: nil, withErrorHandling: false,
            withOutboundHeaderValidation: false, withEncoderConfiguration: .init(),
            withDecoderLimitConfiguration: limits)
        try pipeline.addHandler(handler)
    }

    /// Takes no more connections, closes idle ones, and waits a while for the others.
    private func stop(_ channel: any Channel, _ contexts: LoopContexts) async {
        // Closing a listening socket fails only where it is closed already.
        try? await channel.close()
        let deadline = ContinuousClock.now + SocketLimits.drainTime
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
            // A cancelled sleep only makes the waiting busier.
            try? await Task.sleep(for: .milliseconds(10))
        }
        for bound in contexts.values { bound.eventLoop.execute { bound.value.closeAll() } }
    }
}

/// The socket's place in the file system.
package enum SocketFile {
    package struct Refused: Error, CustomStringConvertible {
        package var description: String
    }

    /// Makes the folder where it is missing, refuses one in which others could replace the socket,
    /// and removes a socket that nobody serves any more.
    static func prepare(_ path: String) throws(Refused) {
        let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
        var status = stat()
        if unsafe stat(folder, &status) != 0 {
            guard errno == ENOENT, unsafe mkdir(folder, 0o750) == 0,
                unsafe stat(folder, &status) == 0
            else {
                throw Refused(description: "the socket's folder \(folder): \(errorText(errno))")
            }
        }
        if status.st_mode & 0o002 != 0 {
            throw Refused(
                description: "others may write in \(folder), so they could replace the socket; "
                    + "`chmod o-w` it or choose another with --socket")
        }
        if unsafe lstat(path, &status) == 0 {
            guard status.st_mode & S_IFMT == S_IFSOCK else {
                throw Refused(description: "\(path) is there and is not a socket")
            }
            guard !isServed(path) else {
                throw Refused(description: "another daemon serves on \(path)")
            }
            _ = unsafe unlink(path)
        }
    }

    /// Whether somebody answers there.
    private static func isServed(_ path: String) -> Bool {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        defer { Glibc.close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        guard path.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else { return false }
        unsafe withUnsafeMutableBytes(of: &address.sun_path) {
            unsafe $0.copyBytes(from: path.utf8)
        }
        let size = socklen_t(MemoryLayout<sockaddr_un>.size)
        // Safety: the address is a sockaddr_un for as long as the call lasts.
        return unsafe withUnsafePointer(to: &address) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe connect(descriptor, $0, size) == 0
            }
        }
    }

    /// Which file the socket is, so that no other is removed in its place.
    struct Place: Sendable {
        var device: UInt64
        var inode: UInt64
    }

    private static func place(of path: String) -> Place? {
        var status = stat()
        guard unsafe lstat(path, &status) == 0 else { return nil }
        return Place(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
    }

    static func restrict(_ path: String) throws(Refused) -> Place {
        guard unsafe chmod(path, 0o660) == 0 else {
            throw Refused(description: "permissions of \(path): \(errorText(errno))")
        }
        guard let place = place(of: path) else {
            throw Refused(description: "\(path) is gone: \(errorText(errno))")
        }
        return place
    }

    /// Removes the socket where it is still ours.
    static func remove(_ path: String, at place: Place) {
        let found = Self.place(of: path)
        guard found?.device == place.device, found?.inode == place.inode else { return }
        _ = unsafe unlink(path)
    }

    private static func errorText(_ number: Int32) -> String {
        // Safety: strerror's text is copied at once.
        unsafe String(cString: strerror(number))
    }
}

/// Credentials of the process at the other end, as the kernel knows them.
enum Peer {
    private static let groupsMax = 1024
    /// SO_PEERGROUPS of <asm-generic/socket.h>, which Glibc does not import.
    private static let peerGroups: CInt = 59

    /// `struct ucred` of unix(7).
    private struct Credentials {
        var pid: Int32
        var uid: UInt32
        var gid: UInt32
    }

    static func identity(of channel: any Channel) -> EventLoopFuture<PeerIdentity> {
        guard let provider = channel as? any SocketOptionProvider else {
            preconditionFailure("a Unix socket has socket options")
        }
        // Safety: SO_PEERCRED fills the kernel's `struct ucred`, SO_PEERGROUPS an array of group
        // ids; the rest of the array stays zero. Group 0 is therefore not seen as supplementary.
        let credentials: EventLoopFuture<Credentials> = provider.unsafeGetSocketOption(
            level: .socket, name: NIOBSDSocket.Option(rawValue: SO_PEERCRED))
        let groups: EventLoopFuture<InlineArray<1024, UInt32>> = provider.unsafeGetSocketOption(
            level: .socket, name: NIOBSDSocket.Option(rawValue: peerGroups))
        return credentials.flatMap { credentials in
            groups.map { groups in
                (0..<groupsMax).map { groups[$0] }.filter { $0 != 0 }
            }
            // More groups than fit are as good as none: default deny.
            .recover { _ in [] }
            .map { PeerIdentity(uid: credentials.uid, gid: credentials.gid, groups: $0) }
        }
    }
}
