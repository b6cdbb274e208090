internal import LedgerFormat
internal import Packets

/// What people ask of a packet's reasoning first: who voted, what was chosen, what was not.
struct ReasoningWords {
    private let nodes: [ReasoningNode]
    let outcome: ReasoningNode?
    /// What the outcome chose, ready to be shown; nil if it chose nothing.
    let chosen: String?

    init?(_ packet: ChainPacket) {
        guard let decision = packet.decision, !decision.nodes.isEmpty else { return nil }
        nodes = decision.nodes
        outcome = decision.outcome.map { decision.nodes[$0] }
        chosen = decision.chosen.map(String.readable)
    }

    /// Who voted, with the option or the number, in the order of the nodes.
    var voters: [String] {
        nodes.flatMap { $0.votes }.map { vote in
            ([vote.name] + [vote.option ?? vote.vote ?? vote.score].compactMap(\.self))
                .joined(separator: " ")
        }
    }

    /// The alternatives that were not chosen.
    var rejected: [Alternative] { nodes.flatMap { $0.alternatives } }
}

/// What one voter said. Every text is ready to be shown.
struct Vote {
    let name: String
    private(set) var option: String?
    private(set) var vote: String?
    private(set) var score: String?
    private(set) var weight: String?
    private(set) var abstains = false
    private(set) var why: String?

    fileprivate init(_ name: String, _ value: Int, _ document: JSONDocument) {
        self.name = name
        guard document.tokens[value].kind == .object else {
            vote = String.readable(document.source(value))
            return
        }
        func member(_ name: String) -> String? {
            document.member(name, of: value).map { String.readable(document.source($0)) }
        }
        option = document.member("option", of: value).flatMap(document.string)?.asName
        (vote, score, weight) = (member("vote"), member("score"), member("weight"))
        abstains = member("abstain") == "true"
        why = document.member("rationale", of: value).flatMap(document.string)?.quoted
    }
}

/// What was not chosen. Every text is ready to be shown.
struct Alternative {
    let name: String
    let label: String?
    let score: String?
    let whyNot: String?

    /// `seg-b “Sponsor” (score 0.4): “overlaps”`.
    var text: String {
        let words = [name, label, score.map { "(score \($0))" }].compactMap(\.self)
        return words.filter { !$0.isEmpty }.joined(separator: " ")
            + (whyNot.map { ": \($0)" } ?? "")
    }

    fileprivate init(_ value: Int, _ document: JSONDocument) {
        func member(_ name: String) -> String? {
            document.member(name, of: value).flatMap(document.string)
        }
        name = member("id")?.asName ?? ""
        label = member("label")?.quoted
        score = document.member("score", of: value).map { String.readable(document.source($0)) }
        whyNot = member("why_not")?.quoted
    }
}

extension ReasoningNode {
    var votes: [Vote] {
        guard let document = document(.votes) else { return [] }
        return JSONChildren(document.tokens, of: 0).map { key in
            Vote(document.bytes.span.string(document.tokens[key]).asName, key + 1, document)
        }
    }

    var alternatives: [Alternative] {
        guard let document = document(.alternatives) else { return [] }
        return JSONChildren(document.tokens, of: 0).map { Alternative($0, document) }
    }

    /// Who reasoned.
    var agentName: String? {
        guard let document = document(.agent) else { return nil }
        let id = document.string(0) ?? document.member("id", of: 0).flatMap(document.string)
        return id?.asName
    }

    /// A member that is a string, as the worker wrote it.
    func words(_ name: MemberName) -> String? { document(name)?.string(0) }

    private func document(_ name: MemberName) -> JSONDocument? {
        member(name).flatMap { try? JSONDocument(Array($0)) }
    }
}
