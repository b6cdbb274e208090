internal import HeapModule

/// The order in which a packet's reasoning is presented.
struct NodeOrder: Sendable {
    /// Node indices, parents first; ties keep the listed order.
    private(set) var indices: [Int] = []
    /// Nodes held back only by a cycle; they are taken in listed order.
    private(set) var cycle: [Int] = []

    /// `places` maps each name to the first node that has it.
    init(_ nodes: [ReasoningNode], _ places: [ExactText: Int]) {
        var waiting = nodes.map { node in
            Set(node.parents.compactMap { parent in parent.ownName.flatMap { places[$0] } })
        }
        var children: [[Int]] = Array(repeating: [], count: nodes.count)
        var ready = Heap<Int>()
        for index in nodes.indices {
            if waiting[index].remove(index) != nil { cycle.append(index) }
            for parent in waiting[index] { children[parent].append(index) }
            if waiting[index].isEmpty { ready.insert(index) }
        }
        var isDone = [Bool](repeating: false, count: nodes.count)
        var lowest = 0
        while indices.count < nodes.count {
            while let next = ready.popMin() {
                isDone[next] = true
                indices.append(next)
                for child in children[next] where waiting[child].remove(next) != nil {
                    if waiting[child].isEmpty, !isDone[child] { ready.insert(child) }
                }
            }
            while lowest < nodes.count, isDone[lowest] { lowest += 1 }
            guard lowest < nodes.count else { break }
            cycle.append(lowest)
            waiting[lowest] = []
            ready.insert(lowest)
        }
    }
}
