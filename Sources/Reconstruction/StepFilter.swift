package import LedgerFormat
package import Packets

/// Selects steps of reasoning: nodes of decision chains. Every condition that is set must hold, with
/// one of its values.
package struct StepFilter: Sendable {
    /// Who reasoned.
    package var agents = Names()
    package var kinds = Names()
    /// Who voted.
    package var voters = Names()
    /// What was proposed, voted for, chosen or rejected.
    package var options = Names()
    package var chosen = Names()
    package var statuses = Names()
    package var confidenceBelow: Double?
    package var texts: [TextPattern] = []
    /// Whether all votes of the steps are wanted where no voter is named.
    package var wantsVotes = false

    /// Names of which one must be there; none mean any.
    package struct Names: Sendable {
        let all: [String]
        private let known: Set<ExactText>

        package init(_ all: [String] = []) {
            self.all = all
            known = Set(all.map { ExactText($0) })
        }

        func contains(_ name: String) -> Bool { known.contains(ExactText(name)) }

        func holds(_ found: @autoclosure () -> [String]) -> Bool {
            all.isEmpty || found().contains(where: contains)
        }
    }

    package init() {}

    /// Terms of the packets that may have such a step.
    package func require(in query: inout StepTerms) {
        query.require(agents.all) { name in
            [#"{"agent":\#(name)}"#, #"{"agent":{"id":\#(name)}}"#]
        }
        query.require(kinds.all) { [#"{"kind":\#($0)}"#] }
        query.require(statuses.all) { [#"{"status":\#($0)}"#] }
        query.require(chosen.all) { [#"{"chosen":\#($0)}"#] }
        query.requireTerms(voters.all.map { [query.key.voter($0)] })
        let named = options.all.flatMap { option in
            query.alternatives(option) { name in
                [
                    #"{"chosen":\#(name)}"#, #"{"options":[{"id":\#(name)}]}"#,
                    #"{"alternatives":[{"id":\#(name)}]}"#,
                ]
            } + [[query.key.votedOption(option)]]
        }
        query.requireTerms(named)
        query.requireTerms(texts.map { $0.terms(query.key) })
    }

    /// The steps of a packet that match, in the order of its nodes.
    package func steps(of packet: ChainPacket) -> [FoundStep] {
        guard let decision = packet.decision else { return [] }
        return decision.nodes.indices.filter { matches(decision.nodes[$0]) }.map {
            FoundStep(
                packet, decision, $0, voters: wantsVotes || !voters.all.isEmpty ? voters : nil)
        }
    }

    private func matches(_ node: ReasoningNode) -> Bool {
        guard kinds.holds([node.kind]), agents.holds([node.agent].compactMap(\.self)),
            statuses.holds([node.words(.status)].compactMap(\.self)),
            chosen.holds([node.words(.chosen)].compactMap(\.self)),
            voters.holds(node.ballots.map(\.voter)), options.holds(node.optionNames)
        else { return false }
        if let confidenceBelow {
            guard let confidence = node.member(.confidence),
                let value = Double(String(decoding: confidence, as: UTF8.self)),
                value < confidenceBelow
            else { return false }
        }
        return texts.isEmpty || texts.contains { node.has($0) }
    }
}

/// The terms that a search for steps needs: those of a step's members, wherever a decision chain has its
/// nodes.
package struct StepTerms: ~Copyable {
    package let key: TermKey
    private var scanner: TermScanner
    /// Of each condition the alternatives, each with the terms that it needs.
    package private(set) var groups: [[[UInt64]]] = []

    package init(_ key: TermKey) {
        self.key = key
        scanner = TermScanner(key: key)
    }

    mutating func requireTerms(_ alternatives: [[UInt64]]) {
        if !alternatives.isEmpty { groups.append(alternatives) }
    }

    /// Requires one of some values; `nodes` says which nodes have a value, given as JSON.
    mutating func require(_ values: [String], _ nodes: (String) -> [String]) {
        requireTerms(values.flatMap { alternatives($0, nodes) })
    }

    mutating func alternatives(_ value: String, _ nodes: (String) -> [String]) -> [[UInt64]] {
        var json = JSONWriter()
        json.string(value)
        return nodes(String(decoding: json.bytes, as: UTF8.self)).flatMap { node in
            ["[\(node)]", "{\"nodes\":[\(node)]}"].map { pattern in
                scanner.pattern(Array(pattern.utf8).span, in: .decisionChain)
            }
        }
    }
}

/// What one voter said, for programs.
struct Ballot {
    let voter: String
    /// The option that it names; nil if it names none, or abstains.
    let option: String?
    let abstains: Bool
    /// As it was sent.
    let source: ArraySlice<UInt8>
}

extension ReasoningNode {
    var agent: String? {
        guard let document = member(.agent).flatMap({ try? JSONDocument(Array($0)) }) else {
            return nil
        }
        return document.string(0) ?? document.member("id", of: 0).flatMap(document.string)
    }

    var ballots: [Ballot] {
        guard let document = member(.votes).flatMap({ try? JSONDocument(Array($0)) }),
            document.tokens[0].kind == .object
        else { return [] }
        return JSONChildren(document.tokens, of: 0).map { key in
            let value = key + 1
            func text(_ name: String) -> String? {
                document.member(name, of: value).flatMap(document.string)
            }
            let abstains =
                document.member("abstain", of: value).map { document.tokens[$0].kind == .true }
                ?? false
            let option = document.string(value) ?? text("option") ?? text("vote")
            return Ballot(
                voter: document.bytes.span.string(document.tokens[key]),
                option: abstains ? nil : option, abstains: abstains,
                source: document.source(value))
        }
    }

    /// Every option that the step names.
    var optionNames: [String] {
        var names = ballots.compactMap(\.option)
        if let chosen = words(.chosen) { names.append(chosen) }
        for list in [MemberName.options, .alternatives] {
            guard let document = member(list).flatMap({ try? JSONDocument(Array($0)) }),
                document.tokens[0].kind == .array
            else { continue }
            names += JSONChildren(document.tokens, of: 0).compactMap { option in
                document.member("id", of: option).flatMap(document.string)
            }
        }
        return names
    }

    func has(_ pattern: TextPattern) -> Bool {
        guard let document = try? JSONDocument(Array(source)) else { return false }
        return pattern.isContained(in: document.tokens, document.bytes.span, at: [0])
    }
}

/// A step that was searched for, with what its packet's decision came to.
package struct FoundStep: Sendable {
    let packet: ChainPacket
    let node: ReasoningNode
    /// Its place among the packet's nodes.
    package let index: Int
    let isOutcome: Bool
    /// What the packet's outcome chose, as it was sent.
    let packetChose: ArraySlice<UInt8>?
    /// The votes that were asked for.
    let votes: [Vote]

    struct Vote: Sendable {
        let voter: String
        let option: String?
        let abstains: Bool
        /// Whether the option is what the packet's decision chose; nil if either names none.
        let prevailed: Bool?
        let source: ArraySlice<UInt8>
    }

    fileprivate init(
        _ packet: ChainPacket, _ decision: Decision, _ index: Int, voters: StepFilter.Names?
    ) {
        (self.packet, self.index) = (packet, index)
        node = decision.nodes[index]
        isOutcome = index == decision.outcome
        packetChose = decision.chosen
        let chosen = decision.outcome.flatMap { decision.nodes[$0].words(.chosen) }
            .map(ExactText.init)
        votes =
            voters == nil
            ? []
            : node.ballots.filter { voters!.holds([$0.voter]) }.map { ballot in
                let option = ballot.option.map(ExactText.init)
                let prevailed = option.flatMap { option in chosen.map { $0 == option } }
                return Vote(
                    voter: ballot.voter, option: ballot.option, abstains: ballot.abstains,
                    prevailed: prevailed, source: ballot.source)
            }
    }

    package var position: Position { packet.position }
    package var payloadBytes: Int { packet.payload.count }

    package func write(to json: inout JSONWriter) {
        json.beginObject()
        json.key("id")
        json.string(packet.stardustID, fragment: node.id.description)
        json.member("packet", packet.stardustID)
        json.member("position", packet.position.value)
        json.member("pointer", node.pointer)
        json.member("entity_type", packet.entityType)
        json.member("entity_id", packet.entityID)
        json.member("created_at", packet.createdAt)
        json.member("received_at", packet.entry.receivedAt)
        json.member("entry_hash", packet.entryHash)
        json.member("kind", node.kind)
        json.member("outcome", isOutcome)
        json.key("packet_chose")
        if let packetChose { json.json(packetChose) } else { json.null() }
        if !votes.isEmpty {
            json.key("voted")
            json.array(votes) { vote, json in
                json.beginObject()
                json.member("voter", vote.voter)
                json.key("option")
                if let option = vote.option { json.string(option) } else { json.null() }
                if vote.abstains { json.member("abstains", true) }
                json.key("prevailed")
                if let prevailed = vote.prevailed { json.boolean(prevailed) } else { json.null() }
                json.key("vote")
                json.json(vote.source)
                json.endObject()
            }
        }
        json.members(node.members)
        json.endObject()
    }
}
