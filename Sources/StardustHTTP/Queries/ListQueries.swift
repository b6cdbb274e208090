internal import LedgerFormat
internal import LedgerIndex
internal import LedgerStorage
internal import Packets
internal import Reconstruction
internal import StardustCore

/// Lists of packets.
enum ListQueries {
    static let parameters: Endpoint.ParameterNames = .some(ListRequest.parameters)
    static let findParameters: Endpoint.ParameterNames = .some(
        ListRequest.parameters.union(Parameters.filters).union(["count", "group_by"]))

    static func entityPackets(_ request: QueryRequest) throws(Problem) -> Query {
        var filter = PacketFilter()
        let (type, id) = (request.variables.text("type"), request.variables.id("id"))
        (filter.wanted.entityTypes, filter.wanted.entityIDs) = ([type], [id])
        return try list(request, filter, "entity \(type) \(id)")
    }

    static func tracePackets(_ request: QueryRequest) throws(Problem) -> Query {
        var filter = PacketFilter()
        let id = request.variables.id("trace_id")
        filter.wanted.traceIDs = [id]
        return try list(request, filter, "trace \(id)")
    }

    static func find(_ request: QueryRequest) throws(Problem) -> Query {
        let parameters = request.parameters
        let keys = try parameters.groupKeys(of: GroupKey.ofPackets)
        guard keys.isEmpty else { return try groups(request, keys) }
        return try list(
            request, try parameters.filter(), "find \(parameters.filterText)",
            counts: try parameters.boolean("count"))
    }

    private static func list(
        _ request: QueryRequest, _ filter: PacketFilter, _ query: String, counts: Bool = false
    ) throws(Problem) -> Query {
        let map = try request.map()
        let current = map.head.size
        let list = try ListRequest(request.parameters, query: query, current: current)
        var query = Query { (context) throws(Problem) in
            let index = try context.index(reflecting: current)
            let search = PacketSearch(map, index, filter)
            return try context.searching { () throws(PacketSearch.Failure) in
                let page = try search.page(
                    in: list.range, isDescending: list.isDescending,
                    list.limits(until: context.deadline))
                if page.isCut, context.isBrief { throw .wouldBlock }
                let total =
                    counts
                    ? try search.count(in: 0..<list.size.entries, until: context.deadline) : nil
                return shown(page, list, total: total)
            }
        }
        query.isBrief = !counts && list.limit <= QueryLimits.briefPackets
        return query
    }

    private static func groups(
        _ request: QueryRequest, _ keys: [GroupKey]
    ) throws(Problem) -> Query {
        let filter = try request.parameters.filter()
        let map = try request.map()
        let current = map.head.size
        let text = keys.map(\.rawValue).joined(separator: ",")
        let list = try ListRequest(
            request.parameters, query: "groups \(text) \(request.parameters.filterText)",
            current: current)
        var query = Query { (context) throws(Problem) in
            let index = try context.index(reflecting: current)
            let source = LedgerChainSource(
                map, index, size: list.size, context.ledger.packetCache, until: context.deadline)
            let search = PacketSearch(map, index, filter)
            let counted = try context.searching { () throws(PacketSearch.Failure) in
                try search.count(
                    in: list.range, by: keys, source, isDescending: list.isDescending,
                    until: context.deadline)
            }
            return GroupAnswer(size: list.size, isScan: search.isScan, damage: counted.damage)
                .answer(counted.count, next: list.cursor(counted.cut)?.text)
        }
        query.isBrief = false
        return query
    }

    private static func shown(
        _ page: PacketSearch.Page, _ list: ListRequest,
        total: (count: Int, isExact: Bool, damage: Finding?)?
    ) -> Answer {
        Answer { json in
            json.reserve(page.found.reduce(256) { $0 + $1.record.payload.count + 512 })
            json.beginObject()
            json.member("ledger_size", list.size.entries)
            if let total {
                json.member("total", total.count)
                json.member("total_exact", total.isExact)
            }
            json.key("packets")
            json.beginArray()
            for found in page.found { json.packet(found.record, found.entity) }
            json.endArray()
            json.next(list.cursor(page.next), isCut: page.isCut)
            if let damage = page.damage ?? total?.damage { json.damaged(damage) }
            if !page.notCompared.isEmpty {
                json.key("not_compared")
                json.array(page.notCompared) { $1.integer($0.value) }
            }
            json.endObject()
        }
    }
}

extension JSONWriter {
    /// Writes the end of a page: where the next one begins, and whether time ran out.
    mutating func next(_ cursor: PageCursor?, isCut: Bool = false) {
        key("next")
        if let cursor { string(cursor.text) } else { null() }
        if isCut { member("cut", true) }
    }

    /// Says that packets may be missing from a list because they cannot be read.
    mutating func damaged(_ finding: Finding) {
        member("damaged", true)
        member("damage", finding.description)
    }
}
