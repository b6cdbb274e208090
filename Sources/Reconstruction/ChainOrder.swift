internal import HeapModule
internal import LedgerFormat

/// Puts packets into an order in which parents come first. Where no edge is late the ledger's own
/// order is one; late edges need Kahn's algorithm, always with the lowest position that is ready.
struct ChainOrder {
    private(set) var positions: [Position] = []
    /// Edges that were ignored, since with them nothing would come first.
    private(set) var cut: [(from: Position, to: Position)] = []

    /// Parents that a packet still waits for, with how many edges lead there.
    private var waiting: [Position: [Position: Int]] = [:]
    private var children: [Position: [Position]] = [:]
    /// From the lowest packet that waits, each waits for the next: where the last search ended.
    private var path: [Position] = []
    private var places: [Position: Int] = [:]

    /// `spend` hears of the work.
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

    /// Every packet that waits, waits for one that waits too: following them leads into a cycle. It
    /// is cut at its lowest position.
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
        // What stood behind it on the path may have been reached by the edge that is gone.
        for position in path[place...].dropFirst() { places[position] = nil }
        path.removeSubrange((place + 1)...)
        release(lowest, from: parent, &ready)
    }
}
