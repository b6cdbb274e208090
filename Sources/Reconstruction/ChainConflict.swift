internal import LedgerFormat
internal import Packets

/// An inconsistency in the chain. It is listed, never resolved.
struct ChainConflict: Sendable {
    let kind: Kind
    /// The packets involved.
    let positions: [Position]
    let detail: String
    /// JSON Pointer into the first of them, if the conflict concerns a place in it.
    let pointer: String?

    enum Kind: String, CaseIterable, Sendable {
        /// Two packets revise the same packet.
        case fork
        /// Two packets claim to have created the same entity.
        case doubleCreated = "double_created"
        /// The same question about the same entity was answered in two different ways.
        case contradiction
        case duplicateNode = "duplicate_node"
        case unknownNodeParent = "unknown_node_parent"
        case nodeCycle = "node_cycle"
        /// The parent claims to have been created after the child.
        case parentCreatedLater = "parent_created_later"
        /// A retracted packet is still in use.
        case retracted
        /// The names in one reference do not identify the same packet.
        case reference
    }

    init(_ kind: Kind, _ positions: [Position], _ detail: String, _ pointer: String?) {
        self.kind = kind
        self.positions = positions
        self.detail = detail
        self.pointer = pointer
    }
}

/// Finds conflicts among the walked packets and the packets that directly retract, supersede or
/// revise them.
struct ConflictSearch<Source: ChainSource> {
    private let source: Source
    private let table: PacketTable
    private let edges: [ChainEdge]
    private let roots: Set<Position>
    private let book: EdgeBook<Source>

    private(set) var conflicts: [ChainConflict] = []
    /// Packets downstream of a retracted one.
    private(set) var tainted: Set<Position> = []
    /// Whether some packet has more amendments than are examined.
    private(set) var isLimited = false

    /// `roots` are the requested packets.
    init(
        _ source: Source, _ table: PacketTable, _ edges: [ChainEdge], roots: Set<Position>,
        _ book: EdgeBook<Source>
    ) {
        self.source = source
        self.roots = roots
        self.book = book
        self.table = table
        self.edges = edges
    }

    mutating func run() throws(Source.Failure) {
        let amendments = try amendments()
        var packets = table.packets
        var others: Set<Position> = []
        for child in amendments.map(\.child)
        where table[child.position] == nil && others.insert(child.position).inserted {
            packets.append(child)
        }
        packets.sort { $0.position < $1.position }
        try source.spend(packets.count + edges.count + amendments.count)
        findForks(amendments)
        findDoubleCreations(packets)
        findContradictions(packets, amendments)
        findTimes()
        findRetractions(amendments)
        for edge in edges {
            guard let detail = edge.disagreement else { continue }
            add(.reference, [edge.from], detail, pointer(edge))
        }
        try findUnknownNodes()
    }

    private mutating func add(
        _ kind: ChainConflict.Kind, _ positions: [Position], _ detail: String,
        _ pointer: String? = nil
    ) {
        // Keep one more than is listed, to know that there are more.
        guard conflicts.count <= ChainLimits.conflictsMax else { return }
        conflicts.append(ChainConflict(kind, positions, detail, pointer))
    }

    private func pointer(_ edge: ChainEdge) -> String {
        "/lineage/_meta_parents/\(edge.reference.index)"
    }

    // MARK: Amendments

    private mutating func amendments() throws(Source.Failure) -> [Amendment] {
        var found: [Amendment] = []
        // Each candidate's amendments by target: one packet may amend many.
        var amended: [Position: [Position: [Amendment]]] = [:]
        for target in table.packets {
            let before = found.count
            try source.eachAmendment(of: target) { (candidate) throws(Source.Failure) in
                if amended[candidate] == nil { amended[candidate] = try amendments(by: candidate) }
                found += amended[candidate]![target.position] ?? []
                return found.count - before <= ChainLimits.amendmentsMax
            }
            if found.count - before > ChainLimits.amendmentsMax { isLimited = true }
        }
        return found
    }

    private func amendments(
        by position: Position
    ) throws(Source.Failure) -> [Position: [Amendment]] {
        let known = table[position]
        let read = known == nil ? try source.packet(at: position) : known
        guard let child = read else { return [:] }
        let edges = try book.edges(of: child)
        try source.spend(edges.count)
        return Dictionary(
            grouping: edges.filter {
                $0.reference.isAmendment && $0.to != nil && $0.order != .self
            }.map { Amendment(child: child, edge: $0) }, by: { $0.target })
    }

    private mutating func findForks(_ amendments: [Amendment]) {
        let revisions = amendments.filter { $0.edge.relation == "revision_of" }
        for (target, group) in revisions.grouped(by: { $0.target }) {
            let revisers = Set(group.map(\.child.position)).sorted()
            guard revisers.count > 1 else { continue }
            add(
                .fork, revisers,
                "positions \(list(revisers)) each revise position \(target)")
        }
    }

