internal import LedgerFormat
internal import Packets

/// The chain as text for people. Every line is about a packet, which SOURCES lists by position and
/// hash. Text that workers wrote is escaped.
extension Chain {
    package var text: String { ChainText(self).text }
}

private struct ChainText {
    private let chain: Chain
    private let stepsByPacket: [Position: [ChainStep]]
    private let edges: [Position: [ChainEdge]]

    init(_ chain: Chain) {
        self.chain = chain
        edges = Dictionary(grouping: chain.edges, by: \.from)
        stepsByPacket = Dictionary(grouping: chain.steps, by: \.packet)
    }

    var text: String {
        guard !chain.packets.isEmpty else { return "no packets\n" }
        var lines = [title, summary, ""]
        for entry in chain.packets {
            let steps = stepsByPacket[entry.packet.position] ?? []
            guard !steps.isEmpty else { continue }
            lines.append(heading(entry))
            lines += parents(entry.packet)
            lines += questions(entry.packet)
            for step in steps { lines += text(step) }
            lines.append("")
        }
        lines += silentPackets
        lines += incompleteness
        lines += conflictLines
        lines += amendmentLines
        lines += evidenceLines
        lines.append("SOURCES")
        for entry in chain.packets { lines += source(entry) }
        lines += chain.amenders.map { "  " + cited($0) }
        return lines.joined(separator: "\n") + "\n"
    }

    // MARK: Head

    private var title: String {
        switch (chain.request.direction, chain.request.target) {
        case (.upstream, let target): "WHY \(name(target))"
        case (.downstream, let target): "WHAT CAME OF \(name(target))"
        case (.both, let target): "WHY \(name(target)), AND WHAT CAME OF IT"
        }
    }

    private func name(_ target: ChainTarget) -> String {
        switch target {
        case .packet(let id): "packet \(id)"
        case .entity(let type, let id): "\(type.asName)/\(id)"
        case .trace(let id): "trace \(id.digits)"
        }
    }

    private var summary: String {
        "as of ledger size \(chain.size)" + (chain.proofs.map { ", root \($0.root.hex)" } ?? "")
            + "; \(chain.packets.count) packets, \(chain.steps.count) steps"
            + (chain.isComplete ? "" : "; incomplete")
            + "\n◆ what was asked for; [n] the packet at position n of the ledger"
            + (chain.request.direction == .upstream
                ? "; what came of it: --direction downstream" : "")
    }

    private func heading(_ entry: Chain.Entry) -> String {
        let packet = entry.packet
        let event = packet.event.map { ", \($0.asName)" } ?? ""
        let mark = chain.request.target.isNamed(by: packet) ? "◆ " : ""
        return "\(mark)\(packet.entityType.asName)/\(packet.entityID)\(event) [\(packet.position)]"
            + standing(entry)
    }

    /// What a packet was derived from.
    private func parents(_ packet: ChainPacket) -> [String] {
        let parents = edges[packet.position, default: []].compactMap { edge in
            edge.to.map { "[\($0)] \(edge.relation.asName)" }
        }
        return parents.isEmpty ? [] : ["  from " + parents.joined(separator: ", ")]
    }

    /// What was to be decided.
    private func questions(_ packet: ChainPacket) -> [String] {
        packet.members.filter { $0.name != .producer }.map { member in
            "  \(member.name.text) \(value(member.source))"
        }
    }

    private func standing(_ entry: Chain.Entry) -> String {
        let own = entry.standing == .current ? "" : ", \(entry.standing.rawValue.uppercased())"
        return switch entry.isTainted {
        case false?: own
        case true?: own + ", TAINTED by a retracted packet"
        case nil: own + ", not known whether tainted: it has too many ancestors"
        }
    }

    /// Packets that state no reasoning.
    private var silentPackets: [String] {
        let silent = chain.packets.filter { stepsByPacket[$0.packet.position] == nil }
        guard !silent.isEmpty else { return [] }
        return ["WITHOUT REASONING"]
            + silent.flatMap { ["  " + heading($0)] + parents($0.packet).map { "  " + $0 } } + [""]
    }

    // MARK: Steps

    private func text(_ step: ChainStep) -> [String] {
        let node = step.node
        var head = (step.isOutcome ? " ▶" : "  ") + "\(step.number). \(node.kind.asName)"
        if let agent = node.agentName { head += " by \(agent)" }
        if let chosen = node.member(.chosen) { head += ": chose \(value(chosen))" }
        if let confidence = node.member(.confidence) {
            head += " (confidence \(value(confidence)))"
        }
        var lines = [head]
        let indent = "     "
        if step.areParentsImplied {
            lines.append(indent + "(linked by _meta_parents, not stated by the worker)")
        }
        if let title = node.words(.title) { lines.append(indent + title.quoted) }
        if let score = node.member(.score) { lines.append(indent + "score \(value(score))") }
        if let status = node.words(.status), status != "accepted" {
            lines.append(indent + "status \(status.asName)")
        }
        for name in [MemberName.method, .threshold, .options] {
            if let member = node.member(name) {
                lines.append(indent + "\(name.text) \(value(member))")
            }
        }
        lines += votes(node).map { indent + $0 }
        if let scores = node.member(.scores) { lines.append(indent + "scores \(value(scores))") }
        if let rationale = node.words(.rationale) {
            lines.append(indent + "because \(rationale.quoted)")
        }
        lines += node.alternatives.map { indent + "not " + $0.text }
        return lines
    }

