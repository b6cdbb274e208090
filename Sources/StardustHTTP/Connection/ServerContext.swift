internal import Logging
internal import Platform
internal import StardustCore

/// What all connections share.
final class ServerContext: Sendable {
    let ledger: RunningLedger
    let pools: ThreadPools
    let logger: Logger

    init(
        _ ledger: RunningLedger, _ pools: ThreadPools, _ logger: Logger
    ) {
        self.ledger = ledger
        self.pools = pools
        self.logger = logger
    }

    var metrics: Metrics { ledger.metrics }

    var budgets: Budgets { ledger.budgets }

    /// Whom a connection belongs to, for the budgets.
    func party(_ peer: PeerIdentity, _ grant: AccessPolicy.Grant) -> Budgets.Party {
        budgets.party(
            uid: peer.uid, isPrivileged: grant.allows(.admin), hasRole: !grant.roles.isEmpty)
    }
}
