import LedgerFormat
import LedgerTestSupport
import Reconstruction

/// What reconstruction is by its definition, found by going over everything again and again.
struct NaiveChain {
    let source: MemorySource
    var depths: [Int: Int] = [:]
    var edges: Set<Edge> = []
    var missing = 0

    struct Edge: Hashable {
        var from: Int
        var index: Int
        var to: Int?
        var foundBy: String
        var relation: String
    }

    /// Every edge of the ledger.
    private let all: [Edge]

    init(_ source: MemorySource) {
        self.source = source
        all = source.packets.flatMap { packet in
            packet.parents.map { Self.edge($0, packet, source) }
        }
    }

    private static func edge(
        _ reference: ParentReference, _ child: ChainPacket, _ source: MemorySource
    ) -> Edge {
        let packets = source.packets
        var (to, by): (Int?, String) = (nil, "none")
        if let id = reference.id {
            to = packets.firstIndex { $0.stardustID == id }
            by = to == nil ? "none" : "id"
        } else if let hash = reference.hash {
            to = packets.firstIndex { .sha256($0.payloadDigest) == hash }
            by = to == nil ? "none" : "hash"
        } else if let entity = reference.entity {
            to = packets.lastIndex {
                $0.position < child.position && $0.entityType == entity.type
                    && $0.entityID == entity.id
            }
            by = to == nil ? "none" : "entity"
        } else if reference.uri != nil {
            by = "uri"
        }
        return Edge(
            from: Int(child.position.value), index: reference.index, to: to, foundBy: by,
            relation: reference.relation)
    }

    mutating func walk(_ roots: [Int], _ direction: ChainRequest.Direction, depth limit: Int) {
        for root in roots { depths[root] = 0 }
        if direction != .downstream { spread(roots, limit, isUp: true) }
        if direction != .upstream {
            spread(roots, limit, isUp: false)
            edges.formUnion(
                all.filter { edge in
                    depths[edge.from] != nil && edge.to.flatMap { depths[$0] } != nil
                })
        }
    }

    private mutating func spread(_ roots: [Int], _ limit: Int, isUp: Bool) {
        var reached = Dictionary(uniqueKeysWithValues: roots.map { ($0, 0) })
        for depth in 0...limit {
            for edge in all {
                guard let start = isUp ? edge.from : edge.to, reached[start] == depth else {
                    continue
                }
                let end = isUp ? edge.to : edge.from
                if isUp {
                    edges.insert(edge)
                    if edge.foundBy == "none" { missing += 1 }
                }
                guard let end else { continue }
                if depth < limit {
                    reached[end] = min(reached[end] ?? .max, depth + 1)
                }
            }
        }
        for (position, depth) in reached { depths[position] = min(depths[position] ?? .max, depth) }
    }

    /// The order by repeated search for the lowest packet that can come next.
    func order() -> (positions: [Int], cut: [[Int]]) {
        var (left, done, cut) = (depths.keys.sorted(), [Int](), [[Int]]())
        var waits: [Int: Set<Int>] = [:]
        for edge in edges where edge.to != nil && edge.to != edge.from {
            if depths[edge.from] != nil, depths[edge.to!] != nil {
                waits[edge.from, default: []].insert(edge.to!)
            }
        }
        while !left.isEmpty {
            if let next = left.first(where: { (waits[$0] ?? []).allSatisfy(done.contains) }) {
                done.append(next)
                left.removeAll { $0 == next }
                continue
            }
            var path: [Int] = []
            var current = left[0]
            while !path.contains(current) {
                path.append(current)
                current = waits[current]!.filter { !done.contains($0) }.min()!
            }
            let cycle = Array(path[path.firstIndex(of: current)!...])
            let place = cycle.firstIndex(of: cycle.min()!)!
            let parent = cycle[(place + 1) % cycle.count]
            cut.append([cycle[place], parent])
            waits[cycle[place]]!.remove(parent)
        }
        return (done, cut)
    }

    /// Packets downstream of a retracted one, as far as they were walked.
    func tainted() -> Set<Int> {
        var tainted: Set<Int> = []
        let retracted = all.filter { edge in
            edge.relation == "retracts" && edge.to != nil && edge.to != edge.from
                && depths[edge.to!] != nil
        }.map { $0.to! }
        var sources = Set(retracted)
        while true {
            let more = edges.filter { edge in
                guard let to = edge.to, to != edge.from, depths[edge.from] != nil else {
                    return false
                }
                return sources.contains(to) && !tainted.contains(edge.from)
                    && !["retracts", "supersedes"].contains(edge.relation)
            }.map(\.from)
            if more.isEmpty { return tainted }
            tainted.formUnion(more)
            sources.formUnion(more)
        }
    }

    func forks() -> Set<Set<Int>> {
        var revisers: [Int: Set<Int>] = [:]
        for edge in all where edge.relation == "revision_of" && edge.to != nil {
            if edge.to != edge.from, depths[edge.to!] != nil {
                revisers[edge.to!, default: []].insert(edge.from)
            }
        }
        return Set(revisers.values.filter { $0.count > 1 })
    }
}