    private func votes(_ node: ReasoningNode) -> [String] {
        let votes = node.votes
        let width = votes.map(\.name.count).max() ?? 0
        return votes.map { vote in
            let parts = [
                vote.option, vote.vote, vote.score, vote.weight.map { "×\($0)" },
                vote.abstains ? "abstains" : nil, vote.why,
            ]
            return vote.name + String(repeating: " ", count: width - vote.name.count) + "  "
                + parts.compactMap(\.self).joined(separator: " ")
        }
    }

    // MARK: Foot

    private var incompleteness: [String] {
        guard !chain.isComplete else { return [] }
        let head = "INCOMPLETE: \(chain.reasons.map(\.rawValue).joined(separator: ", "))"
        return [head] + chain.frontier.map { "  " + text($0) } + [""]
    }

    private func text(_ item: FrontierItem) -> String {
        let from = item.from.map { "position \($0)" } ?? "the target"
        if let reference = item.reference {
            let named = value(reference.source)
            let why = reference.why.map { " (\($0.quoted))" } ?? ""
            let fate = item.later.map { "came later, at position \($0)" } ?? "is not in the ledger"
            return "\(from) names \(named)\(why), which \(fate)"
        }
        let position = item.position.map { "position \($0)" } ?? "more"
        return "\(from) leads to \(position), which was not followed: \(item.reason.rawValue)"
    }

    private var conflictLines: [String] {
        var lines = chain.conflicts.map { conflict in
            let place = conflict.pointer.map { " at \(escaped($0))" } ?? ""
            let positions = conflict.positions.map(\.description).joined(separator: ", ")
            return "  \(conflict.kind.rawValue): \(escaped(conflict.detail)) "
                + "(position \(positions)\(place))"
        }
        lines += chain.cyclesCut.map {
            "  cycle: position \($0.from) and its parent \($0.to) wait for each other"
        }
        return lines.isEmpty ? [] : ["CONFLICTS"] + lines + [""]
    }

    /// Who says what about a packet, and why.
    private var amendmentLines: [String] {
        guard !chain.amendments.isEmpty else { return [] }
        let lines = chain.amendments.map { amendment, isInForce in
            let packet = amendment.child
            let why = amendment.edge.reference.why.map { ", because \($0.quoted)" } ?? ""
            return "  position \(packet.position) \(verb(amendment)) position \(amendment.target), "
                + "created \(packet.createdAt)\(why)"
                + (isInForce ? "" : " (not in force: it was retracted itself)")
        }
        return ["AMENDMENTS"] + lines + [""]
    }

    private func verb(_ amendment: Amendment) -> String {
        switch amendment.state {
        case .retracted: "retracts"
        case .superseded: "supersedes"
        case .revised, .current: "revises"
        }
    }

    private var evidenceLines: [String] {
        guard !chain.evidence.isEmpty else { return [] }
        let lines = chain.evidence.map { item in
            func members(_ members: [RepeatedMember]) -> String {
                members.filter { $0.name == .role || $0.name == .uri }
                    .map { " \(value($0.source))" }.joined()
            }
            guard item.isContested else {
                let citers = item.citedBy.map { $0.description.asName }.joined(separator: ", ")
                return "  \(item.digest.asName)\(members(item.agreed)), cited by \(citers)"
            }
            let statements = item.statements.map {
                ", cited by \($0.packet) as\(members($0.members))"
            }
            return "  " + item.digest.asName + statements.joined()
        }
        return ["EVIDENCE"] + lines + [""]
    }

    private func source(_ entry: Chain.Entry) -> [String] {
        let packet = entry.packet
        let steps = stepsByPacket[packet.position] ?? []
        let pointers = steps.map { "\($0.number) = \($0.node.pointer)" }.joined(separator: ", ")
        return [
            "  " + cited(packet)
        ] + (steps.isEmpty ? [] : ["      steps \(pointers)"])
    }

    private func cited(_ packet: ChainPacket) -> String {
        "[\(packet.position)] \(packet.stardustID) "
            + packet.entryHash.tagged + inclusion(packet.position)
    }

    private func inclusion(_ position: Position) -> String {
        chain.proofs?.inclusion[position].map { " inclusion proof \($0.count) hashes" } ?? ""
    }

    // MARK: Values

    /// A value as written, safe to show.
    private func value(_ source: ArraySlice<UInt8>) -> String {
        String.readable(source)
    }

    private func escaped(_ text: String) -> String { text.escapedForTerminals }
}
