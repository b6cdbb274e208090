internal import LedgerFormat
internal import LedgerIndex
internal import LedgerStorage
internal import Packets
internal import Platform
internal import Reconstruction
internal import StardustCore

/// Which proofs a chain carries that its packets are in the ledger.
private enum ChainProofs: String, CaseIterable {
    case none, inclusion
}

/// Whole chains.
enum ChainQueries {
    static let parameters: Endpoint.ParameterNames = .some(names)

    static let names: Set<String> = [
        "direction", "max_depth", "max_packets", "as_of", "format", "layout", "proofs", "rows",
        "changed_since", "expect",
    ]

    static func packetChain(_ request: QueryRequest) throws(Problem) -> Query {
        try chain(request, .packet(request.variables.id("stardust_id")))
    }

    static func entityChain(_ request: QueryRequest) throws(Problem) -> Query {
        try chain(request, .entity(request.variables.text("type"), request.variables.id("id")))
    }

    static func traceChain(_ request: QueryRequest) throws(Problem) -> Query {
        try chain(request, .trace(request.variables.id("trace_id")))
    }

    /// A chain whose target is among the parameters.
    static func chain(_ request: QueryRequest) throws(Problem) -> Query {
        guard let target = try request.parameters.chainTarget() else {
            throw .badParameter(
                "packet", "is missing: give packet, trace_id, or entity_type with entity_id")
        }
        return try chain(request, target)
    }

    /// What a request for a chain specifies, apart from its target.
    private struct Wish {
        var request: ChainRequest
        var format: ChainFormat
        var layout: GraphLayout
        var wantsRows: Bool
        var wantsProofs: Bool
        /// The entity type that it should have come to.
        var expected: String?

        init(_ parameters: Parameters, _ target: ChainTarget) throws(Problem) {
            format = try parameters.choice("format", of: ChainFormat.self) ?? .json
            layout = try parameters.choice("layout", of: GraphLayout.self) ?? .portrait
            request = ChainRequest(
                target,
                direction: try parameters.choice("direction", of: ChainRequest.Direction.self)
                    ?? .upstream, limits: try parameters.chainLimits())
            wantsRows = try parameters.boolean("rows")
            guard !wantsRows || format == .json else {
                throw .badParameter(
                    "rows", "only a chain in JSON carries rows; use format=json")
            }
            expected = parameters["expect"]
            if let expected, !EntityTypes.mayBe(expected) {
                throw .badParameter("expect", "no packet can have the type \(expected)")
            }
            for name in ["expect", "changed_since"] where parameters[name] != nil && format != .json
            {
                throw .badParameter(name, "only a chain in JSON says so; use format=json")
            }
            wantsProofs = try parameters.choice("proofs", of: ChainProofs.self) == .inclusion
        }
    }

    private static func chain(
        _ request: QueryRequest, _ target: ChainTarget
    ) throws(Problem) -> Query {
        let wish = try Wish(request.parameters, target)
        let ledger = try LedgerAtSize(request)
        let since = try request.parameters.size("changed_since", upTo: ledger.size)
        let query = Query { (context) throws(Problem) in
            let source = try context.source(ledger)
            if case .packet(let id) = target {
                let position = try context.searching { () throws(PacketSearch.Failure) in
                    try source.position(of: id)
                }
                guard position != nil else { throw context.unknown("the packet \(id)") }
            }
            let earlier = try since.map { (size) throws(Problem) in
                try context.source(ledger.at(size))
            }
            return try answer(wish, source, since: earlier, context)
        }
        return query.awaiting(wish.wantsProofs ? request.unpublished(ledger.size) : nil)
    }

    private static func answer(
        _ wish: Wish, _ source: LedgerChainSource, since earlier: LedgerChainSource?,
        _ context: QueryContext
    ) throws(Problem) -> Answer {
        var chain = try context.searching { () throws(PacketSearch.Failure) in
            var chain = try Chain(wish.request, in: source)
            if let earlier {
                chain.changed = ChainDiff(from: try Chain(wish.request, in: earlier), to: chain)
            }
            if let type = wish.expected {
                chain.expected = try Expectation(type, of: wish.request.target, in: source)
            }
            return chain
        }
        if wish.wantsProofs {
            let entries = chain.entries
            let (root, paths) = try context.proofs(at: source.size, of: entries)
            let inclusion = zip(entries.map(\.position), paths)
            chain.proofs = Chain.Proofs(
                root: root, inclusion: Dictionary(uniqueKeysWithValues: inclusion))
        }
        if wish.wantsRows { chain.rows = try context.rows(of: chain.entities) }
        let bytesMax = context.isBrief ? QueryLimits.briefBytes : ChainLimits.documentBytesMax
        if context.isBrief, chain.payloadBytes > bytesMax { throw .wouldBlock }
        guard
            let document = chain.rendered(
                wish.format, wish.layout, of: context.ledger.identity.ledgerID, bytesMax: bytesMax)
        else {
            try context.mayWait()
            var problem = Problem(
                .answerTooLarge,
                "the document would exceed \(bytesMax) bytes; ask for less, with max_depth or "
                    + "max_packets")
            problem.limit = bytesMax
            throw problem
        }
        return Answer(200, wish.format.contentType, document)
    }
}

/// The ledger at the size a request asks for.
struct LedgerAtSize: Sendable {
    let map: LedgerMap
    let current: LedgerSize
    let size: LedgerSize

    init(_ request: QueryRequest) throws(Problem) {
        map = try request.map()
        current = map.head.size
        size = try request.parameters.size(upTo: current)
    }

    /// The same ledger at another size.
    func at(_ size: LedgerSize) -> LedgerAtSize { LedgerAtSize(map, current, size) }

    private init(_ map: LedgerMap, _ current: LedgerSize, _ size: LedgerSize) {
        (self.map, self.current, self.size) = (map, current, size)
    }
}

extension QueryContext {
    /// The ledger's packets, as a source for chains.
    func source(_ ledger: LedgerAtSize) throws(Problem) -> LedgerChainSource {
        LedgerChainSource(
            ledger.map, try index(reflecting: ledger.current), size: ledger.size,
            self.ledger.packetCache, until: deadline)
    }
}

extension Parameters {
    func count(_ name: String, upTo limit: Int) throws(Problem) -> Int? {
        try number(name, in: 1...UInt64(limit)).map { Int($0) }
    }

    func choice<Choice: RawRepresentable<String> & CaseIterable>(
        _ name: String, of: Choice.Type
    ) throws(Problem) -> Choice? {
        guard let text = self[name] else { return nil }
        guard let choice = Choice(rawValue: text) else {
            let names = Choice.allCases.map(\.rawValue).joined(separator: ", ")
            throw .badParameter(name, "\(text) is not one of \(names)")
        }
        return choice
    }
}
