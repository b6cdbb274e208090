internal import Logging
internal import Platform
internal import StardustCore
internal import Synchronization

/// What all connections share.
final class ServerContext: Sendable {
    let ledger: RunningLedger
    let policy: AccessPolicy
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
    }

    var metrics: Metrics { ledger.metrics }

    /// Counts a new connection. False if there are too many; then it is not counted.
    func admit(_ peer: PeerIdentity) -> Bool {
        let isAdmitted = connections.withLock { counts in
            let total = counts.values.reduce(0, +)
            let own = counts[peer.uid, default: 0]
            guard total < ConnectionLimits.connections,
                peer.uid == policy.ownUser || own < ConnectionLimits.connectionsPerUser
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
