package import LedgerFormat
internal import LedgerIndex
internal import LedgerStorage
package import Packets
internal import Platform
internal import Reconstruction

/// Selects packets. Every condition that is set must hold.
package struct PacketFilter: Sendable {
    /// Of each list that is not empty, at least one alternative must hold.
    package var wanted = Alternatives()
    /// None of these may hold.
    package var unwanted = Alternatives()
    package var createdFrom: Timestamp?
    package var createdBefore: Timestamp?
    package var receivedFrom: Timestamp?
    package var receivedBefore: Timestamp?

    /// What a packet may be or have.
    package struct Alternatives: Sendable {
        package var ids: [UUID128] = []
        package var entityTypes: [String] = []
        package var entityIDs: [UUID128] = []
        /// Compared as 16 bytes, however they are written.
        package var traceIDs: [UUID128] = []
        /// What `lineage` contains.
        package var lineage: [JSONDocument] = []
        /// What `decision_chain` contains.
        package var decisionChain: [JSONDocument] = []
        package var texts: [TextPattern] = []
        /// Members that are there.
        package var members: [MemberPath] = []

        package init() {}

        /// Whether a packet's id and entity alone do not decide.
        fileprivate var readsAll: Bool {
            !(traceIDs.isEmpty && lineage.isEmpty && decisionChain.isEmpty && texts.isEmpty
                && members.isEmpty)
        }
    }

    package init() {}

    /// Pairs of type and id that are looked up as such, rather than by the ids alone.
    private static let pairsMax = 64

    /// Terms of the packets that may match. Those that must not have something are found by reading.
    func query(_ key: TermKey) -> TermQuery {
        var query = TermQuery()
        var scanner = TermScanner(key: key)
        let (types, ids) = (wanted.entityTypes, wanted.entityIDs)
        if !types.isEmpty, !ids.isEmpty, types.count * ids.count <= Self.pairsMax {
            query.require(
                oneOf: types.flatMap { type in ids.map { [key.entity(type, $0)] } })
        } else if !ids.isEmpty {
            query.require(oneOf: ids.map { [key.entityID($0)] })
        } else {
            query.require(oneOf: types.map { [key.entityType($0)] })
        }
        query.require(oneOf: wanted.traceIDs.map { [key.trace($0)] })
        query.require(
            oneOf: wanted.lineage.map { scanner.pattern($0.bytes.span, in: .lineage) })
        query.require(
            oneOf: wanted.decisionChain.map {
                scanner.pattern($0.bytes.span, in: .decisionChain)
            })
        query.require(oneOf: wanted.texts.map { $0.terms(key) })
        return query
    }

    fileprivate var readsAll: Bool { wanted.readsAll || unwanted.readsAll }

    /// The range that created_at must lie in; nil for any.
    var created: Range<Int64>? {
        guard createdFrom != nil || createdBefore != nil else { return nil }
        let start = createdFrom?.microseconds ?? .min
        return start..<max(start, createdBefore?.microseconds ?? .max)
    }

    /// Whether a packet's entity, trace and times hold.
    func mayHold(_ packet: ChainPacket) -> Bool {
        func holds<Value: Equatable>(_ wanted: [Value], _ found: Value?) -> Bool {
            wanted.isEmpty || wanted.contains { $0 == found }
        }
        return mayHold(packet.entry) && holds(wanted.entityTypes, packet.entityType)
            && holds(wanted.entityIDs, packet.entityID) && holds(wanted.traceIDs, packet.traceID)
    }

    fileprivate func mayHold(_ entry: Entry) -> Bool {
        guard entry.kind == .packet, entry.createdAt >= createdFrom ?? entry.createdAt,
            entry.receivedAt >= receivedFrom ?? entry.receivedAt
        else { return false }
        if let createdBefore, entry.createdAt >= createdBefore { return false }
        if let receivedBefore, entry.receivedAt >= receivedBefore { return false }
        return true
    }
}

/// Tests packets one by one, and reuses its memory between them.
struct PacketMatcher: ~Copyable {
    private let filter: PacketFilter
    private var wanted: AlternativesMatcher
    private var unwanted: AlternativesMatcher
    private var parser = JSONParser()

    init(_ filter: PacketFilter, _ access: ReadAccess) {
        self.filter = filter
        let steps =
            access != .cachedOnly ? JSONContainment.stepsMax : JSONContainment.quickStepsMax
        wanted = AlternativesMatcher(filter.wanted, steps)
        unwanted = AlternativesMatcher(filter.unwanted, steps)
    }

