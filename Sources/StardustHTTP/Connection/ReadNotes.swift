internal import LedgerFormat
internal import LedgerStorage
internal import StardustCore

extension ConnectionHandler {
    /// Notes who reads what, if that is wanted. What has a body is noted once that is complete: `query`.
    func noteRead(_ endpoint: Endpoint, _ target: String, query: [UInt8]? = nil) {
        guard let log = settings.accessLog, let role = endpoint.role,
            [.read, .audit].contains(role),
            query != nil || endpoint.execution != .withBody
        else { return }
        log.note(
            AccessLog.Read(
                peer, role, route: endpoint.route, target: target, query: query ?? [],
                ledgerSize: server.ledger.map?.head.size ?? .empty))
    }

    /// The same of the current request, whose body is complete.
    func noteRead(query: [UInt8]) {
        guard let endpoint = currentEndpoint, let target = currentTarget else { return }
        noteRead(endpoint, target, query: query)
    }
}
