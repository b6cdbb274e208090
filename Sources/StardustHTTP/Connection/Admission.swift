internal import StardustCore

/// A connection for which there was room: who is at the other end, and their place
/// among all connections, until the last reference ends.
final class Admission: Sendable {
    let peer: PeerIdentity
    /// Whose share of the budgets the connection takes.
    let party: Budgets.Party
    private let place: Budgets.Lease

    /// Nil if there is no room, in all or for this party.
    init?(_ peer: PeerIdentity, _ server: ServerContext) {
        self.peer = peer
        party = server.party(peer, server.ledger.inForce.values.access.grant(peer))
        var place = server.budgets.lease(.connections, party)
        guard place.take(1) else { return nil }
        self.place = place
    }

    /// Open connections of the same party.
    var count: Int { place.heldByParty }
}
