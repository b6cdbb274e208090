internal import LedgerFormat
internal import LedgerIndex
internal import LedgerStorage
internal import Packets
internal import Reconstruction
internal import StardustCore

/// What changed between two sizes of the ledger.
enum DiffQueries {
    static let parameters: Endpoint.ParameterNames = .some(names)

    private static let names: Set<String> = Parameters.filters.union([
        "from", "to", "packet", "direction", "max_depth", "max_packets", "limit", "cursor",
    ])

    static func diff(_ request: QueryRequest) throws(Problem) -> Query {
        let parameters = request.parameters
        let current = try request.map().head.size
        guard let from = try parameters.size("from", upTo: current) else {
            throw .badParameter("from", "is missing: give a size of the ledger, or a time")
        }
        let to = try parameters.size("to", upTo: current) ?? current
        guard from <= to else {
            throw .badParameter("from", "\(from) is after \(to), where the period ends")
        }
        if let target = try parameters.chainTarget() {
            return try diff(of: target, request, from, to)
        }
        for name in ["direction", "max_depth", "max_packets"] where parameters[name] != nil {
            throw .badParameter(
                name, "belongs to packet, trace_id, or entity_type with entity_id alone")
        }
        return try list(request, from, to)
    }

    private static func diff(
        of target: ChainTarget, _ request: QueryRequest, _ from: LedgerSize, _ to: LedgerSize
    ) throws(Problem) -> Query {
        for name in ["limit", "cursor"] where request.parameters[name] != nil {
            throw .badParameter(name, "the chain of one target has no pages")
        }
        let direction = try request.parameters.choice(
            "direction", of: ChainRequest.Direction.self)
        let chain = ChainRequest(
            target, direction: direction ?? .both, limits: try request.parameters.chainLimits())
        let ledger = try LedgerAtSize(request)
        return Query { (context) throws(Problem) in
            let (before, after) = (
                try context.source(ledger.at(from)), try context.source(ledger.at(to))
            )
            let diff = try context.searching { () throws(PacketSearch.Failure) -> ChainDiff? in
                if case .packet(let id) = target, try after.position(of: id) == nil { return nil }
                return ChainDiff(
                    from: try Chain(chain, in: before), to: try Chain(chain, in: after))
            }
            guard let diff else { throw context.unknown("the packet") }
            return Answer { diff.write(to: &$0) }
        }
    }

    /// The packets that came and match the filters, and what was disputed meanwhile.
    private static func list(
        _ request: QueryRequest, _ from: LedgerSize, _ to: LedgerSize
    ) throws(Problem) -> Query {
        let parameters = request.parameters
        let filter = try parameters.filter()
        let map = try request.map()
        let current = map.head.size
        let list = try ListRequest(
            parameters, query: "diff \(from) \(to) \(parameters.filterText)", current: to)
        let start = max(list.range.lowerBound, from.entries)
        let range = start..<max(start, to.entries)
        // Disputes are about entities and traces, and are not paged.
        let others = Parameters.filters.subtracting(["entity_type", "entity_id", "trace_id"])
        let listsDisputes =
            parameters["cursor"] == nil && others.allSatisfy { parameters.all($0).isEmpty }
        return Query { (context) throws(Problem) in
            let index = try context.index(reflecting: current)
            let source = LedgerChainSource(
                map, index, size: to, context.ledger.packetCache, until: context.deadline)
            let (page, disputes) = try context.searching { () throws(PacketSearch.Failure) in
                let page = try PacketSearch(map, index, filter).page(
                    in: range, list.limits(until: context.deadline))
                guard listsDisputes else { return (page, nil as LedgerConflictSearch.Page?) }
                let disputes = try LedgerConflictSearch(map, index, source, kinds: [], filter).page(
                    in: range, from: nil, isDescending: false,
                    PacketSearch.Limits(
                        packets: QueryLimits.pageMax, payloadBytes: QueryLimits.pageBytes,
                        deadline: context.deadline))
                if page.isCut || disputes.isCut, context.isBrief { throw .wouldBlock }
                return (page, disputes)
            }
            return Answer { json in
                json.beginObject()
                json.member("from", from.entries)
                json.member("to", to.entries)
                json.key("packets")
                json.array(page.found) { $1.packet($0.record, $0.entity) }
                if let disputes {
                    json.key("conflicts")
                    json.array(disputes.found) { $0.write(outcomesMax: 20, to: &$1) }
                    json.member("conflicts_complete", disputes.next == nil)
                }
                json.next(list.cursor(page.next), isCut: page.isCut)
                if let damage = page.damage { json.damaged(damage) }
                json.endObject()
            }
        }
    }
}

extension Parameters {
    /// A packet, an entity or a trace, if that and nothing else is asked for.
    func chainTarget() throws(Problem) -> ChainTarget? {
        let given = Self.filters.filter { !all($0).isEmpty }
        if self["packet"] != nil {
            guard given.isEmpty else {
                throw .badParameter("packet", "stands alone: without \(given.sorted()[0])")
            }
            return .packet(try id("packet"))
        }
        let filter = try filter().wanted
        if given == ["trace_id"], filter.traceIDs.count == 1 { return .trace(filter.traceIDs[0]) }
        if given == ["entity_type", "entity_id"], filter.entityTypes.count == 1,
            filter.entityIDs.count == 1
        {
            return .entity(filter.entityTypes[0], filter.entityIDs[0])
        }
        return nil
    }
}
