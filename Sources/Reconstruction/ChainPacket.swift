package import LedgerFormat
internal import Packets

/// The parts of a packet a chain needs. A class, as are its parts: a walk passes them around a lot.
package final class ChainPacket: Sendable {
    package let entry: Entry
    package let entryHash: Digest
    package let payload: [UInt8]
    package let entityType: String
    package let entityID: UUID128
    package let traceID: UUID128?
    package let event: String?
    /// Who emitted it, according to the packet itself.
    let worker: String?
    /// What the chain repeats of it, exactly as written: who emitted it, and what was to be decided.
    let members: [RepeatedMember]
    package let parents: [ParentReference]
    let decision: Decision?
    let evidence: [EvidenceItem]

    package var position: Position { entry.position }
    package var stardustID: UUID128 { entry.stardustID }
    package var createdAt: Timestamp { entry.createdAt }
    /// Whether `createdAt` is the packet's own word, rather than when it was received.
    var statesCreation: Bool { !entry.flags.contains(.createdAtAssigned) }
    package var payloadDigest: Digest { entry.payloadDigest }

    /// Its approximate memory use: the payload, which its parts share, plus the parts.
    package var memoryBytes: Int {
        payload.count + 1024
            + 512 * (parents.count + evidence.count + (decision?.nodes.count ?? 0))
    }

    /// Reads a stored packet. Nil if the entry is not a packet.
    package init?(_ entry: Entry, entryHash: Digest, payload: [UInt8]) {
        guard let document = try? JSONDocument(payload),
            let outline = PacketOutline(document.tokens, document.bytes.span)
        else { return nil }
        (self.entry, self.entryHash, self.payload) = (entry, entryHash, payload)
        entityType = outline.entityType
        entityID = outline.entityID
        var (trace, event, worker): (UUID128?, String?, String?) = (nil, nil, nil)
        var (parents, evidence): ([ParentReference], [EvidenceItem]) = ([], [])
        var members: [RepeatedMember] = []
        document.eachKnownMember(of: outline.lineage) { name, value in
            switch name {
            case .traceID:
                trace = document.id(value, withoutDashes: true)
            case .event: event = document.string(value)
            case .decisionContext: members.insert(RepeatedMember(document, name, value))
            case .producer:
                members.insert(RepeatedMember(document, name, value))
                document.eachKnownMember(of: value) { name, value in
                    if name == .worker { worker = document.string(value) }
                }
            case .metaParents:
                for element in JSONChildren(document.tokens, of: value) {
                    parents.append(ParentReference(document, element, index: parents.count))
                }
            case .evidence:
                evidence = JSONChildren(document.tokens, of: value).compactMap {
                    EvidenceItem(document, $0)
                }
            default: break
            }
        }
        (traceID, self.event, self.worker) = (trace, event, worker)
        (self.parents, self.evidence) = (parents, evidence)
        decision = outline.decisionChain.map { Decision(document, $0, of: entry.stardustID) }
        if let chain = outline.decisionChain, document.tokens[chain].kind == .object {
            document.eachKnownMember(of: chain) { name, value in
                guard name == .question || name == .decisionKey else { return }
                members.insert(RepeatedMember(document, name, value))
            }
        }
        self.members = members
    }
}

