package import LedgerFormat
internal import Packets

/// A packet as far as a chain needs it.
package struct ChainPacket: Sendable {
    package let position: Position
    package let stardustID: UUID128
    package let createdAt: Timestamp
    package let entryHash: Digest
    package let payloadDigest: Digest
    package let entityType: String
    package let entityID: UUID128
    package let traceID: UUID128?
    package let event: String?
    /// Who emitted it, by its own account.
    let worker: String?
    package let parents: [ParentReference]
    let decision: Decision?
    let evidence: [EvidenceItem]
    let payloadBytes: Int

    /// Reads a stored packet. Nil for an entry that is none.
    package init?(_ entry: Entry, entryHash: Digest, payload: [UInt8]) {
        guard let document = try? JSONDocument(payload),
            let outline = PacketOutline(document.tokens, document.bytes.span)
        else { return nil }
        position = entry.position
        stardustID = entry.stardustID
        createdAt = entry.createdAt
        payloadDigest = entry.payloadDigest
        payloadBytes = payload.count
        self.entryHash = entryHash
        entityType = outline.entityType
        entityID = outline.entityID
        let lineage = outline.lineage
        traceID = document.member("trace_id", of: lineage).flatMap(document.string).flatMap {
            UUID128(anyText: Array($0.utf8).span)
        }
        event = document.member("event", of: lineage).flatMap(document.string)
        worker = document.member("_producer", of: lineage)
            .flatMap { document.member("worker", of: $0) }.flatMap(document.string)
        parents =
            document.member("_meta_parents", of: lineage).map { list in
                JSONChildren(document.tokens, of: list).enumerated().map {
                    ParentReference(document, $0.element, index: $0.offset)
                }
            } ?? []
        evidence =
            document.member("evidence", of: lineage).map { list in
                JSONChildren(document.tokens, of: list).compactMap { EvidenceItem(document, $0) }
            } ?? []
        decision = outline.decisionChain.map { Decision(document, $0) }
    }
}

/// An element of `_meta_parents`: a bare id, or an object that names a packet in one or more ways.
package struct ParentReference: Sendable {
    /// Its place in the list.
    package let index: Int
    package let id: UUID128?
    package let hash: PacketHash?
    package let entity: EntityName?
    package let uri: String?
    package let relation: String
    /// Why, in the worker's words.
    let why: String?
    /// As it was written, a bare id as an object.
    let source: [UInt8]

    package enum PacketHash: Hashable, Sendable {
        case sha256(Digest)
        /// By an algorithm that the ledger does not have.
        case unsupported
    }

    init(_ document: JSONDocument, _ token: Int, index: Int) {
        self.index = index
        func text(_ name: String) -> String? {
            document.member(name, of: token).flatMap(document.string)
        }
        if let bare = document.string(token) {
            id = UUID128(bare)
            source = Array("{\"stardust_id\":".utf8) + document.source(token) + [0x7D]
        } else {
            id = text("stardust_id").flatMap { UUID128($0) }
            source = Array(document.source(token))
        }
        hash = text("packet_hash").map { hash in
            guard hash.hasPrefix("sha256:"), let digest = Digest(hex: hash.dropFirst(7)) else {
                return .unsupported
            }
            return .sha256(digest)
        }
        if let type = text("entity_type"), let id = text("entity_id").flatMap({ UUID128($0) }) {
            entity = EntityName(type: type, id: id)
        } else {
            entity = nil
        }
        uri = text("uri")
        relation = text("relation") ?? "derived_from"
        why = text("why")
    }

    /// Whether it says something of the parent itself, not only that it was used.
    package var isAmendment: Bool { ["retracts", "supersedes", "revision_of"].contains(relation) }
}

package struct EntityName: Hashable, Sendable {
    package var type: String
    package var id: UUID128

    package init(type: String, id: UUID128) {
        self.type = type
        self.id = id
    }
}

/// An element of `evidence`.
struct EvidenceItem: Sendable {
    /// The name that decision nodes cite it by.
    let id: String?
    let digest: String
    /// Members that are repeated as they were written.
    let members: [(name: StaticString, source: [UInt8])]

