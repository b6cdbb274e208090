internal import StardustCore

/// The request that a connection is at.
enum CurrentRequest {
    case none
    case query(PreparedQuery)
    case follow(Parameters)
    case refused(Problem)
    case body(any RequestBody)
    case following(FollowStream)

    /// A request without a body.
    init(
        _ endpoint: Endpoint, _ variables: PathVariables, _ text: Substring?,
        _ ledger: RunningLedger, _ fields: RequestFields
    ) throws(Problem) {
        let parameters = try endpoint.read(text)
        guard case .query(let parse) = endpoint.handler else {
            self = .follow(parameters)
            return
        }
        let query = try QueryRequest(
            ledger: ledger, variables: variables, parameters: parameters, range: fields.range
        ).parsed(sizes: endpoint.sizes, parse)
        self = .query(PreparedQuery(endpoint, query))
    }
}

/// What a request is handled by, from its beginning to its end: the settings, and what its peer may do.
struct RequestTerms {
    private var inForce: SettingsInForce
    private(set) var grant: AccessPolicy.Grant

    var settings: RunningLedger.Settings { inForce.values }

    init(_ ledger: RunningLedger, _ peer: PeerIdentity) {
        inForce = ledger.inForce
        grant = inForce.values.access.grant(peer)
    }

    /// What the peer may do by the settings as they are now: for requests that last.
    func current(_ ledger: RunningLedger, _ peer: PeerIdentity) -> AccessPolicy.Grant {
        let current = ledger.inForce
        return current === inForce ? grant : current.values.access.grant(peer)
    }

    /// For the next request.
    mutating func renew(_ ledger: RunningLedger, _ peer: PeerIdentity) {
        let current = ledger.inForce
        guard current !== inForce else { return }
        inForce = current
        grant = current.values.access.grant(peer)
    }
}