    /// The packet's entity if it matches; nil if it does not.
    mutating func match(
        _ record: StoredRecord
    ) throws(JSONContainment.TooCostly) -> PacketEntity? {
        guard filter.mayHold(record.entry) else { return nil }
        let (id, bytes) = (record.entry.stardustID, record.payload.span)
        // A payload that is not a packet never matches.
        guard let entity = PacketEntity(bytes), wanted.holds(id, entity, unless: false),
            !unwanted.holds(id, entity, unless: true)
        else { return nil }
        guard filter.readsAll else { return entity }
        guard (try? parser.parse(bytes)) != nil,
            let outline = PacketOutline(parser.tokens, bytes),
            try wanted.holds(parser.tokens, bytes, outline, unless: false),
            try !unwanted.holds(parser.tokens, bytes, outline, unless: true)
        else { return nil }
        return entity
    }
}

/// Tests a packet for alternatives. With `unless`, any of all of them decides; otherwise each list
/// that is not empty has its say.
private struct AlternativesMatcher: ~Copyable {
    private let alternatives: PacketFilter.Alternatives
    private let ids: Set<UUID128>
    private let entityIDs: Set<UUID128>
    private let entityTypes: Set<String>
    private let traceIDs: Set<UUID128>
    private let steps: Int

    init(_ alternatives: PacketFilter.Alternatives, _ steps: Int) {
        (self.alternatives, self.steps) = (alternatives, steps)
        (ids, traceIDs) = (Set(alternatives.ids), Set(alternatives.traceIDs))
        (entityIDs, entityTypes) = (Set(alternatives.entityIDs), Set(alternatives.entityTypes))
    }

    func holds(_ id: UUID128, _ entity: PacketEntity, unless: Bool) -> Bool {
        if unless {
            return ids.contains(id) || entityIDs.contains(entity.id)
                || entityTypes.contains(entity.type)
        }
        return (ids.isEmpty || ids.contains(id))
            && (entityIDs.isEmpty || entityIDs.contains(entity.id))
            && (entityTypes.isEmpty || entityTypes.contains(entity.type))
    }

    func holds(
        _ tokens: [JSONToken], _ bytes: Span<UInt8>, _ outline: PacketOutline, unless: Bool
    ) throws(JSONContainment.TooCostly) -> Bool {
        // Cheap ones first. With `unless` the first that holds decides, otherwise the first that
        // does not.
        if !traceIDs.isEmpty, hasTrace(tokens, bytes, outline) == unless { return unless }
        if !alternatives.texts.isEmpty {
            let roots = [outline.lineage] + (outline.decisionChain.map { [$0] } ?? [])
            let holds = alternatives.texts.contains {
                $0.isContained(in: tokens, bytes, at: roots)
            }
            if holds == unless { return unless }
        }
        if !alternatives.members.isEmpty {
            let holds = alternatives.members.contains { $0.isThere(tokens, bytes, outline) }
            if holds == unless { return unless }
        }
        if !alternatives.lineage.isEmpty {
            let holds = try isContained(alternatives.lineage, tokens, bytes, outline.lineage)
            if holds == unless { return unless }
        }
        if !alternatives.decisionChain.isEmpty {
            let holds = try isContained(
                alternatives.decisionChain, tokens, bytes, outline.decisionChain)
            if holds == unless { return unless }
        }
        return !unless
    }

    private func isContained(
        _ patterns: [JSONDocument], _ tokens: [JSONToken], _ bytes: Span<UInt8>, _ value: Int?
    ) throws(JSONContainment.TooCostly) -> Bool {
        guard let value else { return false }
        for pattern in patterns {
            var containment = JSONContainment(pattern)
            if try containment.isContained(in: tokens, bytes, at: value, steps: steps) {
                return true
            }
        }
        return false
    }

    private func hasTrace(
        _ tokens: [JSONToken], _ bytes: Span<UInt8>, _ outline: PacketOutline
    ) -> Bool {
        for key in JSONChildren(tokens, of: outline.lineage)
        where bytes.string(tokens[key]) == "trace_id" {
            let id = UUID128(anyText: bytes.text(tokens[key + 1]).span)
            return id.map(traceIDs.contains) ?? false
        }
        return false
    }
}
