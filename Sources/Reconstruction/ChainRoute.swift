package import LedgerFormat
package import Packets

/// How one packet led to another: a shortest way down, and how many ways there are.
package struct ChainRoute: Sendable {
    /// From the one packet to the other; empty if none leads to it.
    let steps: [Step]
    /// Ways in all, those through cycles left out; `UInt64.max` for that many and more.
    let count: UInt64
    /// Why there may be other ways; empty if everything upstream was looked at.
    let reasons: [IncompleteReason]
    private let size: LedgerSize

    struct Step: Sendable {
        let packet: ChainPacket
        /// By which it names the one before; nil for the first.
        let edge: ChainEdge?
    }

    /// `upstream` is the chain of the packet that the way leads to.
    package init(_ upstream: Chain, from: Position, to: Position) {
        size = upstream.size
        let packets = upstream.packets.map(\.packet)
        let table = PacketTable(packets)
        let cut = Set(upstream.cyclesCut.map { Pair(child: $0.from, parent: $0.to) })
        var (children, parents): ([Position: [ChainEdge]], [Position: Set<Position>]) = ([:], [:])
        for edge in upstream.edges where edge.order != .self {
            guard let parent = edge.to, table[parent] != nil,
                parents[edge.from, default: []].insert(parent).inserted
            else { continue }
            children[parent, default: []].append(edge)
        }
        let doubtful: Set<IncompleteReason> = [
            .cyclesCut, .maxDepth, .maxPackets, .maxBytes, .unindexed,
        ]
        reasons = upstream.reasons.filter(doubtful.contains)
        steps = Self.shortest(table, children, parents, from, to)
        // A way through a cycle is one, but not all of them are counted.
        for pair in cut { parents[pair.child]?.remove(pair.parent) }
        count = max(Self.count(packets, parents, from, to), steps.isEmpty ? 0 : 1)
    }

    private struct Pair: Hashable {
        var child: Position
        var parent: Position
    }

    /// `packets` has parents first, so each packet's ways are known before its children's.
    private static func count(
        _ packets: [ChainPacket], _ parents: [Position: Set<Position>], _ from: Position,
        _ to: Position
    ) -> UInt64 {
        var ways: [Position: UInt64] = [:]
        for position in packets.map(\.position) {
            let sum = (parents[position] ?? []).reduce(UInt64(0)) { sum, parent in
                let (result, isOver) = sum.addingReportingOverflow(ways[parent] ?? 0)
                return isOver ? .max : result
            }
            ways[position] = position == from ? 1 : sum
        }
        return ways[to] ?? 0
    }

    /// Of several shortest ways the one with the lowest positions.
    private static func shortest(
        _ table: PacketTable, _ children: [Position: [ChainEdge]],
        _ parents: [Position: Set<Position>], _ from: Position, _ to: Position
    ) -> [Step] {
        // Distances to the end.
        var distance: [Position: Int] = [to: 0]
        var (level, next) = ([to], [Position]())
        while !level.isEmpty, distance[from] == nil {
            next = []
            for position in level {
                for parent in parents[position] ?? [] where distance[parent] == nil {
                    distance[parent] = distance[position]! + 1
                    next.append(parent)
                }
            }
            level = next
        }
        guard var left = distance[from], let first = table[from] else { return [] }
        var steps = [Step(packet: first, edge: nil)]
        while left > 0 {
            let edge = (children[steps.last!.packet.position] ?? [])
                .filter { distance[$0.from] == left - 1 }
                .min { $0.from < $1.from }!
            steps.append(Step(packet: table[edge.from]!, edge: edge))
            left -= 1
        }
        return steps
    }

    package func write(to json: inout JSONWriter) {
        json.beginObject()
        json.member("ledger_size", size.entries)
        json.member("found", !steps.isEmpty)
        json.key("length")
        if steps.isEmpty { json.null() } else { json.integer(UInt64(steps.count - 1)) }
        // What JSON's numbers tell apart (RFC 8259 section 6).
        json.member("routes", min(count, 1 << 53))
        json.member("routes_exact", count < 1 << 53 && reasons.isEmpty)
        json.member("exhaustive", reasons.isEmpty)
        json.key("incomplete_because")
        json.array(reasons) { $1.string($0.rawValue) }
        json.key("path")
        json.array(steps) { step, json in
            json.beginObject()
            json.identify(step.packet)
            if let edge = step.edge {
                json.key("edge")
                edge.write(to: &json)
            }
            json.endObject()
        }
        json.endObject()
    }
}

extension JSONWriter {
    /// Which packet it is, for whoever looks it up or checks it.
    mutating func identify(_ packet: ChainPacket) {
        member("position", packet.position.value)
        identity(packet)
    }

    mutating func identity(_ packet: ChainPacket) {
        member("stardust_id", packet.stardustID)
        member("entity_type", packet.entityType)
        member("entity_id", packet.entityID)
        if let event = packet.event { member("event", event) }
        member("created_at", packet.createdAt)
        member("entry_hash", packet.entryHash)
        member("payload_sha256", packet.payloadDigest)
    }
}
