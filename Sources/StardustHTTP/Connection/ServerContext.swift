internal import Logging
internal import Platform
internal import StardustCore
internal import Synchronization

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

    private let notes = Mutex(RepeatedNotes())

    /// Logs what happens to a user, not more than once a minute.
    func note(_ event: LoggedEvent, _ peer: PeerIdentity, _ detail: @autoclosure () -> String) {
        let line = notes.withLock { $0.note(event, peer.uid, now: .now, detail()) }
        if let line { log(line) }
    }

    /// Logs how often things have happened since the last lines.
    func logRepeated() { notes.withLock { $0.due(now: .now) }.forEach(log) }

    private func log(_ line: RepeatedNotes.Line) {
        logger.log(
            line.event, "\(line.detail)",
            metadata: ["uid": "\(line.uid)", "count": "\(line.count)"])
    }

    /// A role was missing.
    func denied(_ role: Role, _ peer: PeerIdentity, _ problem: Problem) -> Problem {
        metrics.denied.add(role.rawValue)
        note(.accessDenied, peer, problem.detail)
        return problem
    }

    /// A packet was not taken for what it is.
    func refusedPacket(_ peer: PeerIdentity, _ problem: Problem) {
        metrics.packetsRefused.add()
        note(.packetsRefused, peer, "\(problem.code.text): \(problem.detail)")
    }

    var metrics: Metrics { ledger.metrics }

    var budgets: Budgets { ledger.budgets }

    /// Whom a connection belongs to, for the budgets.
    func party(_ peer: PeerIdentity, _ grant: AccessPolicy.Grant) -> Budgets.Party {
        budgets.party(
            uid: peer.uid, isPrivileged: grant.allows(.admin), hasRole: !grant.roles.isEmpty)
    }
}
