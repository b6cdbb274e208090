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

    /// The values of a packet; nil stands for none.
    func values(_ packet: ChainPacket) -> [String?] {
        switch self {
        case .event: [packet.event]
        case .entityType: [packet.entityType]
        case .worker: [packet.worker]
        case .agent: Self.distinct((packet.decision?.nodes ?? []).map(\.agent))
        case .agentType: Self.distinct((packet.decision?.nodes ?? []).map(\.agentType))
        case .day: ["\(packet.createdAt)".prefix(10).description]
        case .kind, .status, .chosen, .voter, .prevailed: [nil]
        }
    }

    /// The values of a step.
    func values(_ step: FoundStep) -> [String?] {
        switch self {
        case .event, .entityType, .worker, .day: values(step.packet)
        case .agent: [step.node.agent]
        case .agentType: [step.node.agentType]
        case .kind: [step.node.kind]
        case .status: [step.node.words(.status)]
        case .chosen: [step.node.words(.chosen)]
        case .voter: Self.distinct(step.node.ballots.map(\.voter))
        case .prevailed:
            step.votes.isEmpty ? [nil] : step.votes.map { $0.prevailed.map { "\($0)" } }
        }
    }

    private static func distinct(_ values: [String?]) -> [String?] {
        let found = Set(values.compactMap(\.self))
        return found.isEmpty ? [nil] : found.sorted()
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

    package mutating func add(_ packet: ChainPacket) { add(keys.map { $0.values(packet) }) }

    package mutating func add(_ step: FoundStep) { add(keys.map { $0.values(step) }) }

    private mutating func add(_ values: [[String?]]) {
        total += 1
        var groups: [[ExactText?]] = [[]]
        for values in values {
            groups = groups.flatMap { group in
                values.map { group + [$0.map { ExactText($0) }] }
            }
        }
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
                if let value { json.string(value.description) } else { json.null() }
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
