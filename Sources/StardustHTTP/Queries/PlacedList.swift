internal import LedgerFormat
internal import StardustCore

/// What a request for a list of things within packets specifies, apart from its filter.
struct PlacedList {
    let limit: Int
    let size: LedgerSize
    let isDescending: Bool
    /// Positions the list may still return.
    let range: Range<UInt64>
    /// What to go on with, in the first or last packet of the range.
    let from: PlaceInPacket?
    private let query: String

    init(_ parameters: Parameters, query: String, current: LedgerSize) throws(Problem) {
        limit = Int(
            try parameters.number("limit", in: 1...UInt64(QueryLimits.pageMax))
                ?? UInt64(QueryLimits.pageDefault))
        isDescending = try parameters.isDescending()
        self.query = "\(isDescending ? "desc" : "asc") \(query)"
        let size = try parameters.size(upTo: current)
        guard let text = parameters["cursor"] else {
            (self.size, from, range) = (size, nil, 0..<size.entries)
            return
        }
        let cursor = try PlaceCursor(text, query: self.query)
        guard cursor.size <= current, parameters["as_of"] == nil || cursor.size == size else {
            throw .badParameter("cursor", "belongs to another size of the ledger")
        }
        self.size = cursor.size
        let position = cursor.next.position.value
        from = cursor.next
        range = isDescending ? 0..<position + 1 : position..<cursor.size.entries
    }

    func limits(until deadline: ContinuousClock.Instant) -> PacketSearch.Limits {
        PacketSearch.Limits(
            packets: limit, payloadBytes: QueryLimits.pageBytes, deadline: deadline)
    }

    func cursor(_ next: PlaceInPacket) -> String {
        PlaceCursor(size: size, next: next, query: query).text
    }
}
