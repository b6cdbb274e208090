internal import HeapModule
internal import LedgerFormat

/// One reasoning node in its place in the whole chain.
struct ChainStep: Sendable {
    /// From 1 on.
    let number: Int
    let packet: Position
    let owner: UUID128
    let node: ReasoningNode
    /// Steps that it builds on.
    let parents: [Citation]
    /// Whether the parents follow from the packet's own parents, and were not stated.
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

/// Makes steps of the packets' reasoning, packet by packet in the order of the chain.
struct StepSequence {
    private(set) var steps: [ChainStep] = []
    private(set) var conflicts: [ChainConflict] = []

    /// `parents` gives the packets that a packet was derived from, as far as they were walked.
    init(_ packets: [ChainPacket], parents: [Position: [ChainPacket]]) {
        for packet in packets {
            guard let decision = packet.decision else { continue }
            let implied = (parents[packet.position] ?? []).compactMap { parent in
                parent.decision.flatMap { decision in
                    decision.outcome.map {
                        Citation(parent.stardustID, decision.nodes[$0].id)
                    }
                }
            }
            append(packet, decision, implied)
        }
    }

    private mutating func append(
        _ packet: ChainPacket, _ decision: Decision, _ implied: [Citation]
    ) {
        var places: [ExactText: Int] = [:]
        for (index, node) in decision.nodes.enumerated() {
            if places[node.id] == nil {
                places[node.id] = index
            } else {
                conflicts.append(
                    ChainConflict(
                        .duplicateNode, [packet.position], "node \(node.id) stands twice",
                        node.pointer))
            }
        }
        let (order, cycle) = Self.ordered(decision.nodes, places)
        if let cycle {
            conflicts.append(
                ChainConflict(
                    .nodeCycle, [packet.position],
                    "the nodes \(cycle.joined(separator: ", ")) wait for each other", nil))
        }
        for index in order {
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

    /// Indices of nodes, parents first, ties as listed; and the nodes that only a cycle held back,
    /// which are taken as listed.
    private static func ordered(
        _ nodes: [ReasoningNode], _ places: [ExactText: Int]
    ) -> (order: [Int], cycle: [String]?) {
        var waiting = nodes.map { node in
            Set(node.parents.compactMap { parent in parent.ownName.flatMap { places[$0] } })
        }
        var children: [[Int]] = Array(repeating: [], count: nodes.count)
        var (order, cycle, ready) = ([Int](), [String](), Heap<Int>())
        for index in nodes.indices {
            if waiting[index].remove(index) != nil { cycle.append(nodes[index].id.description) }
            for parent in waiting[index] { children[parent].append(index) }
            if waiting[index].isEmpty { ready.insert(index) }
        }
        var isDone = [Bool](repeating: false, count: nodes.count)
        var lowest = 0
        while order.count < nodes.count {
            while let next = ready.popMin() {
                isDone[next] = true
                order.append(next)
                for child in children[next] where waiting[child].remove(next) != nil {
                    if waiting[child].isEmpty, !isDone[child] { ready.insert(child) }
                }
            }
            while lowest < nodes.count, isDone[lowest] { lowest += 1 }
            guard lowest < nodes.count else { break }
            cycle.append(nodes[lowest].id.description)
            waiting[lowest] = []
            ready.insert(lowest)
        }
        return (order, cycle.isEmpty ? nil : cycle)
    }
}
