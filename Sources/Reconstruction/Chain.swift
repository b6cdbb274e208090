package import LedgerFormat

/// How something came about: the packets that lead to it (or that it led to), their reasoning step
/// by step, the evidence, and the conflicts. A pure function of the request and of the ledger at a
/// given size.
package struct Chain: Sendable {
    let request: ChainRequest
    let size: LedgerSize
    /// Ordered so that parents come first.
    let packets: [Entry]
    let edges: [ChainEdge]
    let steps: [ChainStep]
    let evidence: [Evidence]
    let conflicts: [ChainConflict]
    /// What is said about the packets, and about those who say it.
    let amendments: [(amendment: Amendment, isInForce: Bool)]
    let cyclesCut: [(from: Position, to: Position)]
    let reasons: [IncompleteReason]
    let frontier: [FrontierItem]
    /// The ids of packets that edges lead to by a hash or an entity and that were not walked.
    let namesOutside: [Position: UUID128]
    /// Proof that these packets are in the ledger, if requested.
    package var proofs: Proofs?
    /// The rows of the packets' entities as a JSON value, if requested.
    package var rows: [UInt8]?
    /// What changed since an earlier size, if requested. A box, as a chain cannot contain chains.
    private var change: [ChainDiff] = []
    /// Whether it came to where it was expected, if requested.
    package var expected: Expectation?

    package var changed: ChainDiff? {
        get { change.first }
        set { change = newValue.map { [$0] } ?? [] }
    }

    /// The tree's root at the chain's size, and each packet's path to it, starting with the leaf's
    /// sibling.
    package struct Proofs: Sendable {
        let root: Digest
        let inclusion: [Position: [Digest]]

        package init(root: Digest, inclusion: [Position: [Digest]]) {
            (self.root, self.inclusion) = (root, inclusion)
        }
    }

    /// The packets' distinct entities, in the chain's order.
    package var entities: [(type: String, id: UUID128)] {
        var seen: Set<String> = []
        return packets.map(\.packet).filter {
            seen.insert("\($0.entityType) \($0.entityID)").inserted
        }.map { ($0.entityType, $0.entityID) }
    }

    /// Positions and entry hashes of everything cited: the packets, then others that amend them.
    package var entries: [(position: Position, hash: Digest)] {
        (packets.map(\.packet) + amenders).map { ($0.position, $0.entryHash) }
    }

    /// The packets that amend others and were not walked, by position.
    var amenders: [ChainPacket] {
        var known = Set(packets.map(\.packet.position))
        return amendments.map(\.amendment.child).filter { known.insert($0.position).inserted }
    }

    package var payloadBytes: Int { packets.reduce(0) { $0 + $1.packet.payload.count } }
    package var isComplete: Bool { reasons.isEmpty }

    struct Entry: Sendable {
        /// Starts at 1.
        let order: Int
        let packet: ChainPacket
        let depth: Int
        /// Whether it builds on a retracted packet; nil if that was not looked for to the end.
        let isTainted: Bool?
        let standing: Standing.State
    }

    struct Evidence: Sendable {
        let digest: String
        private var citations = DistinctValues<Citation>()
        private var stated = DistinctValues<Statement>()

        var citedBy: [Citation] { citations.all }
        /// What each packet that lists it says of it.
        var statements: [Statement] { stated.all }

        struct Statement: Hashable, Sendable {
            let packet: UUID128
            let members: [RepeatedMember]
        }

        fileprivate init(digest: String) { self.digest = digest }

        fileprivate mutating func cite(by citer: Citation, _ item: EvidenceItem?) {
            citations.append(citer)
            guard let item else { return }
            stated.append(Statement(packet: citer.packet, members: item.members))
        }

        /// The members on which all agree who state them.
        var agreed: [RepeatedMember] {
            var agreed: [RepeatedMember] = []
            for statement in statements {
                for member in statement.members {
                    guard let first = agreed.firstIndex(where: { $0.name == member.name }) else {
                        agreed.append(member)
                        continue
                    }
                    if agreed[first] != member { return [] }
                }
            }
            return agreed
        }

        /// Whether those who state a member contradict each other.
        var isContested: Bool { agreed.isEmpty && statements.contains { !$0.members.isEmpty } }
    }

    /// Walks a ledger. Blocks if the source does.
    package init<Source: ChainSource>(
        _ request: ChainRequest, in source: Source
    ) throws(Source.Failure) {
        self.request = request
        size = source.size
        let book = EdgeBook(source)
        var walk = ChainWalk(source, request.limits, book)
        try walk.run(request)
        let order = try ChainOrder(walk.walked.keys, walk.edges, source.spend)
        let walked = order.positions.map { walk.walked[$0]! }
        let table = PacketTable(walked.map(\.packet))
        let standings = StandingBook(source, book)
        var search = ConflictSearch(source, table, walk.edges, request.target, standings)
        try search.run()
        let taint = try TaintSearch(
            table.packets, in: source, book, standings, packetsMax: request.limits.packets)
        edges = Self.ordered(walk.edges, table)
        let sequence = try StepSequence(
            table.packets, parents: Self.parents(edges, table), source.spend)
        steps = sequence.steps
        var packets: [Entry] = []
        for walked in walked {
            let position = walked.packet.position
            packets.append(
                Entry(
                    order: packets.count + 1, packet: walked.packet, depth: walked.depth,
                    isTainted: taint.unknown.contains(position)
                        ? nil : taint.tainted.contains(position),
                    standing: search.states[position] ?? .current))
        }
        self.packets = packets
        let amendments = try standings.allAmendments(of: table.packets)
        self.amendments = Array(amendments.prefix(ChainLimits.conflictsMax))
        evidence = try Self.evidence(of: table.packets, source.spend)
        let conflicts = search.conflicts + sequence.conflicts
        self.conflicts = Array(conflicts.prefix(ChainLimits.conflictsMax))
        cyclesCut = order.cut
        frontier = walk.frontier
        namesOutside = try Self.names(outside: table, edges, source)
        var reasons = walk.reasons
        if !order.cut.isEmpty { reasons.insert(.cyclesCut) }
        if standings.isLimited || amendments.count > ChainLimits.conflictsMax {
            reasons.insert(.maxPackets)
        }
        if conflicts.count > ChainLimits.conflictsMax { reasons.insert(.maxConflicts) }
        self.reasons = IncompleteReason.allCases.filter(reasons.contains)
    }

    /// Edges ordered by child, then by the reference's place in it.
    private static func ordered(_ edges: [ChainEdge], _ table: PacketTable) -> [ChainEdge] {
        edges.indices.map { index in
            let edge = edges[index]
            return (table.place(of: edge.from)!, edge.reference.index, index)
        }.sorted { ($0.0, $0.1) < ($1.0, $1.1) }.map { edges[$0.2] }
    }

    /// For each packet, what it was derived from: distinct packets, or nodes of their reasoning.
    private static func parents(
        _ edges: [ChainEdge], _ table: PacketTable
    ) -> [[StepSequence.Parent]] {
        var parents: [[StepSequence.Parent]] = Array(repeating: [], count: table.packets.count)
        // The edges of one child are adjacent.
        var (last, known): (Position?, Set<StepSequence.Parent.Key>) = (nil, [])
        for edge in edges where edge.order != .self {
            if edge.from != last { (last, known) = (edge.from, []) }
            guard let child = table.place(of: edge.from),
                let packet = edge.to.flatMap({ table[$0] })
            else { continue }
            let parent = StepSequence.Parent(packet: packet, reference: edge.reference)
            if known.insert(parent.key).inserted { parents[child].append(parent) }
        }
        return parents
    }

    private static func names<Source: ChainSource>(
        outside table: PacketTable, _ edges: [ChainEdge], _ source: Source
    ) throws(Source.Failure) -> [Position: UUID128] {
        var names: [Position: UUID128] = [:]
        for edge in edges where edge.foundBy == .hash || edge.foundBy == .entity {
            guard let to = edge.to, table[to] == nil, names[to] == nil else { continue }
            names[to] = try source.packet(at: to)?.stardustID
        }
        return names
    }

    private static func evidence<Failure: Error>(
        of packets: [ChainPacket], _ spend: (Int) throws(Failure) -> Void
    ) throws(Failure) -> [Evidence] {
        var (items, places): ([Evidence], [String: Int]) = ([], [:])
        func cite(_ digest: String, by citer: Citation, _ item: EvidenceItem? = nil) {
            let place = places[digest] ?? items.count
            if place == items.count {
                places[digest] = place
                items.append(Evidence(digest: digest))
            }
            items[place].cite(by: citer, item)
        }
        for packet in packets {
            try spend(packet.evidence.count)
            var named: [ExactText: EvidenceItem] = [:]
            for item in packet.evidence {
                cite(item.digest, by: Citation(packet.stardustID), item)
                if let id = item.id, named[id] == nil { named[id] = item }
            }
            for node in packet.decision?.nodes ?? [] {
                try spend(node.evidence.count)
                for name in node.evidence {
                    let named = named[name]
                    let text = name.description
                    let isDigest = text.hasPrefix("sha256:") || text.hasPrefix("blake3:")
                    guard let digest = named?.digest ?? (isDigest ? text : nil) else { continue }
                    cite(digest, by: Citation(packet.stardustID, node.id))
                }
            }
        }
        return items
    }
}
