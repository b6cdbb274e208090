internal import LedgerFormat
package import Packets

/// By what packets or steps are counted. What has several values counts for each of them once.
package enum GroupKey: String, CaseIterable, Sendable {
    case event
    case entityType = "entity_type"
    /// Who emitted it, by its own word.
    case worker
    /// Who reasoned; of a packet, in any of its steps.
    case agent
    /// What that is: human, model and so on.
    case agentType = "agent_type"
    /// Of `created_at`, in UTC.
    case day
    case kind, status, chosen
    case voter
    /// Whether the votes that were asked for did.
    case prevailed

    package static let ofPackets: [GroupKey] = [
        .event, .entityType, .worker, .agent, .agentType, .day,
    ]

    package static let ofSteps: [GroupKey] = allCases

    /// Counting by more would be a table that nobody reads.
    package static let countMax = 2

    /// Whether it belongs to each node of a packet.
    fileprivate var isOfNodes: Bool { self == .agent || self == .agentType }

    /// Whether it belongs to each vote of a step.
    package var isOfVotes: Bool { self == .voter || self == .prevailed }

    fileprivate func value(_ packet: ChainPacket, _ node: ReasoningNode?) -> String? {
        switch self {
        case .event: packet.event
        case .entityType: packet.entityType
        case .worker: packet.worker
        case .day: "\(packet.createdAt)".prefix(10).description
        case .agent: node?.agent
        case .agentType: node?.agentType
        case .kind: node?.kind
        case .status: node?.words(.status)
        case .chosen: node?.words(.chosen)
        case .voter, .prevailed: nil
        }
    }

    fileprivate func value(_ vote: FoundStep.Vote) -> String? {
        self == .voter ? vote.voter : vote.prevailed.map { "\($0)" }
    }
}

/// Counts by one or two keys.
package struct GroupCount: Sendable {
    private let keys: [GroupKey]
    private var counts: [[ExactText?]: Int] = [:]
    /// Counted, but in groups beyond the limit.
    private var others = 0
    private var total = 0

    /// Groups that are kept. Those that are have their whole count.
    package static let groupsMax = 10_000

    package init(_ keys: [GroupKey]) { self.keys = keys }

    /// A packet counts once for each agent, with its type.
    package mutating func add(_ packet: ChainPacket) {
        total += 1
        let nodes: [ReasoningNode?] =
            keys.contains(where: \.isOfNodes) ? packet.decision?.nodes ?? [] : []
        let stated = nodes.filter { $0?.agent != nil || $0?.agentType != nil }
        add(
            Set(
                (stated.isEmpty ? [nil] : stated).map { node in
                    keys.map { $0.value(packet, node).map { ExactText($0) } }
                }))
    }

    /// A step counts once, or once for each of its votes that are asked for, if these are.
    package mutating func add(_ step: FoundStep) {
        total += 1
        let votes: [FoundStep.Vote?] =
            keys.contains(where: \.isOfVotes) && !step.votes.isEmpty ? step.votes : [nil]
        for vote in votes {
            add([
                keys.map { key in
                    let value =
                        key.isOfVotes
                        ? vote.flatMap { key.value($0) } : key.value(step.packet, step.node)
                    return value.map { ExactText($0) }
                }
            ])
        }
    }

    private mutating func add(_ groups: Set<[ExactText?]>) {
        for group in groups {
            if counts[group] != nil || counts.count < Self.groupsMax {
                counts[group, default: 0] += 1
            } else {
                others += 1
            }
        }
    }

    /// Writes the groups, the largest first.
    package func write(to json: inout JSONWriter) {
        func text(_ group: [ExactText?]) -> [String] { group.map { $0?.description ?? "" } }
        let sorted = counts.sorted { left, right in
            left.value != right.value
                ? left.value > right.value
                : text(left.key).lexicographicallyPrecedes(text(right.key)) {
                    $0.utf8.lexicographicallyPrecedes($1.utf8)
                }
        }
        json.key("groups")
        json.array(sorted) { group, json in
            json.beginObject()
            for (key, value) in zip(keys, group.key) {
                json.key(key.rawValue)
                switch value {
                case nil: json.null()
                case let value? where key == .prevailed: json.boolean(value.description == "true")
                case let value?: json.string(value.description)
                }
            }
            json.member("count", group.value)
            json.endObject()
        }
        json.member("total", total)
        json.member("others", others)
    }
}

extension ReasoningNode {
    var agentType: String? {
        guard let document = member(.agent).flatMap({ try? JSONDocument(Array($0)) }) else {
            return nil
        }
        return document.member("type", of: 0).flatMap(document.string)
    }
}