/// An element of `_meta_parents`: a bare id, or an object that names a packet in one or more ways.
package final class ParentReference: Sendable {
    /// Its place in the list.
    package let index: Int
    package let id: UUID128?
    package let hash: PacketHash?
    package let entity: EntityName?
    package let uri: String?
    package let relation: String
    /// Why, in the worker's words.
    let why: String?
    /// What a reference without a relation says.
    package static let usualRelation = "derived_from"
    /// The node of the parent's reasoning that it builds on; nil for the parent's outcome.
    let node: ExactText?
    /// Members that the chain repeats exactly as written.
    let members: [RepeatedMember]
    /// The reference as written, except that a bare id becomes an object.
    let source: ArraySlice<UInt8>

    package enum PacketHash: Hashable, Sendable {
        case sha256(Digest)
        /// By an algorithm the ledger does not support.
        case unsupported

        init(_ text: String) {
            guard text.hasPrefix("sha256:"), let digest = Digest(hex: text.dropFirst(7)) else {
                self = .unsupported
                return
            }
            self = .sha256(digest)
        }
    }

    init(_ document: JSONDocument, _ token: Int, index: Int) {
        self.index = index
        var (id, hash, uri): (UUID128?, PacketHash?, String?) = (nil, nil, nil)
        var (type, entityID): (String?, UUID128?) = (nil, nil)
        var (relation, why, node): (String?, String?, String?) = (nil, nil, nil)
        var members: [RepeatedMember] = []
        if document.tokens[token].kind == .string {
            id = document.id(token)
            source = (Array("{\"stardust_id\":".utf8) + document.source(token) + [0x7D])[...]
        } else {
            source = document.source(token)
        }
        document.eachKnownMember(of: token) { name, value in
            switch name {
            case .stardustID: id = document.id(value)
            case .packetHash: hash = document.string(value).map(PacketHash.init)
            case .entityType: type = document.string(value)
            case .entityID: entityID = document.id(value)
            case .uri: uri = document.string(value)
            case .relation: relation = document.string(value)
            case .why:
                why = document.string(value)
                members.insert(RepeatedMember(document, name, value))
            case .node:
                node = document.string(value)
                members.insert(RepeatedMember(document, name, value))
            case .region: members.insert(RepeatedMember(document, name, value))
            default: break
            }
        }
        (self.id, self.hash, self.uri, self.why) = (id, hash, uri, why)
        (self.node, self.members) = (node.map(ExactText.init), members)
        self.relation = relation ?? Self.usualRelation
        if let type, let entityID {
            entity = EntityName(type: type, id: entityID)
        } else {
            entity = nil
        }
    }

    /// Whether it may resolve to a packet: the first name it carries is the packet's own.
    package func mayName(_ packet: ChainPacket) -> Bool {
        if let id { return id == packet.stardustID }
        if let hash { return hash == .sha256(packet.payloadDigest) }
        return entity == EntityName(type: packet.entityType, id: packet.entityID)
    }

    /// Whether it makes a statement about the parent itself, rather than only recording its use.
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
    /// The name by which decision nodes cite it.
    let id: ExactText?
    let digest: String
    /// Members that the chain repeats exactly as written.
    let members: [RepeatedMember]

    init?(_ document: JSONDocument, _ token: Int) {
        if let bare = document.string(token) {
            (id, digest, members) = (nil, bare, [])
            return
        }
        var (digest, id): (String?, String?) = (nil, nil)
        var members: [RepeatedMember] = []
        document.eachKnownMember(of: token) { name, value in
            switch name {
            case .digest: digest = document.string(value)
            case .id: id = document.string(value)
            case .uri, .role, .mediaType, .bytes, .retainUntil:
                members.insert(RepeatedMember(document, name, value))
            default: break
            }
        }
        guard let digest else { return nil }
        (self.digest, self.id) = (digest, id.map(ExactText.init))
        self.members = members
    }
}

/// A member that the chain repeats exactly as written. It shares the packet's bytes.
struct RepeatedMember: Hashable, Sendable {
    let name: MemberName
    let source: ArraySlice<UInt8>

    init(_ document: JSONDocument, _ name: MemberName, _ value: Int) {
        self.name = name
        source = document.source(value)
    }
}

extension [RepeatedMember] {
    /// Inserts a member so that members stay in the order of the schema's names.
    fileprivate mutating func insert(_ member: RepeatedMember) {
        // Of a name that stands twice, the last counts, as in PostgreSQL's jsonb.
        if let same = firstIndex(where: { $0.name == member.name }) {
            self[same] = member
            return
        }
        var index = count
        while index > 0, self[index - 1].name.rawValue > member.name.rawValue { index -= 1 }
        insert(member, at: index)
    }
}

/// A packet's reasoning.
struct Decision: Sendable {
    let key: ExactText?
    let nodes: [ReasoningNode]
    /// Index of the first node with each name.
    let places: [ExactText: Int]
    /// The nodes in step order.
    let order: NodeOrder
    /// Index of the node that is the packet's outcome; nil if there are no nodes.
    let outcome: Int?

