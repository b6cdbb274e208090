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

    // MARK: Standing

    private static let amending = [
        "retracts": "retracted", "supersedes": "superseded", "revision_of": "revised",
    ]

    /// The amendments that count: all, but those made early by packets that are amended in return.
    private var amendments: [Edge] {
        let all = all.filter {
            Self.amending[$0.relation] != nil && $0.to != nil && $0.to != $0.from
        }
        func leads(_ start: Int, to end: Int, _ seen: Set<Int> = []) -> Bool {
            all.contains { edge in
                guard edge.from == start, !seen.contains(edge.to!) else { return false }
                return edge.to == end || leads(edge.to!, to: end, seen.union([edge.to!]))
            }
        }
        return all.filter { $0.to! < $0.from || !leads($0.to!, to: $0.from, [$0.to!]) }
    }

    /// Those that nobody took back.
    func inForce() -> [Edge] {
        let amendments = amendments
        func isRetracted(_ position: Int) -> Bool {
            amendments.contains {
                $0.to == position && $0.relation == "retracts" && !isRetracted($0.from)
            }
        }
        return amendments.filter { !isRetracted($0.from) }
    }

    func standing(_ inForce: [Edge]) -> [Int: String] {
        var standing: [Int: String] = [:]
        for position in depths.keys {
            let said = Set(inForce.filter { $0.to == position }.map { Self.amending[$0.relation]! })
            standing[position] =
                ["retracted", "superseded", "revised"].first(where: said.contains) ?? "current"
        }
        return standing
    }

    /// Walked packets that build on a retracted one, walked or not.
    func tainted(_ inForce: [Edge]) -> Set<Int> {
        var sources = Set(inForce.filter { $0.relation == "retracts" }.map { $0.to! })
        var tainted: Set<Int> = []
        while true {
            let more = all.filter { edge in
                guard let to = edge.to, to != edge.from else { return false }
                return sources.contains(to) && !tainted.contains(edge.from)
                    && !["retracts", "supersedes"].contains(edge.relation)
            }.map(\.from)
            if more.isEmpty { return tainted.filter { depths[$0] != nil } }
            tainted.formUnion(more)
            sources.formUnion(more)
        }
    }

    func forks(_ inForce: [Edge]) -> Set<Set<Int>> {
        var found: Set<Set<Int>> = []
        for relation in ["revision_of", "supersedes"] {
            for position in depths.keys {
                let amenders = inForce.filter { $0.to == position && $0.relation == relation }
                let positions = Set(amenders.map(\.from))
                if positions.count > 1 { found.insert(positions) }
            }
        }
        return found
    }

    /// Each kind of statement with the packet it is about, where that is used or was asked for.
    func amended(_ inForce: [Edge], _ target: ChainTarget) -> Set<String> {
        var found: Set<String> = []
        for edge in inForce where depths[edge.to!] != nil {
            let (position, kind) = (edge.to!, Self.amending[edge.relation]!)
            let versions = Set(
                all.filter { $0.to == position && Self.amending[$0.relation] != nil }.map(\.from))
            let isUsed = edges.contains { use in
                use.to == position && use.from != position
                    && !["retracts", "supersedes"].contains(use.relation)
                    && (kind == "retracted" || !versions.contains(use.from))
            }
            let packet = source.packets[position]
            let isAskedFor =
                switch target {
                case .packet(let id): packet.stardustID == id
                case .entity(_, let id): kind == "retracted" && packet.entityID == id
                case .trace: false
                }
            if isUsed || isAskedFor { found.insert("\(kind) \(position)") }
        }
        return found
    }
}
