internal import LedgerFormat
internal import Reconstruction
internal import StardustCore

/// How one packet led to another.
enum PathQueries {
    static let parameters: Endpoint.ParameterNames = .some([
        "from", "to", "as_of", "max_depth", "max_packets",
    ])

    static func path(_ request: QueryRequest) throws(Problem) -> Query {
        let (from, to) = (try request.parameters.id("from"), try request.parameters.id("to"))
        let limits = try request.parameters.chainLimits()
        let ledger = try LedgerAtSize(request)
        return Query { (context) throws(Problem) in
            let source = try context.source(ledger)
            let ends = try context.searching { () throws(PacketSearch.Failure) in
                (try source.position(of: from), try source.position(of: to))
            }
            guard let start = ends.0 else { throw context.unknown("the packet \(from)") }
            guard let end = ends.1 else { throw context.unknown("the packet \(to)") }
            let chain = try context.searching { () throws(PacketSearch.Failure) in
                try Chain(ChainRequest(.packet(to), limits: limits), in: source)
            }
            let route = ChainRoute(chain, from: start, to: end)
            return Answer { route.write(to: &$0) }
        }
    }
}

extension Parameters {
    /// A packet's id that must be given.
    func id(_ name: String) throws(Problem) -> UUID128 {
        guard let text = self[name] else {
            throw .badParameter(name, "is missing: give a packet's stardust_id")
        }
        guard let id = UUID128(text) else { throw .badParameter(name, "\(text) is not a UUID") }
        return id
    }

    func chainLimits() throws(Problem) -> ChainLimits {
        var limits = ChainLimits()
        limits.depth = try count("max_depth", upTo: ChainLimits.depthMax) ?? limits.depth
        limits.packets = try count("max_packets", upTo: ChainLimits.packetsMax) ?? limits.packets
        return limits
    }
}
