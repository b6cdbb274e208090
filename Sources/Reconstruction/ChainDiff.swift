internal import LedgerFormat
package import Packets

/// What changed in a chain between two sizes of the ledger. Packets never change: they come, later ones
/// make others stand differently, and references find what they named.
package struct ChainDiff: Sendable {
    private let from: Chain
    private let to: Chain
    private let added: [ChainPacket]
    private let edgesFound: [ChainEdge]
    private let amendments: [(amendment: Amendment, isInForce: Bool)]
    private let standings: [(packet: ChainPacket, before: Chain.Entry, after: Chain.Entry)]

    /// The same request at two sizes.
    package init(from: Chain, to: Chain) {
        (self.from, self.to) = (from, to)
        let before = PacketTable(from.packets.map(\.packet))
        added = to.packets.map(\.packet).filter { before[$0.position] == nil }
        let known = Dictionary(
            from.edges.map { ($0.key, $0.to) }, uniquingKeysWith: { first, _ in first })
        edgesFound = to.edges.filter { edge in
            guard edge.to != nil, let earlier = known[edge.key] else { return false }
            return earlier != edge.to
        }
        let said = Dictionary(
            from.amendments.map { ($0.amendment.edge.key, $0.isInForce) },
            uniquingKeysWith: { first, _ in first })
        amendments = to.amendments.filter { said[$0.amendment.edge.key] != $0.isInForce }
        let entries = Dictionary(
            from.packets.map { ($0.packet.position, $0) }, uniquingKeysWith: { first, _ in first })
        standings = to.packets.compactMap { entry in
            guard let earlier = entries[entry.packet.position],
                earlier.standing != entry.standing || earlier.isTainted != entry.isTainted
            else { return nil }
            return (entry.packet, earlier, entry)
        }
    }

    package func write(to json: inout JSONWriter) {
        json.beginObject()
        json.member("from", from.size.entries)
        json.member("to", to.size.entries)
        json.member("complete", from.isComplete && to.isComplete)
        let reasons = IncompleteReason.allCases.filter {
            from.reasons.contains($0) || to.reasons.contains($0)
        }
        json.key("incomplete_because")
        json.array(reasons) { $1.string($0.rawValue) }
        json.key("packets")
        json.array(added) { packet, json in
            json.beginObject()
            json.identify(packet)
            json.endObject()
        }
        json.key("edges_found")
        json.array(edgesFound) { $0.write(to: &$1) }
        json.key("outcomes")
        json.array(added.filter { $0.decision?.chosen != nil }) { packet, json in
            json.beginObject()
            json.identify(packet)
            json.key("chosen")
            json.json(packet.decision!.chosen!)
            json.endObject()
        }
        json.key("amendments")
        json.array(amendments) { to.write($0.amendment, isInForce: $0.isInForce, &$1) }
        json.key("standing")
        json.array(standings) { change, json in
            json.beginObject()
            json.identify(change.packet)
            Self.write(change.before, "before", &json)
            Self.write(change.after, "after", &json)
            json.endObject()
        }
        let (old, new) = (
            Set(from.conflicts.map(Conflict.init)), Set(to.conflicts.map(Conflict.init))
        )
        json.key("conflicts")
        json.array(to.conflicts.filter { !old.contains(Conflict($0)) }) { to.write($0, &$1) }
        json.key("conflicts_gone")
        json.array(from.conflicts.filter { !new.contains(Conflict($0)) }) { from.write($0, &$1) }
        json.endObject()
    }

    private struct Conflict: Hashable {
        let text: [String]

        init(_ conflict: ChainConflict) {
            text =
                [conflict.kind.rawValue, conflict.detail, conflict.pointer ?? ""]
                + conflict.positions.map { "\($0)" }
        }
    }

    private static func write(
        _ entry: Chain.Entry, _ name: StaticString, _ json: inout JSONWriter
    ) {
        json.key(name)
        json.beginObject()
        json.member("standing", entry.standing.rawValue)
        json.key("tainted")
        if let isTainted = entry.isTainted { json.boolean(isTainted) } else { json.null() }
        json.endObject()
    }
}
