internal import LedgerFormat
internal import LedgerIndex
internal import LedgerStorage
internal import Packets
internal import Reconstruction
internal import StardustCore

/// What no longer stands, or is disputed.
enum StandingQueries {
    static let parameters: Endpoint.ParameterNames = .some(names)

    static let names: Set<String> = ListRequest.parameters.union(filters)

    private static let filters: Set<String> = [
        "kind", "entity_type", "entity_id", "trace_id", "received_from", "received_before",
    ]

    /// What a conflict can be.
    private enum Kind: String, CaseIterable {
        case retracted, superseded, revised, contradicted
    }

    static func conflicts(_ request: QueryRequest) throws(Problem) -> Query {
        let parameters = request.parameters
        let filter = try parameters.filter()
        let kinds = Set(parameters.all("kind"))
        for kind in kinds.sorted() where Kind(rawValue: kind) == nil {
            let known = Kind.allCases.map(\.rawValue).joined(separator: ", ")
            throw .badParameter("kind", "\(kind) is not one of \(known)")
        }
        let map = try request.map()
        let current = map.head.size
        let text = filters.sorted().flatMap { name in
            parameters.all(name).map { "\(name)=\($0)" }
        }
        let list = try PlacedList(
            parameters, query: "conflicts " + text.joined(separator: "\n"), current: current)
        return Query { (context) throws(Problem) in
            let index = try context.index(reflecting: current)
            let source = LedgerChainSource(
                map, index, size: list.size, context.ledger.packetCache, until: context.deadline)
            let search = LedgerConflictSearch(map, index, source, kinds: kinds, filter)
            let page = try context.searching { () throws(PacketSearch.Failure) in
                let page = try search.page(
                    in: list.range, from: list.from, isDescending: list.isDescending,
                    list.limits(until: context.deadline))
                if page.isCut, context.isBrief { throw .wouldBlock }
                return page
            }
            return shown(page, list, damage: map.damage)
        }
    }

    private static func shown(
        _ page: LedgerConflictSearch.Page, _ list: PlacedList, damage: Finding?
    ) -> Answer {
        Answer { json in
            json.beginObject()
            json.member("ledger_size", list.size.entries)
            json.key("conflicts")
            json.array(page.found) { $0.write(outcomesMax: outcomesMax, to: &$1) }
            json.key("next")
            if let next = page.next { json.string(list.cursor(next)) } else { json.null() }
            if page.isCut { json.member("cut", true) }
            if let damage { json.damaged(damage) }
            json.endObject()
        }
    }

    /// Outcomes that are listed for each conflict.
    private static let outcomesMax = 20
}
