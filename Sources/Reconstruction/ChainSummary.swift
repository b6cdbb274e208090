internal import LedgerFormat
internal import Packets

/// The chain in a few lines: what was decided, by whom, what was rejected, and what came of it.
extension Chain {
    package var summary: String { ChainSummary(self).text }
}

private struct ChainSummary {
    private let chain: Chain
    private let targets: [Chain.Entry]
    /// Packets that were derived from the targets.
    private let descendants: Set<Position>

    /// Packets of a target, or entities, that are listed; the newest.
    private static let listed = 10

    init(_ chain: Chain) {
        self.chain = chain
        let named = chain.packets.filter { chain.request.target.isNamed(by: $0.packet) }
        // A trace is the packets that carry its id.
        if named.isEmpty, case .trace(let id) = chain.request.target {
            targets = chain.packets.filter { $0.packet.traceID == id }
        } else {
            targets = named
        }
        descendants = Self.descendants(of: targets.map(\.packet.position), chain)
    }

    var text: String {
        guard !targets.isEmpty else { return "no packets\n" }
        var lines =
            targets.count > Self.listed ? ["\(targets.count - Self.listed) earlier packets"] : []
        for entry in targets.suffix(Self.listed) { lines += about(entry) }
        lines += roots + results + doubts
        lines.append(
            "as of ledger size \(chain.size); [n] is the packet at position n of the ledger")
        return lines.joined(separator: "\n") + "\n"
    }

    private func line(_ word: String, _ text: String) -> String {
        "  " + word + String(repeating: " ", count: max(1, 11 - word.count)) + text
    }

    private func name(_ packet: ChainPacket) -> String {
        "\(packet.entityType.asName)/\(packet.entityID)"
            + (packet.event.map { ", \($0.asName)" } ?? "") + " [\(packet.position)]"
    }

    private func about(_ entry: Chain.Entry) -> [String] {
        let packet = entry.packet
        var lines = [name(packet)]
        guard let words = ReasoningWords(packet), let outcome = words.outcome else {
            return lines + [line("decided", "the packet states no reasoning")]
        }
        var decided = outcome.kind.asName + (outcome.agentName.map { " by \($0)" } ?? "")
        if let chosen = words.chosen { decided += ": chose \(chosen)" }
        if let confidence = outcome.member(.confidence) {
            decided += " (confidence \(String.readable(confidence)))"
        }
        lines.append(line("decided", decided))
        if let because = outcome.words(.rationale) { lines.append(line("because", because.quoted)) }
        let voters = words.voters
        if !voters.isEmpty { lines.append(line("voters", voters.joined(separator: ", "))) }
        lines += words.rejected.map { line("rejected", $0.text) }
        return lines
    }

    /// What everything started from.
    private var roots: [String] {
        let own = Set(targets.map(\.packet.position))
        let children = Set(chain.edges.filter { $0.to != nil }.map(\.from))
        let roots = chain.packets.map(\.packet).filter {
            !children.contains($0.position) && !own.contains($0.position)
                && !descendants.contains($0.position)
        }
        guard !roots.isEmpty else { return [] }
        return ["FROM"] + listed(roots)
    }

    /// The newest packet of each entity that was built on the target.
    private var results: [String] {
        guard chain.request.direction != .upstream else { return [] }
        var newest: [String: Position] = [:]
        let made = chain.packets.map(\.packet).filter { descendants.contains($0.position) }
        for packet in made {
            let name = "\(packet.entityType) \(packet.entityID)"
            newest[name] = max(newest[name] ?? packet.position, packet.position)
        }
        let last = Set(newest.values)
        let shown = made.filter { last.contains($0.position) }
        return ["WHAT CAME OF IT"] + (shown.isEmpty ? ["  nothing yet"] : listed(shown))
    }

    private func listed(_ packets: [ChainPacket]) -> [String] {
        let more = packets.count - Self.listed
        return packets.suffix(Self.listed).map { "  " + name($0) }
            + (more > 0 ? ["  and \(more) earlier ones"] : [])
    }

    private static func descendants(of targets: [Position], _ chain: Chain) -> Set<Position> {
        let children = Dictionary(grouping: chain.edges.filter { $0.to != nil }) { $0.to! }
        var found: Set<Position> = []
        var open = targets
        while let position = open.popLast() {
            for edge in children[position] ?? [] where found.insert(edge.from).inserted {
                open.append(edge.from)
            }
        }
        return found.subtracting(targets)
    }

    /// What makes any of it doubtful.
    private var doubts: [String] {
        var lines: [String] = []
        for entry in targets.suffix(Self.listed) {
            if entry.standing != .current, entry.standing != .revised {
                lines.append("  [\(entry.packet.position)] is \(entry.standing.rawValue)")
            }
            if entry.isTainted == true {
                lines.append("  [\(entry.packet.position)] builds on a retracted packet")
            }
        }
        // That there is a later version of something is how entities live.
        let kinds = Set(chain.conflicts.map(\.kind).filter { $0 != .revised }.map(\.rawValue))
        if !kinds.isEmpty { lines.append("  conflicts: " + kinds.sorted().joined(separator: ", ")) }
        if !chain.isComplete {
            let reasons = chain.reasons.map(\.rawValue).joined(separator: ", ")
            lines.append("  incomplete: \(reasons)")
        }
        return lines.isEmpty ? [] : ["IN DOUBT"] + lines
    }
}
