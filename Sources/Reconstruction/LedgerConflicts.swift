package import LedgerFormat
package import Packets

/// What later packets take back, replace or contradict, packet by packet: for the ledger as a whole.
package struct LedgerConflicts<Source: ChainSource> {
    private let source: Source
    private let book: EdgeBook<Source>
    private let standings: StandingBook<Source>

    /// Packets downstream of one conflict that are looked at.
    private static var packetsMax: Int { 1_000 }
    /// Earlier answers to one question that are compared.
    private static var answersMax: Int { 100 }

    package init(_ source: Source) {
        self.source = source
        book = EdgeBook(source)
        standings = StandingBook(source, book)
    }

    /// The conflicts that a packet makes: what it amends, then what it contradicts. `earlier` passes
    /// the positions before it of packets that may answer the same question, the newest first.
    package func conflicts(
        by packet: ChainPacket,
        earlier: (ChainPacket, String, (Position) throws(Source.Failure) -> Bool)
            throws(Source.Failure) -> Void
    ) throws(Source.Failure) -> [LedgerConflict] {
        var found: [LedgerConflict] = []
        let isInForce = try !standings.standing(of: packet).isRetracted
        for edge in try book.edges(of: packet) {
            guard let amendment = Amendment(edge, by: packet),
                let target = try source.packet(at: amendment.target)
            else { continue }
            let standing = try standings.standing(of: target)
            let isSaid =
                isInForce
                && standing.amendments.contains {
                    $0.child.position == packet.position && $0.state == amendment.state
                }
            found.append(
                LedgerConflict(
                    kind: amendment.state.rawValue, by: packet, isInForce: isSaid,
                    packets: [target], reference: edge.reference,
                    outcomes: isSaid ? try outcomes([target], without: packet) : nil))
        }
        if let contradiction = try contradiction(packet, earlier) { found.append(contradiction) }
        return found
    }

    private func outcomes(
        _ packets: [ChainPacket], without replacement: ChainPacket
    ) throws(Source.Failure) -> OutcomesBelow {
        try OutcomesBelow(
            packets, withOwn: false, without: replacement.position, in: source, book, standings,
            packetsMax: Self.packetsMax)
    }

    private func contradiction(
        _ packet: ChainPacket,
        _ earlier: (ChainPacket, String, (Position) throws(Source.Failure) -> Bool)
            throws(Source.Failure) -> Void
    ) throws(Source.Failure) -> LedgerConflict? {
        guard let key = packet.decision?.key, let own = Self.answer(packet),
            try standings.standing(of: packet).state == .current
        else { return nil }
        var (others, looked): ([ChainPacket], Int) = ([], 0)
        try earlier(packet, key.description) { (position) throws(Source.Failure) in
            guard let other = try source.packet(at: position), other.decision?.key == key,
                other.entityType == packet.entityType, other.entityID == packet.entityID,
                let answer = Self.answer(other),
                try standings.standing(of: other).state == .current
            else { return true }
            if answer != own { others.append(other) }
            looked += 1
            return looked < Self.answersMax
        }
        guard !others.isEmpty else { return nil }
        others.reverse()
        return LedgerConflict(
            kind: "contradicted", by: packet, isInForce: true, packets: others, reference: nil,
            outcomes: try outcomes(others, without: packet))
    }

    /// What was chosen, in a form that is equal for equal values.
    private static func answer(_ packet: ChainPacket) -> [UInt8]? {
        packet.decision?.chosen.flatMap {
            (try? JSONDocument(Array($0)))?.canonicalBytes
        }
    }
}

/// One packet that no longer stands undisputed, or several, and who disputes them.
package struct LedgerConflict: Sendable {
    /// `retracted`, `superseded`, `revised` or `contradicted`.
    package let kind: String
    let by: ChainPacket
    package let isInForce: Bool
    let packets: [ChainPacket]
    let reference: ParentReference?
    let outcomes: OutcomesBelow?

    /// Whether one of the disputed packets is about an entity or of a trace.
    package func concerns(
        _ isWanted: (_ type: String, _ id: UUID128, _ trace: UUID128?) -> Bool
    ) -> Bool {
        packets.contains { isWanted($0.entityType, $0.entityID, $0.traceID) }
    }

    package func write(outcomesMax: Int, to json: inout JSONWriter) {
        json.beginObject()
        json.member("kind", kind)
        json.member("in_force", isInForce)
        json.key("packets")
        json.array(packets) { packet, json in
            json.beginObject()
            json.identify(packet)
            if let chosen = packet.decision?.chosen {
                json.key("chosen")
                json.json(chosen)
            }
            json.endObject()
        }
        json.key("by")
        json.beginObject()
        json.identify(by)
        json.members(by.members.filter { $0.name == .producer })
        if let chosen = by.decision?.chosen {
            json.key("chosen")
            json.json(chosen)
        }
        if let index = by.decision?.outcome,
            let rationale = by.decision?.nodes[index].member(.rationale)
        {
            json.key("rationale")
            json.json(rationale)
        }
        if let why = reference?.members.first(where: { $0.name == .why }) {
            json.key("why")
            json.json(why.source)
        }
        json.endObject()
        outcomes?.write(limit: outcomesMax, to: &json)
        json.endObject()
    }
}