    private mutating func findRetractions(_ amendments: [Amendment]) {
        let retractions = amendments.filter { $0.edge.relation == "retracts" }
        var users: [Position: [Position]] = [:]
        for edge in edges where edge.order != .self {
            guard let parent = edge.to, !["retracts", "supersedes"].contains(edge.relation) else {
                continue
            }
            users[parent, default: []].append(edge.from)
        }
        for (target, group) in retractions.grouped(by: { $0.target }) {
            let retractors = Set(group.map(\.child.position)).sorted()
            let isUsed = users[target] != nil
            guard isUsed || roots.contains(target) else { continue }
            add(
                .retracted, [target] + retractors,
                "position \(target), which \(isUsed ? "others here build on" : "was asked for"), "
                    + "was retracted by position \(list(retractors))")
            taint(downstreamOf: target, users)
        }
    }

    private mutating func taint(downstreamOf target: Position, _ users: [Position: [Position]]) {
        var pending = [target]
        while let next = pending.popLast() {
            for user in users[next] ?? [] where table[user] != nil {
                if tainted.insert(user).inserted { pending.append(user) }
            }
        }
    }

    // MARK: Entities

    private mutating func findDoubleCreations(_ packets: [ChainPacket]) {
        let created = packets.filter { packet in
            packet.event == "created" || packet.event?.hasSuffix(".created") == true
        }
        for (entity, group) in created.grouped(by: {
            EntityName(type: $0.entityType, id: $0.entityID)
        }) where group.count > 1 {
            let positions = group.map(\.position)
            add(
                .doubleCreated, positions,
                "\(entity.type)/\(entity.id) was created at positions \(list(positions))")
        }
    }

    private mutating func findContradictions(_ packets: [ChainPacket], _ amendments: [Amendment]) {
        let superseded = Set(
            amendments.filter { $0.edge.relation == "supersedes" }.map(\.target))
        var answers: [(question: Question, position: Position, chosen: ArraySlice<UInt8>)] = []
        for packet in packets where !superseded.contains(packet.position) {
            guard let key = packet.decision?.key, let chosen = packet.decision?.chosen else {
                continue
            }
            let entity = EntityName(type: packet.entityType, id: packet.entityID)
            answers.append((Question(entity, key), packet.position, chosen))
        }
        for (question, group) in answers.grouped(by: { $0.question }) where group.count > 1 {
            // Each value was part of a parsed document, so it parses again.
            let values = group.compactMap { (try? JSONDocument(Array($0.chosen)))?.canonicalBytes }
            guard Set(values).count > 1 else { continue }
            let positions = group.map(\.position)
            add(
                .contradiction, positions,
                "\(question.key) of \(question.entity.type)/\(question.entity.id) was decided "
                    + "differently at positions \(list(positions))")
        }
    }

    private mutating func findTimes() {
        for edge in edges {
            guard let parent = edge.to.flatMap({ table[$0] }), let child = table[edge.from],
                parent.createdAt > child.createdAt
            else { continue }
            add(
                .parentCreatedLater, [child.position, parent.position],
                "the parent says \(parent.createdAt), the child \(child.createdAt)", pointer(edge))
        }
    }

    // MARK: Nodes

    private mutating func findUnknownNodes() throws(Source.Failure) {
        var others: [UUID128: ChainPacket?] = [:]
        for packet in table.packets { others[packet.stardustID] = packet }
        for packet in table.packets {
            for node in packet.decision?.nodes ?? [] {
                try source.spend(node.parents.count)
                for (index, parent) in node.parents.enumerated() {
                    let (owner, name): (UUID128, ExactText)
                    var named: ChainPacket? = packet
                    switch parent {
                    case .own(let own): (owner, name) = (packet.stardustID, own)
                    case .foreign(let other, let foreign):
                        (owner, name) = (other, foreign)
                        if others[other] == nil { others[other] = try self.packet(other) }
                        named = others[other]!
                    }
                    if named?.decision?.places[name] != nil { continue }
                    if conflicts.count > ChainLimits.conflictsMax { return }
                    add(
                        .unknownNodeParent, [packet.position],
                        "node \(node.id) builds on \(Citation(owner, name)), which is not there",
                        "\(node.pointer)/parents/\(index)")
                }
            }
        }
    }

    /// Reads a packet that was not walked.
    private func packet(_ id: UUID128) throws(Source.Failure) -> ChainPacket? {
        guard let position = try source.position(of: id) else { return nil }
        return try source.packet(at: position)
    }

    private func list(_ positions: [Position]) -> String {
        positions.map(\.description).joined(separator: ", ")
    }
}

// Declared outside the generic search, so that these types do not differ by source.

/// A packet that retracts, supersedes or revises another.
private struct Amendment {
    var child: ChainPacket
    var edge: ChainEdge
    var target: Position { edge.to! }
}

/// The question a decision answers.
private struct Question: Hashable {
    var entity: EntityName
    var key: ExactText

    init(_ entity: EntityName, _ key: ExactText) { (self.entity, self.key) = (entity, key) }
}

extension Array {
    /// Groups in order of first appearance.
    fileprivate func grouped<Key: Hashable>(by key: (Element) -> Key) -> [(Key, [Element])] {
        var (groups, places): ([(Key, [Element])], [Key: Int]) = ([], [:])
        for element in self {
            let key = key(element)
            if let place = places[key] {
                groups[place].1.append(element)
            } else {
                places[key] = groups.count
                groups.append((key, [element]))
            }
        }
        return groups
    }
}
