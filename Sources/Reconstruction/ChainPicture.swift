internal import LedgerFormat

/// A chain as nodes and arrows from child to parent, for programs that draw. All text is plain:
/// shortened, with what packets say quoted, but not yet in any program's syntax.
package struct ChainPicture {
    private let nodes: [(node: Node, depth: Int)]
    private let edges: [ChainEdge]

    /// What is drawn of it.
    package struct Drawing {
        package fileprivate(set) var nodes: [Node]
        package fileprivate(set) var arrows: [Arrow] = []
        /// Packets and references that are not drawn.
        package let omitted: Int
    }

    package struct Node {
        package let id: String
        package let lines: [String]
        package let look: Look
    }

    package enum Look {
        case packet
        /// What was asked for.
        case target
        /// A packet that no longer stands, or that builds on a retracted one.
        case doubtful
        /// What the walk did not reach.
        case outside
    }

    package struct Arrow {
        package let from: String
        package let to: String
        /// Empty for what is merely derived.
        package let label: String
        /// The parent came after the child.
        package let isLate: Bool
    }

    package init(_ chain: Chain) {
        nodes = Self.nodes(of: chain)
        edges = chain.edges
    }

    package var nodeCount: Int { nodes.count }

    /// At most so many nodes, the closest to the target; one more stands for the others.
    package func drawing(nodesMax: Int = .max) -> Drawing {
        let closest = nodes.indices.sorted { (nodes[$0].depth, $0) < (nodes[$1].depth, $1) }
        let isDrawn = Set(closest.prefix(nodesMax))
        let drawn = nodes.indices.filter(isDrawn.contains).map { nodes[$0].node }
        var drawing = Drawing(nodes: drawn, omitted: nodes.count - drawn.count)
        drawing.arrows = arrows(among: Set(drawn.map(\.id)))
        if drawing.omitted > 0 {
            let others = ["\(drawing.omitted) more, not drawn"]
            drawing.nodes.append(Node(id: Self.others, lines: others, look: .outside))
        }
        return drawing
    }

    /// References from one packet to another are one arrow.
    private func arrows(among drawn: Set<String>) -> [Arrow] {
        var places: [Pair: Int] = [:]
        var found: [(pair: Pair, labels: [String], count: Int, isLate: Bool, isWhole: Bool)] = []
        for edge in edges {
            var pair = Pair(from: Self.id(edge.from), to: Self.target(edge))
            let isWhole = drawn.contains(pair.from) && drawn.contains(pair.to)
            if !drawn.contains(pair.from) { pair.from = Self.others }
            if !drawn.contains(pair.to) { pair.to = Self.others }
            if pair.from == pair.to, !isWhole { continue }
            let place = places[pair] ?? found.count
            if place == found.count {
                places[pair] = place
                found.append((pair, [], 0, isWhole && edge.order == .late, isWhole))
            }
            found[place].count += 1
            let label = edge.relation.asName
            let isPlain = label == ParentReference.usualRelation
            if isWhole, !isPlain, !found[place].labels.contains(label) {
                found[place].labels.append(label)
            }
            found[place].isWhole = isWhole
        }
        return found.map { arrow in
            let label = arrow.isWhole ? arrow.labels.joined(separator: ", ") : "\(arrow.count)"
            return Arrow(
                from: arrow.pair.from, to: arrow.pair.to, label: Self.short(label),
                isLate: arrow.isLate)
        }
    }

    private struct Pair: Hashable {
        var from: String
        var to: String
    }

    private static let others = "others"

    /// The characters of a line: enough to recognise what it says.
    private static func short(_ text: String) -> String { text.shortened(to: 48) }

    // MARK: Nodes

    /// Packets first, then what they name and the walk did not reach.
    private static func nodes(of chain: Chain) -> [(node: Node, depth: Int)] {
        var depths: [Position: Int] = [:]
        var nodes = chain.packets.map { entry -> (node: Node, depth: Int) in
            depths[entry.packet.position] = entry.depth
            return (node(entry, in: chain), entry.depth)
        }
        var seen: Set<String> = []
        for edge in chain.edges where edge.to.map({ depths[$0] == nil }) ?? true {
            let id = target(edge)
            guard seen.insert(id).inserted else { continue }
            nodes.append(
                (Node(id: id, lines: [outside(edge)], look: .outside), (depths[edge.from] ?? 0) + 1)
            )
        }
        return nodes
    }

    private static func node(_ entry: Chain.Entry, in chain: Chain) -> Node {
        let packet = entry.packet
        let event = packet.event.map { " \($0.asName)" } ?? ""
        let isTarget = chain.request.target.isNamed(by: packet)
        var lines = [
            (isTarget ? "▶ " : "") + packet.entityType.asName + event,
            "\("\(packet.entityID)".prefix(8)), position \(packet.position)",
        ]
        if let words = ReasoningWords(packet) {
            if let chosen = words.chosen { lines.append("chose \(chosen)") }
            let (voters, rejected) = (words.voters, words.rejected)
            if !voters.isEmpty { lines.append("votes: " + voters.joined(separator: ", ")) }
            if !rejected.isEmpty {
                lines.append(
                    "not " + rejected.map { $0.label ?? $0.name }.joined(separator: ", "))
            }
        }
        if entry.standing != .current { lines.append(entry.standing.rawValue.uppercased()) }
        if entry.isTainted == true { lines.append("TAINTED by a retracted packet") }
        let isDoubtful =
            [.retracted, .superseded].contains(entry.standing) || entry.isTainted == true
        return Node(
            id: id(packet.position), lines: lines.map(short),
            look: isDoubtful ? .doubtful : isTarget ? .target : .packet)
    }

    private static func outside(_ edge: ChainEdge) -> String {
        if let to = edge.to { return "position \(to), not followed" }
        if let uri = edge.reference.uri { return short(uri.quoted) }
        return short("not in the ledger: " + String.readable(edge.reference.source))
    }

    private static func id(_ position: Position) -> String { "p\(position)" }

    private static func target(_ edge: ChainEdge) -> String {
        edge.to.map { id($0) } ?? "m\(edge.from)_\(edge.reference.index)"
    }
}

extension ChainTarget {
    /// Whether a packet is what was asked for, or a part of it.
    func isNamed(by packet: ChainPacket) -> Bool {
        switch self {
        case .packet(let id): packet.stardustID == id
        case .entity(let type, let id):
            packet.entityID == id && packet.entityType.utf8.elementsEqual(type.utf8)
        case .trace: false
        }
    }
}
