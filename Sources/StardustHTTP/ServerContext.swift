internal import Logging
internal import NIOCore
internal import NIOPosix
internal import Packets
internal import Platform
internal import StardustCore
internal import Synchronization

/// What all connections share.
final class ServerContext: Sendable {
    let ledger: RunningLedger
    let policy: AccessPolicy
    let librarian: Librarian
    let pools: ThreadPools
    let logger: Logger
    private let connections = Mutex<[UInt32: Int]>([:])

    init(
        _ ledger: RunningLedger, _ policy: AccessPolicy, _ pools: ThreadPools, _ logger: Logger
    ) {
        self.ledger = ledger
        self.policy = policy
        self.pools = pools
        self.logger = logger
        librarian = Librarian(ledger: ledger)
    }

    var metrics: Metrics { ledger.metrics }

    /// Counts a connection in. False where there are too many; then it was not counted.
    func admit(_ peer: PeerIdentity) -> Bool {
        let isAdmitted = connections.withLock { counts in
            let total = counts.values.reduce(0, +)
            let own = counts[peer.uid, default: 0]
            guard total < SocketLimits.connections,
                peer.uid == policy.ownUser || own < SocketLimits.connectionsPerUser
            else { return false }
            counts[peer.uid] = own + 1
            return true
        }
        (isAdmitted ? metrics.connectionsOpened : metrics.connectionsCut).add()
        if isAdmitted { metrics.connections.add(1) }
        return isAdmitted
    }

    func dismiss(_ peer: PeerIdentity) {
        connections.withLock { counts in
            let left = counts[peer.uid, default: 1] - 1
            counts[peer.uid] = left > 0 ? left : nil
        }
        metrics.connections.add(-1)
    }
}

/// What the connections of one event loop share. Only touched on that loop.
final class LoopContext {
    /// Parses for all of them, so that its memory is warm and bounded.
    private var reader = PacketReader()
    private var handlers: [ObjectIdentifier: ConnectionHandler] = [:]

    func read(_ bytes: Span<UInt8>) throws(PacketError) -> PacketFacts { try reader.read(bytes) }

    func add(_ handler: ConnectionHandler) { handlers[ObjectIdentifier(handler)] = handler }
    func remove(_ handler: ConnectionHandler) { handlers[ObjectIdentifier(handler)] = nil }

    var isEmpty: Bool { handlers.isEmpty }

    func enforceDeadlines() {
        let now = ContinuousClock.now
        for handler in handlers.values { handler.enforceDeadline(now) }
    }

    func drain() { for handler in handlers.values { handler.drain() } }
    func closeAll() { for handler in handlers.values { handler.close() } }
}
