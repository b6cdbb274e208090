internal import LedgerFormat
internal import LedgerIndex
internal import LedgerStorage
internal import Packets
internal import Platform
internal import Reconstruction
internal import StardustCore

/// What a chain carries to show that its packets are the ledger's.
private enum ChainProofs: String, CaseIterable {
    case none, inclusion
}

/// How packets hang together: direct edges, and whole chains.
extension Librarian {
    // MARK: Chains

    static let chainParameters: Set = [
        "direction", "max_depth", "max_packets", "as_of", "format", "proofs",
        "rows",
    ]

    func chain(_ target: ChainTarget, _ query: Substring?) throws(Problem) -> Answer {
        let parameters = try Parameters(query: query, known: Self.chainParameters)
        let format = try parameters.choice("format", of: ChainFormat.self) ?? .json
        var limits = ChainLimits()
        limits.depth = try parameters.count("max_depth", upTo: ChainLimits.depthMax) ?? limits.depth
        limits.packets =
            try parameters.count("max_packets", upTo: ChainLimits.packetsMax) ?? limits.packets
        let request = ChainRequest(
            target,
            direction: try parameters.choice("direction", of: ChainRequest.Direction.self)
                ?? .upstream, limits: limits)
        let source = try source(parameters)
        if case .packet(let id) = target,
            try searching({ () throws(PacketSearch.Failure) in try source.position(of: id) })
                == nil
        {
            throw .unknown("the packet \(id)")
        }
        let wantsRows = try parameters.boolean("rows")
        guard !wantsRows || format == .json else {
            throw .badParameter("rows", "only a chain as JSON carries rows; ask with format=json")
        }
        let wantsProofs = try parameters.choice("proofs", of: ChainProofs.self) == .inclusion
        var chain = try searching { () throws(PacketSearch.Failure) in
            try Chain(request, in: source)
        }
        if wantsProofs {
            let entries = chain.entries
            let (root, paths) = try proofs(at: source.size, of: entries)
            let inclusion = zip(entries.map(\.position), paths)
            chain.proofs = Chain.Proofs(
                root: root, inclusion: Dictionary(uniqueKeysWithValues: inclusion))
        }
        if wantsRows { chain.rows = try rows(of: chain.entities) }
        let isQuick = access == .cachedOnly
        if isQuick, chain.payloadBytes > SocketLimits.quickBytes { throw .wouldBlock }
        let bytesMax = isQuick ? SocketLimits.quickBytes : ChainLimits.documentBytesMax
        guard let document = chain.rendered(format, bytesMax: bytesMax) else {
            if isQuick { throw .wouldBlock }
            var problem = Problem(
                400, "answer_too_large",
                "the document would have more than \(bytesMax) bytes; ask for less, with max_depth "
                    + "or max_packets")
            problem.limit = bytesMax
            throw problem
        }
        return Answer(200, format.contentType, document)
    }

    /// The ledger at the size that is asked for.
    private func source(_ parameters: Parameters) throws(Problem) -> LedgerChainSource {
        let map = try readableMap()
        let current = map.head.size
        let size = try parameters.size(upTo: current)
        let deadline = deadline
        let index = try index(reflecting: current, until: deadline)
        return LedgerChainSource(
            map, index, size: size, ledger.packetCache, until: deadline)
    }

    // MARK: Edges

    /// What a packet names as its parents. Their packets are paged; an edge stands on the page of
    /// its parent, one without a packet on the first.
    func parents(of id: UUID128, _ query: Substring?) throws(Problem) -> Answer {
        let (parameters, request) = try edgeRequest("parents \(id)", query)
        let source = try source(parameters)
        let edges = try searching { () throws(PacketSearch.Failure) in
            let packet = try known(id, source)
            return try packet.map { (packet) throws(PacketSearch.Failure) in
                try source.edges(of: packet)
            }
        }
        guard let edges else { throw .unknown("the packet \(id)") }
        let positions = Set(edges.compactMap(\.to)).filter { request.range.contains($0.value) }
        let isFirst = request.range == 0..<request.size.entries
        return try page(
            positions.sorted { ($0 < $1) != request.isDescending }, request, source
        ) { shown in
            edges.filter { $0.to.map(shown.contains) ?? isFirst }
        }
    }

    /// The packets that name one as their parent, with the edges that do.
    func children(of id: UUID128, _ query: Substring?) throws(Problem) -> Answer {
        let (parameters, request) = try edgeRequest("children \(id)", query)
        let source = try source(parameters)
        var edges: [Position: [ChainEdge]] = [:]
        let positions = try searching { () throws(PacketSearch.Failure) -> [Position]? in
            guard let packet = try known(id, source) else { return nil }
            var positions: [Position] = []
            func take(_ candidate: Position) throws(PacketSearch.Failure) -> Bool {
                guard request.range.contains(candidate.value),
                    let child = try source.packet(at: candidate)
                else { return true }
                for reference in child.parents where reference.mayName(packet) {
                    let edge = try source.resolve(reference, of: child)
                    if edge.to == packet.position { edges[candidate, default: []].append(edge) }
                }
                if edges[candidate] != nil { positions.append(candidate) }
                return positions.count <= request.limit
            }
            guard request.isDescending else {
                try source.eachChild(of: packet, take)
                return positions
            }
            var candidates: [Position] = []
            try source.eachChild(of: packet) { (position) throws(PacketSearch.Failure) in
                candidates.append(position)
                return true
            }
            for candidate in candidates.reversed() {
                guard try take(candidate) else { break }
            }
            return positions
        }
        guard let positions else { throw .unknown("the packet \(id)") }
        return try page(positions, request, source) { shown in
            positions.filter(shown.contains).flatMap { edges[$0]! }
        }
    }

    private func edgeRequest(
        _ question: String, _ query: Substring?
    ) throws(Problem) -> (Parameters, ListRequest) {
        let parameters = try Parameters(query: query, known: ListRequest.parameters)
        let map = try readableMap()
        let request = try ListRequest(parameters, question: question, current: map.head.size)
        return (parameters, request)
    }

    private func known(
        _ id: UUID128, _ source: LedgerChainSource
    ) throws(PacketSearch.Failure) -> ChainPacket? {
        guard let position = try source.position(of: id) else { return nil }
        return try source.packet(at: position)
    }

    private func page(
        _ positions: [Position], _ request: ListRequest, _ source: LedgerChainSource,
        _ edges: (Set<Position>) -> [ChainEdge]
    ) throws(Problem) -> Answer {
        var (packets, bytes, next): ([ChainPacket], Int, Position?) = ([], 0, nil)
        for position in positions {
            if packets.count == request.limit || bytes > SocketLimits.pageBytes {
                next = position
                break
            }
            let packet = try searching { () throws(PacketSearch.Failure) in
                try source.packet(at: position)
            }
            guard let packet else { continue }
            bytes += packet.payload.count
            packets.append(packet)
        }
        let shown = edges(Set(packets.map(\.position)))
        return Answer { json in
            json.beginObject()
            json.member("ledger_size", Int(request.size.entries))
            json.key("edges")
            json.beginArray()
            for edge in shown { edge.write(to: &json) }
            json.endArray()
            json.key("packets")
            json.beginArray()
            for packet in packets {
                json.packet(
                    StoredRecord(
                        entry: packet.entry, entryHash: packet.entryHash, payload: packet.payload),
                    PacketEntity(type: packet.entityType, id: packet.entityID))
            }
            json.endArray()
            json.next(request.cursor(next))
            json.endObject()
        }
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
            throw .badParameter(name, "\(text) is none of \(names)")
        }
        return choice
    }
}