    init?(_ document: JSONDocument, _ token: Int) {
        if let bare = document.string(token) {
            (id, digest, members) = (nil, bare, [])
            return
        }
        guard let digest = document.member("digest", of: token).flatMap(document.string) else {
            return nil
        }
        self.digest = digest
        id = document.member("id", of: token).flatMap(document.string)
        let names: [StaticString] = ["uri", "role", "media_type", "bytes", "retain_until"]
        members = names.compactMap { name in
            document.member("\(name)", of: token).map { (name, Array(document.source($0))) }
        }
    }
}

/// A packet's reasoning.
struct Decision: Sendable {
    let key: String?
    let question: String?
    let nodes: [ReasoningNode]
    /// Index of the node that is the packet's outcome; nil where there are no nodes.
    let outcome: Int?

    init(_ document: JSONDocument, _ chain: Int) {
        let isObject = document.tokens[chain].kind == .object
        func text(_ name: String) -> String? {
            document.member(name, of: chain).flatMap(document.string)
        }
        key = text("decision_key")
        question = text("question")
        let list = isObject ? document.member("nodes", of: chain) : chain
        let pointer = isObject ? "/decision_chain/nodes/" : "/decision_chain/"
        nodes =
            list.map { list in
                JSONChildren(document.tokens, of: list).enumerated().map {
                    ReasoningNode(document, $0.element, pointer: pointer + "\($0.offset)")
                }
            } ?? []
        outcome = Self.outcome(nodes, declared: text("outcome"))
    }

    /// What is declared, else the only node that no other builds on, else the last.
    private static func outcome(_ nodes: [ReasoningNode], declared: String?) -> Int? {
        if let declared, let index = nodes.firstIndex(where: { $0.id == declared }) {
            return index
        }
        let used = Set(nodes.flatMap { node in node.parents.filter { $0 != node.id } })
        let sinks = nodes.indices.filter { !used.contains(nodes[$0].id) }
        return sinks.count == 1 ? sinks[0] : nodes.indices.last
    }

    /// What the outcome chose, as one text for equal values; nil where it chose nothing.
    var chosen: (source: [UInt8], canonical: [UInt8])? {
        guard let outcome, let source = nodes[outcome].member("chosen") else { return nil }
        // It was part of a document that was parsed.
        guard let value = try? JSONDocument(source) else { return nil }
        return (source, value.canonicalBytes)
    }
}

/// One node of a decision chain.
struct ReasoningNode: Sendable {
    let id: String
    let kind: String
    /// JSON Pointer into the packet.
    let pointer: String
    /// Nodes of this packet by id, of others as `stardust:<stardust_id>#<node>`.
    let parents: [String]
    /// Evidence by its name in the packet, or by digest.
    let evidence: [String]
    /// Members that are repeated as they were written.
    private let members: [(name: StaticString, source: [UInt8])]

    static let repeated: [StaticString] = [
        "agent", "title", "chosen", "confidence", "score", "scores", "threshold", "method",
        "status", "rationale", "votes", "options", "alternatives", "evidence", "inputs", "at",
        "duration_ms",
    ]

    init(_ document: JSONDocument, _ token: Int, pointer: String) {
        self.pointer = pointer
        func texts(_ name: String) -> [String] {
            document.member(name, of: token).map { list in
                JSONChildren(document.tokens, of: list).compactMap(document.string)
            } ?? []
        }
        id = document.member("id", of: token).flatMap(document.string) ?? ""
        kind = document.member("kind", of: token).flatMap(document.string) ?? ""
        parents = texts("parents")
        evidence = texts("evidence")
        members = Self.repeated.compactMap { name in
            document.member("\(name)", of: token).map { (name, Array(document.source($0))) }
        }
    }

    func member(_ name: String) -> [UInt8]? { members.first { "\($0.name)" == name }?.source }

    var repeatedMembers: [(name: StaticString, source: [UInt8])] { members }
}

/// A node of another packet: `stardust:<stardust_id>#<node>`.
struct ForeignNode: Hashable {
    let packet: UUID128
    let node: String

    /// Nil for the id of a node of the same packet.
    init?(_ text: String) {
        guard text.hasPrefix("stardust:"), let sharp = text.firstIndex(of: "#"),
            let packet = UUID128(text[text.index(text.startIndex, offsetBy: 9)..<sharp])
        else { return nil }
        self.packet = packet
        node = String(text[text.index(after: sharp)...])
    }
}