    init(_ document: JSONDocument, _ chain: Int, of owner: UUID128) {
        let isObject = document.tokens[chain].kind == .object
        var list = isObject ? nil : chain
        var (key, declared): (String?, String?) = (nil, nil)
        document.eachKnownMember(of: chain) { name, value in
            switch name {
            case .decisionKey: key = document.string(value)
            case .nodes: list = value
            case .outcome: declared = document.string(value)
            default: break
            }
        }
        self.key = key.map(ExactText.init)
        let pointer = isObject ? "/decision_chain/nodes/" : "/decision_chain/"
        nodes =
            list.map { list in
                JSONChildren(document.tokens, of: list).enumerated().map {
                    ReasoningNode(
                        document, $0.element, pointer: pointer + "\($0.offset)", of: owner)
                }
            } ?? []
        var places: [ExactText: Int] = [:]
        for (index, node) in nodes.enumerated() where places[node.id] == nil {
            places[node.id] = index
        }
        self.places = places
        order = NodeOrder(nodes, places)
        outcome = Self.outcome(nodes, places, declared: declared.map(ExactText.init))
    }

    /// The declared outcome, else the only node no other node builds on, else the last node.
    private static func outcome(
        _ nodes: [ReasoningNode], _ places: [ExactText: Int], declared: ExactText?
    ) -> Int? {
        if let declared, let index = places[declared] { return index }
        let used = Set(
            nodes.flatMap { node in
                node.parents.compactMap(\.ownName).filter { $0 != node.id }
            })
        let sinks = nodes.indices.filter { !used.contains(nodes[$0].id) }
        return sinks.count == 1 ? sinks[0] : nodes.indices.last
    }

    /// What the outcome chose; nil if it chose nothing.
    var chosen: ArraySlice<UInt8>? { outcome.flatMap { nodes[$0].member(.chosen) } }
}

/// One node of a decision chain.
final class ReasoningNode: Sendable {
    let id: ExactText
    let kind: String
    /// JSON Pointer into the packet.
    let pointer: String
    /// The node as it was sent.
    let source: ArraySlice<UInt8>
    let parents: [Parent]
    /// Evidence by its name in the packet, or by digest.
    let evidence: [ExactText]

    /// A node that it builds on.
    enum Parent: Hashable, Sendable {
        /// In the same packet.
        case own(ExactText)
        /// In another packet, written as `stardust:<stardust_id>#<node>`.
        case foreign(UUID128, ExactText)

        init(_ text: String, in owner: UUID128) {
            guard text.hasPrefix("stardust:"), let sharp = text.firstIndex(of: "#"),
                let packet = UUID128(text[text.index(text.startIndex, offsetBy: 9)..<sharp])
            else {
                self = .own(ExactText(text))
                return
            }
            let node = ExactText(String(text[text.index(after: sharp)...]))
            self = packet == owner ? .own(node) : .foreign(packet, node)
        }

        /// The node's name, if it is in the same packet.
        var ownName: ExactText? { if case .own(let name) = self { name } else { nil } }
    }
    let members: [RepeatedMember]

    init(_ document: JSONDocument, _ token: Int, pointer: String, of owner: UUID128) {
        self.pointer = pointer
        source = document.source(token)
        var (id, kind): (String?, String?) = (nil, nil)
        var (parents, evidence): ([Parent], [ExactText]) = ([], [])
        var members: [RepeatedMember] = []
        func texts(_ list: Int) -> [String] {
            JSONChildren(document.tokens, of: list).compactMap(document.string)
        }
        document.eachKnownMember(of: token) { name, value in
            switch name {
            case .id: id = document.string(value)
            case .kind: kind = document.string(value)
            case .parents: parents = texts(value).map { Parent($0, in: owner) }
            case .agent, .title, .chosen, .confidence, .score, .scores, .threshold, .method,
                .status, .rationale, .votes, .options, .alternatives, .evidence, .inputs, .at,
                .durationMS:
                if name == .evidence { evidence = texts(value).map(ExactText.init) }
                members.insert(RepeatedMember(document, name, value))
            default: break
            }
        }
        self.id = ExactText(id ?? "")
        self.kind = kind ?? ""
        (self.parents, self.evidence) = (parents, evidence)
        self.members = members
    }

    func member(_ name: MemberName) -> ArraySlice<UInt8>? {
        members.first { $0.name == name }?.source
    }
}

extension [RepeatedMember] {
    /// A member as plain text, without the quotation marks of a string.
    func text(_ name: MemberName) -> String? {
        guard let source = first(where: { $0.name == name })?.source else { return nil }
        return (try? JSONDocument([UInt8](source)))?.string(0)
            ?? String(decoding: source, as: UTF8.self)
    }
}
