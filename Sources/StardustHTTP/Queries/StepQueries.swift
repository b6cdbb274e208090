internal import LedgerFormat
internal import LedgerIndex
internal import LedgerStorage
internal import Packets
internal import Reconstruction
internal import StardustCore

/// Steps of reasoning, wherever they are.
enum StepQueries {
    static let parameters: Endpoint.ParameterNames = .some(names)

    static let names: Set<String> = ListRequest.parameters.union(filters)

    /// Those that may be given again, which means any of the values.
    static let repeatable: Set<String> = [
        "agent", "kind", "vote_of", "option", "chosen", "status", "text", "entity_type",
        "entity_id", "trace_id",
    ]

    private static let filters = repeatable.union(["group_by"]).union([
        "confidence_below", "created_from", "created_before", "received_from", "received_before",
    ])

    static func steps(_ request: QueryRequest) throws(Problem) -> Query {
        let parameters = request.parameters
        var filter = try parameters.filter()
        var steps = try wish(parameters, texts: filter.wanted.texts)
        filter.wanted.texts = []
        let map = try request.map()
        let current = map.head.size
        let text = filters.sorted().flatMap { name in
            parameters.all(name).map { "\(name)=\($0)" }
        }
        let list = try PlacedList(
            parameters, query: "steps " + text.joined(separator: "\n"), current: current)
        let packets = filter
        let keys = try parameters.groupKeys(of: GroupKey.ofSteps)
        steps.wantsVotes = keys.contains(where: \.isOfVotes)
        let wanted = steps
        return Query { (context) throws(Problem) in
            let index = try context.index(reflecting: current)
            let source = LedgerChainSource(
                map, index, size: list.size, context.ledger.packetCache, until: context.deadline)
            let search = StepSearch(map, index, source, wanted, packets)
            if !keys.isEmpty {
                try context.mayWait()
                let counted = try context.searching { () throws(PacketSearch.Failure) in
                    try search.count(
                        in: list.range, by: keys, isDescending: list.isDescending,
                        until: context.deadline)
                }
                return GroupAnswer(size: list.size, isScan: search.isScan, damage: map.damage)
                    .answer(counted.count, next: counted.cut.map(list.cursor))
            }
            let page = try context.searching { () throws(PacketSearch.Failure) in
                let page = try search.page(
                    in: list.range, from: list.from, isDescending: list.isDescending,
                    list.limits(until: context.deadline))
                if page.isCut, context.isBrief { throw .wouldBlock }
                return page
            }
            return shown(page, list, isScan: search.isScan, damage: map.damage)
        }
    }

    private static func wish(
        _ parameters: Parameters, texts: [TextPattern]
    ) throws(Problem) -> StepFilter {
        var filter = StepFilter()
        filter.agents = StepFilter.Names(parameters.all("agent"))
        filter.kinds = StepFilter.Names(parameters.all("kind"))
        filter.voters = StepFilter.Names(parameters.all("vote_of"))
        filter.options = StepFilter.Names(parameters.all("option"))
        filter.chosen = StepFilter.Names(parameters.all("chosen"))
        filter.statuses = StepFilter.Names(parameters.all("status"))
        filter.texts = texts
        if let text = parameters["confidence_below"] {
            guard text.wholeMatch(of: /-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?/) != nil,
                let bound = Double(text), bound.isFinite
            else {
                throw .badParameter("confidence_below", "\(text) is not a number, such as 0.5")
            }
            filter.confidenceBelow = bound
        }
        return filter
    }

    private static func shown(
        _ page: StepSearch.Page, _ list: PlacedList, isScan: Bool, damage: Finding?
    ) -> Answer {
        Answer { json in
            json.beginObject()
            json.member("ledger_size", list.size.entries)
            if isScan { json.member("scanned", true) }
            json.key("steps")
            json.array(page.found) { $0.write(to: &$1) }
            json.key("next")
            if let next = page.next {
                json.string(list.cursor(next))
            } else {
                json.null()
            }
            if page.isCut { json.member("cut", true) }
            if let damage { json.damaged(damage) }
            json.endObject()
        }
    }
}
