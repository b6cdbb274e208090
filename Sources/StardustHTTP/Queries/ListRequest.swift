internal import LedgerFormat
internal import LedgerStorage
internal import Packets
internal import StardustCore

/// What a request for a list specifies, apart from its filter: how many packets, where to start,
/// and at which ledger size.
struct ListRequest {
    var limit: Int
    /// The ledger size the list reflects.
    var size: LedgerSize
    var isDescending: Bool
    /// Positions the list may still return.
    var range: Range<UInt64>
    /// The query a cursor is bound to.
    private var query: String

    static let parameters: Set<String> = ["limit", "cursor", "as_of", "order"]

    /// `query` identifies the filter.
    init(
        _ parameters: Parameters, query: String, current: LedgerSize
    ) throws(Problem) {
        limit = Int(
            try parameters.number("limit", in: 1...UInt64(QueryLimits.pageMax))
                ?? UInt64(QueryLimits.pageDefault))
        size = try parameters.size(upTo: current)
        isDescending = try parameters.isDescending()
        self.query = "\(isDescending ? "desc" : "asc") \(query)"
        range = 0..<size.entries
        guard let text = parameters["cursor"] else { return }
        let cursor = try PageCursor(text, query: self.query)
        guard cursor.size <= current, parameters["as_of"] == nil || cursor.size == size else {
            throw .badParameter("cursor", "belongs to another size of the ledger")
        }
        size = cursor.size
        range =
            isDescending ? 0..<cursor.next.value + 1 : cursor.next.value..<size.entries
    }

    func cursor(_ next: Position?) -> PageCursor? {
        next.map { PageCursor(size: size, next: $0, query: query) }
    }

    func limits(until deadline: ContinuousClock.Instant) -> PacketSearch.Limits {
        PacketSearch.Limits(
            packets: limit, payloadBytes: QueryLimits.pageBytes, deadline: deadline)
    }
}

extension Parameters {
    /// The ledger size given by `as_of`, else the current one.
    func size(upTo current: LedgerSize) throws(Problem) -> LedgerSize {
        guard let text = self["as_of"] else { return current }
        guard let value = UInt64(text), value <= current.entries else {
            throw .badParameter(
                "as_of", "\(text) is no size that this ledger has had; it has \(current) entries")
        }
        return LedgerSize(value)
    }

    func isDescending() throws(Problem) -> Bool {
        switch self["order"] {
        case nil, "asc": return false
        case "desc": return true
        case let other?: throw .badParameter("order", "\(other) is neither asc nor desc")
        }
    }

    func boolean(_ name: String) throws(Problem) -> Bool {
        switch self[name] {
        case nil, "false": return false
        case "true": return true
        case let other?: throw .badParameter(name, "\(other) is neither true nor false")
        }
    }

    // MARK: Filters

    static let filters: Set<String> = [
        "lineage", "decision_chain", "entity_type", "entity_id", "trace_id", "created_from",
        "created_before", "received_from", "received_before",
    ]

    func filter() throws(Problem) -> PacketFilter {
        var filter = PacketFilter()
        filter.lineage = try pattern("lineage")
        filter.decisionChain = try pattern("decision_chain")
        filter.entityType = self["entity_type"]
        if let type = filter.entityType, !EntityTypes.mayBe(type) {
            throw .notAnEntityType(type)
        }
        filter.entityID = try self["entity_id"].map { (text) throws(Problem) in
            guard let id = UUID128(text) else {
                throw .badParameter(
                    "entity_id", "\(text) is not a UUID: 8-4-4-4-12 hexadecimal digits")
            }
            return id
        }
        filter.traceID = try self["trace_id"].map { (text) throws(Problem) in
            guard let id = UUID128(anyText: Array(text.utf8).span) else {
                throw .badParameter(
                    "trace_id", "\(text) is not a trace id: a UUID, or 32 hexadecimal digits")
            }
            return id
        }
        filter.createdFrom = try time("created_from")
        filter.createdBefore = try time("created_before")
        filter.receivedFrom = try time("received_from")
        filter.receivedBefore = try time("received_before")
        return filter
    }

    private func pattern(_ name: String) throws(Problem) -> JSONDocument? {
        guard let text = self[name] else { return nil }
        do throws(JSONError) { return try JSONDocument(Array(text.utf8)) } catch {
            var problem = Problem.badParameter(name, "the pattern is invalid: \(error)")
            problem.offset = error.offset
            throw problem
        }
    }

    private func time(_ name: String) throws(Problem) -> Timestamp? {
        guard let text = self[name] else { return nil }
        guard let time = Timestamp(rfc3339: text) else {
            throw .badParameter(
                name,
                "\(text) is not an RFC 3339 time in UTC, such as 2026-09-14T10:42:07.311Z")
        }
        // PostgreSQL rounds to microseconds, packets are cut to them: neither is what was asked for.
        guard text.split(separator: ".").last!.utf8.prefix(while: { $0 &- 0x30 < 10 }).count <= 6
        else {
            throw .badParameter(
                name, "\(text) is finer than a microsecond; give at most six digits of fraction")
        }
        return time
    }

    /// The filter in the form a cursor is bound to.
    var filterText: String {
        Self.filters.sorted().map { "\($0)=\(self[$0] ?? "")" }.joined(separator: "\n")
    }
}
