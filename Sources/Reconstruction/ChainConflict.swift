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
        /// Two packets revise the same packet, or supersede it.
        case fork
        /// Two packets claim to have created the same entity.
        case doubleCreated = "double_created"
        /// The same question about the same entity was answered in two ways, and both answers stand.
        case contradiction
        case duplicateNode = "duplicate_node"
        case unknownNodeParent = "unknown_node_parent"
        case nodeCycle = "node_cycle"
        /// The parent claims to have been created after the child.
        case parentCreatedLater = "parent_created_later"
        /// A packet that was declared wrong is in use, or was asked for.
        case retracted
        /// The same of a packet in whose place another stands.
        case superseded
        /// The same of a packet of which there is another version.
        case revised
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
    private let target: ChainTarget
    private let standings: StandingBook<Source>

    private(set) var conflicts: [ChainConflict] = []
    /// The walked packets that no longer stand as they were emitted.
    private(set) var states: [Position: Standing.State] = [:]

    init(
        _ source: Source, _ table: PacketTable, _ edges: [ChainEdge], _ target: ChainTarget,
        _ standings: StandingBook<Source>
    ) {
        (self.source, self.table, self.edges) = (source, table, edges)
        (self.target, self.standings) = (target, standings)
    }

    mutating func run() throws(Source.Failure) {
        var amended: [(packet: ChainPacket, standing: Standing)] = []
        var packets = table.packets
        var others: Set<Position> = []
        for packet in table.packets {
            let standing = try standings.standing(of: packet)
            guard !standing.amendments.isEmpty else { continue }
            amended.append((packet, standing))
            states[packet.position] = standing.state
            for child in standing.amendments.map(\.child)
            where table[child.position] == nil && others.insert(child.position).inserted {
                packets.append(child)
            }
        }
        packets.sort { $0.position < $1.position }
        try source.spend(packets.count + edges.count + amended.count)
        findForks(amended)
        findDoubleCreations(packets)
        try findContradictions(packets)
        findTimes()
        findAmended(amended)
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

    private mutating func findForks(_ amended: [(packet: ChainPacket, standing: Standing)]) {
        for (packet, standing) in amended {
            for (state, verb) in [(Standing.State.revised, "revise"), (.superseded, "supersede")] {
                let amenders = standing.amenders(state)
                guard amenders.count > 1 else { continue }
                add(
                    .fork, amenders,
                    "positions \(list(amenders)) each \(verb) position \(packet.position)")
            }
        }
    }

    /// Packets that others here build on, or that were asked for, though they no longer stand.
    private mutating func findAmended(_ amended: [(packet: ChainPacket, standing: Standing)]) {
        guard !amended.isEmpty else { return }
        var (users, amenders): ([Position: Set<Position>], [Position: Set<Position>]) = ([:], [:])
        for edge in edges where edge.order != .self {
            guard let parent = edge.to else { continue }
            if edge.isUse { users[parent, default: []].insert(edge.from) }
            if edge.reference.isAmendment { amenders[parent, default: []].insert(edge.from) }
        }
        for (packet, standing) in amended {
            let position = packet.position
            let all = users[position] ?? []
            // Another version naturally builds on the one before.
            let own = Set(standing.amendments.map(\.child.position)).union(amenders[position] ?? [])
            for (state, kind, word) in [
                (Standing.State.retracted, ChainConflict.Kind.retracted, "retracted"),
                (.superseded, .superseded, "superseded"), (.revised, .revised, "revised"),
            ] {
                let speakers = standing.amenders(state)
                guard !speakers.isEmpty else { continue }
                let isUsed = !(state == .retracted ? all : all.subtracting(own)).isEmpty
                guard isUsed || isAskedFor(packet, state) else { continue }
                add(
                    kind, [position] + speakers,
                    "position \(position), which "
                        + "\(isUsed ? "others here build on" : "was asked for"), was \(word) by "
                        + "position \(list(speakers))")
            }
        }
    }

    /// Whether the request is for this packet. An entity's or a trace's versions are its history;
    /// only what was declared wrong is worth a word there.
    private func isAskedFor(_ packet: ChainPacket, _ state: Standing.State) -> Bool {
        switch target {
        case .packet(let id): packet.stardustID == id
        case .entity(let type, let id):
            state == .retracted && packet.entityType == type && packet.entityID == id
        case .trace(let id): state == .retracted && packet.traceID == id
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

    private mutating func findContradictions(_ packets: [ChainPacket]) throws(Source.Failure) {
        var answers: [(question: Question, position: Position, chosen: ArraySlice<UInt8>)] = []
        for packet in packets {
            guard let key = packet.decision?.key, let chosen = packet.decision?.chosen,
                states[packet.position] == nil
            else { continue }
            if table[packet.position] == nil {
                guard try standings.standing(of: packet).state == .current else { continue }
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
                "\(question.key.description.asName) of \(question.entity.type)/\(question.entity.id) was decided "
                    + "differently at positions \(list(positions))")
        }
    }

    private mutating func findTimes() {
        for edge in edges {
            guard let parent = edge.to.flatMap({ table[$0] }), let child = table[edge.from],
                parent.statesCreation, child.statesCreation, parent.createdAt > child.createdAt
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
                        "node \(node.id.description.asName) builds on "
                            + "\(Citation(owner, name).description.asName), which is not there",
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
