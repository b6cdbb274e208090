internal import LedgerFormat

/// One reasoning node in its place in the whole chain.
struct ChainStep: Sendable {
    /// Starts at 1.
    let number: Int
    let packet: Position
    let owner: UUID128
    let node: ReasoningNode
    /// Steps that it builds on.
    let parents: [Citation]
    /// Whether the parents were not stated, but derived from the packet's own parents.
    let areParentsImplied: Bool
    let isOutcome: Bool
}

/// How a packet, or a step of its reasoning, is cited: `<stardust_id>` or `<stardust_id>#<node>`.
struct Citation: Hashable, Sendable, CustomStringConvertible {
    let packet: UUID128
    let node: ExactText?

    init(_ packet: UUID128, _ node: ExactText? = nil) { (self.packet, self.node) = (packet, node) }

    var description: String { node.map { "\(packet)#\($0)" } ?? "\(packet)" }
}

/// Turns the packets' reasoning into steps, packet by packet in the order of the chain.
struct StepSequence {
    private(set) var steps: [ChainStep] = []
    private(set) var conflicts: [ChainConflict] = []

    /// What a packet was derived from.
    struct Parent {
        let packet: ChainPacket
        let reference: ParentReference

        struct Key: Hashable {
            var position: Position
            var node: ExactText?
        }

        var key: Key { Key(position: packet.position, node: reference.node) }

        /// The step that it is: the node named, or the packet's outcome; nil if there is none.
        var step: Citation? {
            guard let decision = packet.decision else { return nil }
            if let node = reference.node {
                return decision.places[node].map { _ in Citation(packet.stardustID, node) }
            }
            return decision.outcome.map { Citation(packet.stardustID, decision.nodes[$0].id) }
        }
    }

    /// `parents` lists, for each packet, what it was derived from among the walked packets.
    init<Failure: Error>(
        _ packets: [ChainPacket], parents: [[Parent]],
        _ spend: (Int) throws(Failure) -> Void
    ) throws(Failure) {
        for (packet, parents) in zip(packets, parents) {
            for parent in parents { checkNode(of: parent, in: packet) }
            guard let decision = packet.decision else { continue }
            let implied = parents.compactMap(\.step)
            try spend(
                implied.count + decision.nodes.reduce(0) { $0 + 1 + $1.parents.count })
            append(packet, decision, implied)
        }
    }

    private mutating func checkNode(of parent: Parent, in packet: ChainPacket) {
        guard let node = parent.reference.node, parent.step == nil,
            conflicts.count <= ChainLimits.conflictsMax
        else { return }
        conflicts.append(
            ChainConflict(
                .unknownNodeParent, [packet.position],
                "it builds on \(Citation(parent.packet.stardustID, node).description.asName), which is not "
                    + "there",
                "/lineage/_meta_parents/\(parent.reference.index)/node"))
    }

    private mutating func append(
        _ packet: ChainPacket, _ decision: Decision, _ implied: [Citation]
    ) {
        for (index, node) in decision.nodes.enumerated() where decision.places[node.id] != index {
            guard conflicts.count <= ChainLimits.conflictsMax else { break }
            conflicts.append(
                ChainConflict(
                    .duplicateNode, [packet.position],
                    "node \(node.id.description.asName) stands twice",
                    node.pointer))
        }
        if !decision.order.cycle.isEmpty {
            let names = decision.order.cycle.map { decision.nodes[$0].id.description.asName }
            conflicts.append(
                ChainConflict(
                    .nodeCycle, [packet.position],
                    "the nodes \(names.joined(separator: ", ")) wait for each other", nil))
        }
        for index in decision.order.indices {
            let node = decision.nodes[index]
            let stated = node.parents.map { parent in
                switch parent {
                case .own(let name): Citation(packet.stardustID, name)
                case .foreign(let other, let name): Citation(other, name)
                }
            }
            let isImplied = stated.isEmpty && !implied.isEmpty
            steps.append(
                ChainStep(
                    number: steps.count + 1, packet: packet.position, owner: packet.stardustID,
                    node: node, parents: isImplied ? implied : stated,
                    areParentsImplied: isImplied, isOutcome: index == decision.outcome))
        }
    }
}
