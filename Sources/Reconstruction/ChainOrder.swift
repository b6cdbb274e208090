internal import HeapModule
internal import LedgerFormat

/// Orders packets so that parents come first. Without late edges, the ledger's own order does that.
/// Late edges need Kahn's algorithm, which always takes the lowest position that is ready.
struct ChainOrder {
    private(set) var positions: [Position] = []
    /// Edges ignored to break cycles.
    private(set) var cut: [(from: Position, to: Position)] = []

    /// Parents each packet still waits for, with the number of edges to each.
    private var waiting: [Position: [Position: Int]] = [:]
    private var children: [Position: [Position]] = [:]
    /// Where the last search ended: starting at the lowest waiting packet, each waits for the next.
    private var path: [Position] = []
    private var places: [Position: Int] = [:]

    /// `spend` accounts for the work.
    init<Failure: Error>(
        _ walked: some Collection<Position>, _ edges: [ChainEdge],
        _ spend: (Int) throws(Failure) -> Void
    ) throws(Failure) {
        positions = walked.sorted()
        let known = Set(positions)
        let inside = edges.filter { edge in
            edge.order != .self && edge.to.map(known.contains) == true
        }
        guard inside.contains(where: { $0.order == .late }) else { return }
        for edge in inside {
            waiting[edge.from, default: [:]][edge.to!, default: 0] += 1
            children[edge.to!, default: []].append(edge.from)
        }
        try sort(spend)
    }

    private mutating func sort<Failure: Error>(
        _ spend: (Int) throws(Failure) -> Void
    ) throws(Failure) {
        let all = positions
        positions = []
        var ready = Heap<Position>()
        for position in all where waiting[position] == nil { ready.insert(position) }
        var done: Set<Position> = []
        // Everything below this is done.
        var lowest = 0
        while positions.count < all.count {
            while let next = ready.popMin() {
                positions.append(next)
                done.insert(next)
                let children = Set(children[next] ?? [])
                try spend(children.count)
                for child in children { release(child, from: next, &ready) }
            }
            while lowest < all.count, done.contains(all[lowest]) { lowest += 1 }
            if lowest < all.count { try cutCycle(above: all[lowest], &ready, spend) }
        }
    }

    private mutating func release(
        _ child: Position, from parent: Position, _ ready: inout Heap<Position>
    ) {
        guard waiting[child]?.removeValue(forKey: parent) != nil else { return }
        if waiting[child]!.isEmpty {
            waiting[child] = nil
            ready.insert(child)
        }
    }

    /// Every waiting packet waits for another waiting packet, so following them leads into a cycle.
    /// The cycle is cut at its lowest position.
    private mutating func cutCycle<Failure: Error>(
        above start: Position, _ ready: inout Heap<Position>,
        _ spend: (Int) throws(Failure) -> Void
    ) throws(Failure) {
        while let last = path.last, waiting[last] == nil {
            places[last] = nil
            path.removeLast()
        }
        var current = path.last.map { waiting[$0]!.keys.min()! } ?? start
        while places[current] == nil {
            places[current] = path.count
            path.append(current)
            try spend(waiting[current]!.count)
            current = waiting[current]!.keys.min()!
        }
        let cycle = path[places[current]!...]
        try spend(cycle.count)
        let lowest = cycle.min()!
        let place = cycle.firstIndex(of: lowest)!
        let parent = place + 1 < cycle.endIndex ? cycle[place + 1] : cycle.first!
        cut.append((lowest, parent))
        // The packets after it on the path may have been reached through the edge just cut.
        for position in path[place...].dropFirst() { places[position] = nil }
        path.removeSubrange((place + 1)...)
        release(lowest, from: parent, &ready)
    }
}
