internal import LedgerFormat
internal import Packets

/// Decisions that rest on some packets: those of what was built on them, and perhaps their own.
struct OutcomesBelow: Sendable {
    private(set) var outcomes: [Outcome] = []
    /// Whether everything downstream was looked at.
    private(set) var isComplete = true

    struct Outcome: Sendable {
        let packet: ChainPacket
        let node: ReasoningNode
        /// References from the nearest of the packets.
        let depth: Int
        let standing: Standing.State
    }

    /// Looks at up to `packetsMax` packets, the nearest first; not at `replacement`, which stands in the
    /// place of the packets, nor beyond it.
    init<Source: ChainSource>(
        _ roots: [ChainPacket], withOwn: Bool, without replacement: Position? = nil,
        in source: Source, _ book: EdgeBook<Source>,
        _ standings: StandingBook<Source>, packetsMax: Int
    ) throws(Source.Failure) {
        var (level, depth) = (roots, 0)
        var seen = Set(roots.map(\.position) + [replacement].compactMap(\.self))
        while !level.isEmpty {
            var next: [ChainPacket] = []
            for packet in level {
                if depth > 0 || withOwn, let decision = packet.decision,
                    let index = decision.outcome,
                    decision.chosen != nil
                {
                    outcomes.append(
                        Outcome(
                            packet: packet, node: decision.nodes[index], depth: depth,
                            standing: try standings.standing(of: packet).state))
                }
                try source.eachChild(of: packet) { (candidate) throws(Source.Failure) in
                    guard !seen.contains(candidate) else { return true }
                    guard seen.count < packetsMax else {
                        isComplete = false
                        return false
                    }
                    guard let child = try source.packet(at: candidate),
                        try book.edges(of: child).contains(where: {
                            $0.to == packet.position && $0.isUse
                        })
                    else { return true }
                    seen.insert(candidate)
                    next.append(child)
                    return true
                }
            }
            (level, depth) = (next, depth + 1)
        }
        if source.isPartlyUnindexed { isComplete = false }
        outcomes.sort { ($0.depth, $0.packet.position) < ($1.depth, $1.packet.position) }
    }

    /// Writes at most `limit` of them, and how many there are.
    func write(limit: Int, to json: inout JSONWriter) {
        json.key("outcomes")
        json.array(Array(outcomes.prefix(limit))) { outcome, json in
            json.beginObject()
            json.identify(outcome.packet)
            json.member("depth", outcome.depth)
            json.member("standing", outcome.standing.rawValue)
            json.key("step")
            json.string(outcome.packet.stardustID, fragment: outcome.node.id.description)
            json.key("chosen")
            json.json(outcome.node.member(.chosen) ?? Array("null".utf8)[...])
            json.endObject()
        }
        json.member("outcomes_count", outcomes.count)
        json.member("outcomes_complete", isComplete)
    }
}
