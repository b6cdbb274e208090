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
        try size("as_of", upTo: current) ?? current
    }

    /// The ledger size that a parameter gives.
    func size(_ name: String, upTo current: LedgerSize) throws(Problem) -> LedgerSize? {
        guard let text = self[name] else { return nil }
        guard let value = UInt64(canonical: text.utf8) else { throw Self.notASize(name, text) }
        guard value <= current.entries else {
            throw .badParameter(
                name, "\(text) is more than \(current), the size of the ledger or of the answer")
        }
        return LedgerSize(value)
    }

    static func notASize(_ name: String, _ text: String) -> Problem {
        .badParameter(
            name,
            "\(text) is neither a size of the ledger nor an RFC 3339 time in UTC, such as "
                + "2026-09-14T10:42:07Z")
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
}
