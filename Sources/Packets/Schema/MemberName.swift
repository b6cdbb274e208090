/// The member names that have a meaning in the schema.
package enum MemberName: UInt8, CaseIterable, Sendable {
    case stardustID, entityType, entityID, lineage, decisionChain, createdAt
    case traceID, spanID, schema, producer, metaParents, event, evidence, decisionContext, facets
    case worker, version, instance, runID, seq
    case packetHash, uri, relation, region, node, why, start, end, unit
    case id, digest, mediaType, bytes, role, retainUntil
    case question, decisionKey, nodes, outcome, halolux
    case kind, agent, title, rationale, parents, inputs, votes, options, alternatives, chosen
    case score, scores, confidence, threshold, method, status, at, durationMS
    case type, model, onBehalfOf, vote, option, weight, abstain, label, whyNot

    package var text: StaticString {
        switch self {
        case .stardustID: "stardust_id"
        case .entityType: "entity_type"
        case .entityID: "entity_id"
        case .lineage: "lineage"
        case .decisionChain: "decision_chain"
        case .createdAt: "created_at"
        case .traceID: "trace_id"
        case .spanID: "span_id"
        case .schema: "_schema"
        case .producer: "_producer"
        case .metaParents: "_meta_parents"
        case .event: "event"
        case .evidence: "evidence"
        case .decisionContext: "decision_context"
        case .facets: "facets"
        case .worker: "worker"
        case .version: "version"
        case .instance: "instance"
        case .runID: "run_id"
        case .seq: "seq"
        case .packetHash: "packet_hash"
        case .uri: "uri"
        case .relation: "relation"
        case .region: "region"
        case .node: "node"
        case .why: "why"
        case .start: "start"
        case .end: "end"
        case .unit: "unit"
        case .id: "id"
        case .digest: "digest"
        case .mediaType: "media_type"
        case .bytes: "bytes"
        case .role: "role"
        case .retainUntil: "retain_until"
        case .question: "question"
        case .decisionKey: "decision_key"
        case .nodes: "nodes"
        case .outcome: "outcome"
        case .halolux: "halolux"
        case .kind: "kind"
        case .agent: "agent"
        case .title: "title"
        case .rationale: "rationale"
        case .parents: "parents"
        case .inputs: "inputs"
        case .votes: "votes"
        case .options: "options"
        case .alternatives: "alternatives"
        case .chosen: "chosen"
        case .score: "score"
        case .scores: "scores"
        case .confidence: "confidence"
        case .threshold: "threshold"
        case .method: "method"
        case .status: "status"
        case .at: "at"
        case .durationMS: "duration_ms"
        case .type: "type"
        case .model: "model"
        case .onBehalfOf: "on_behalf_of"
        case .vote: "vote"
        case .option: "option"
        case .weight: "weight"
        case .abstain: "abstain"
        case .label: "label"
        case .whyNot: "why_not"
        }
    }

    /// The member name with this text; nil if the schema does not define it.
    @inline(__always)
    static func named(_ text: ShortText) -> MemberName? {
        var slot = text.bucket
        while let entry = table[slot] {
            if entry.text == text { return entry.name }
            slot = (slot + 1) & 255
        }
        return nil
    }

    private static let table: [(text: ShortText, name: MemberName)?] = {
        var table: [(text: ShortText, name: MemberName)?] = Array(repeating: nil, count: 256)
        for name in allCases {
            let text = ShortText(name.text)
            var slot = text.bucket
            while table[slot] != nil { slot = (slot + 1) & 255 }
            table[slot] = (text, name)
        }
        return table
    }()
}
