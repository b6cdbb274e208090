package import LedgerFormat
internal import LedgerIndex
internal import LedgerStorage
package import Packets
internal import Platform

/// Selects packets. Every condition that is set must hold.
package struct PacketFilter: Sendable {
    /// What `lineage` must contain.
    package var lineage: JSONDocument?
    /// What `decision_chain` must contain.
    package var decisionChain: JSONDocument?
    package var entityType: String?
    package var entityID: UUID128?
    /// Compared as 16 bytes, however it is written.
    package var traceID: UUID128?
    package var createdFrom: Timestamp?
    package var createdBefore: Timestamp?
    package var receivedFrom: Timestamp?
    package var receivedBefore: Timestamp?

    package init() {}

    /// Terms that every matching packet has.
    func terms(_ key: TermKey) -> [UInt64] {
        var scanner = TermScanner(key: key)
        var terms: [UInt64] = []
        if let entityType, let entityID {
            terms.append(key.entity(entityType, entityID))
        } else if let entityID {
            terms.append(key.entityID(entityID))
        } else if let entityType {
            terms.append(key.entityType(entityType))
        }
        if let traceID { terms.append(key.trace(traceID)) }
        if let lineage { terms += scanner.pattern(lineage.bytes.span, in: .lineage) }
        if let decisionChain {
            terms += scanner.pattern(decisionChain.bytes.span, in: .decisionChain)
        }
        return terms
    }

    /// Whether the entry and the entity alone are not enough to decide.
    var readsLineageOrChain: Bool { lineage != nil || decisionChain != nil || traceID != nil }

    /// The range that created_at must lie in; nil for any.
    var created: Range<Int64>? {
        guard createdFrom != nil || createdBefore != nil else { return nil }
        let start = createdFrom?.microseconds ?? .min
        return start..<max(start, createdBefore?.microseconds ?? .max)
    }
}

/// Tests packets one by one, and reuses its memory between them.
struct PacketMatcher: ~Copyable {
    private let filter: PacketFilter
    private var lineage: JSONContainment?
    private var decisionChain: JSONContainment?
    private var parser = JSONParser()
    private let steps: Int

    init(_ filter: PacketFilter, _ access: ReadAccess) {
        self.filter = filter
        steps =
            access != .cachedOnly ? JSONContainment.stepsMax : JSONContainment.quickStepsMax
        lineage = filter.lineage.map { JSONContainment($0) }
        decisionChain = filter.decisionChain.map { JSONContainment($0) }
    }

    /// The packet's entity if it matches; nil if it does not.
    mutating func match(
        _ record: StoredRecord
    ) throws(JSONContainment.TooCostly) -> PacketEntity? {
        let entry = record.entry
        guard entry.kind == .packet, entry.createdAt >= filter.createdFrom ?? entry.createdAt,
            entry.receivedAt >= filter.receivedFrom ?? entry.receivedAt
        else { return nil }
        if let before = filter.createdBefore, entry.createdAt >= before { return nil }
        if let before = filter.receivedBefore, entry.receivedAt >= before { return nil }
        let bytes = record.payload.span
        // A payload that is not a packet never matches.
        guard let entity = PacketEntity(bytes),
            filter.entityType == nil || filter.entityType == entity.type,
            filter.entityID == nil || filter.entityID == entity.id
        else { return nil }
        guard filter.readsLineageOrChain else { return entity }
        return try holds(bytes) ? entity : nil
    }

    private mutating func holds(_ bytes: Span<UInt8>) throws(JSONContainment.TooCostly) -> Bool {
        guard (try? parser.parse(bytes)) != nil,
            let outline = PacketOutline(parser.tokens, bytes), hasTrace(outline, bytes)
        else { return false }
        if lineage != nil {
            guard
                try lineage!.isContained(
                    in: parser.tokens, bytes, at: outline.lineage, steps: steps)
            else { return false }
        }
        if decisionChain != nil {
            guard let chain = outline.decisionChain,
                try decisionChain!.isContained(in: parser.tokens, bytes, at: chain, steps: steps)
            else { return false }
        }
        return true
    }

    private func hasTrace(_ outline: PacketOutline, _ bytes: Span<UInt8>) -> Bool {
        guard let wanted = filter.traceID else { return true }
        for key in JSONChildren(parser.tokens, of: outline.lineage)
        where bytes.string(parser.tokens[key]) == "trace_id" {
            return UUID128(anyText: bytes.text(parser.tokens[key + 1]).span) == wanted
        }
        return false
    }
}
