internal import LedgerFormat

/// Walks from the roots level by level over parent references, keeping a set of visited packets. It
/// never enumerates paths, since even a small graph of diamonds has millions of them.
struct ChainWalk<Source: ChainSource> {
    private let source: Source
    private let limits: ChainLimits
    private let book: EdgeBook<Source>

    /// Packets by position, with their distance from the nearest root.
    private(set) var walked: [Position: WalkedPacket] = [:]
    private(set) var edges: [ChainEdge] = []
    private(set) var frontier: [FrontierItem] = []
    private(set) var reasons: Set<IncompleteReason> = []
    private var knownEdges: Set<ChainEdge.Key> = []
    private var payloadBytes = 0

    init(_ source: Source, _ limits: ChainLimits, _ book: EdgeBook<Source>) {
        self.source = source
        self.limits = limits
        self.book = book
    }

    mutating func run(_ request: ChainRequest) throws(Source.Failure) {
        var roots: [Position] = []
        try source.each(of: request.target) { position in
            roots.append(position)
            return roots.count <= limits.packets
        }
        var level: [ChainPacket] = []
        for root in roots {
            guard let packet = try visit(root, depth: 0, named: nil) else { continue }
            level.append(packet)
        }
        if request.direction != .downstream { try walkUp(level) }
        if request.direction != .upstream {
            try walkDown(level)
            try connect()
        }
        if source.isPartlyUnindexed { reasons.insert(.unindexed) }
    }

    /// The packet at a position, added to the walk if it is new. Nil if the entry is not a packet,
    /// or if a limit excludes it, which is noted in `frontier`.
    private mutating func visit(
        _ position: Position, depth: Int, named by: Position?
    ) throws(Source.Failure) -> ChainPacket? {
        if let known = walked[position] {
            walked[position]!.depth = min(known.depth, depth)
            return known.packet
        }
        let reason: IncompleteReason? =
            depth > limits.depth
            ? .maxDepth
            : walked.count >= limits.packets
                ? .maxPackets : payloadBytes > ChainLimits.payloadBytesMax ? .maxBytes : nil
        if let reason {
            stop(FrontierItem(position: position, from: by, reason: reason))
            return nil
        }
        guard let packet = try source.packet(at: position) else { return nil }
        payloadBytes += packet.payload.count
        walked[position] = WalkedPacket(packet: packet, depth: depth)
        return packet
    }

    private mutating func stop(_ item: FrontierItem) {
        reasons.insert(item.reason)
        frontier.append(item)
    }

    private mutating func walkUp(_ roots: [ChainPacket]) throws(Source.Failure) {
        var (level, depth) = (roots, 0)
        var visited = Set(roots.map(\.position))
        while !level.isEmpty {
            depth += 1
            var next: [ChainPacket] = []
            for child in level {
                for edge in try book.edges(of: child) {
                    take(edge)
                    guard let parent = edge.to else {
                        if edge.foundBy == .none {
                            stop(
                                FrontierItem(
                                    position: nil, from: child.position, reason: .missingParents,
                                    reference: edge.reference, later: try later(edge.reference)))
                        }
                        continue
                    }
                    guard visited.insert(parent).inserted else { continue }
                    if let packet = try visit(parent, depth: depth, named: child.position) {
                        next.append(packet)
                    }
                }
            }
            level = next
        }
    }

    /// The newest packet of the entity that a reference names, if it names nothing else: none came
    /// before the child.
    private func later(_ reference: ParentReference) throws(Source.Failure) -> Position? {
        guard reference.id == nil, reference.hash == nil, let entity = reference.entity else {
            return nil
        }
        return try source.position(
            ofEntity: entity.type, entity.id, before: source.size.nextPosition)
    }

    private mutating func walkDown(_ roots: [ChainPacket]) throws(Source.Failure) {
        let source = source
        var (level, depth) = (roots, 0)
        var visited = Set(roots.map(\.position))
        while !level.isEmpty {
            depth += 1
            var next: [ChainPacket] = []
            for parent in level {
                var isFull = false
                try source.eachChild(of: parent) { (candidate) throws(Source.Failure) in
                    try followChild(candidate, of: parent, depth, &visited, &next, &isFull)
                    return true
                }
            }
            level = next
        }
    }

    /// Continues to a packet that may be a child. Once a limit excludes one child, it would exclude
    /// this parent's other unwalked children too.
    private mutating func followChild(
        _ candidate: Position, of parent: ChainPacket, _ depth: Int,
        _ visited: inout Set<Position>, _ next: inout [ChainPacket], _ isFull: inout Bool
    ) throws(Source.Failure) {
        guard !visited.contains(candidate) else { return }
        let known = walked[candidate]?.packet
        if known == nil, isFull { return }
        let read = known == nil ? try source.packet(at: candidate) : known
        guard let child = read,
            try book.edges(of: child).contains(where: { $0.to == parent.position })
        else { return }
        if known != nil, depth > limits.depth {
            // The other direction walked it. Beyond the limit, this one does not continue from it.
            visited.insert(candidate)
            return stop(
                FrontierItem(position: candidate, from: parent.position, reason: .maxDepth))
        }
        guard let packet = try visit(candidate, depth: depth, named: parent.position) else {
            isFull = true
            return
        }
        visited.insert(candidate)
        next.append(packet)
    }

    /// Adds the edges between walked packets, whichever direction found the packets.
    private mutating func connect() throws(Source.Failure) {
        for position in walked.keys.sorted() {
            for edge in try book.edges(of: walked[position]!.packet)
            where edge.to.map({ walked[$0] != nil }) == true {
                take(edge)
            }
        }
    }

    private mutating func take(_ edge: ChainEdge) {
        if knownEdges.insert(edge.key).inserted { edges.append(edge) }
    }
}

/// Declared outside the generic walk, so that its type does not differ by source.
struct WalkedPacket {
    var packet: ChainPacket
    var depth: Int
}

/// Why a document is incomplete.
enum IncompleteReason: String, CaseIterable, Sendable {
    case missingParents = "missing_parents"
    case cyclesCut = "cycles_cut"
    case maxDepth = "max_depth"
    case maxPackets = "max_packets"
    case maxBytes = "max_bytes"
    case maxConflicts = "max_conflicts"
    case unindexed
}

/// A packet or reference that was not followed.
struct FrontierItem: Sendable {
    /// Nil if the ledger does not have it.
    var position: Position?
    /// The packet whose reference leads there or, when walking downstream, the parent.
    var from: Position?
    var reason: IncompleteReason
    var reference: ParentReference?
    /// The newest packet of the entity that the reference names, which came after the child.
    var later: Position?
}
