internal import LedgerFormat
internal import LedgerStorage
internal import Packets
internal import StardustCore

/// Single packets and entries.
enum PacketQueries {
    static let parameters: Endpoint.ParameterNames = .some(["as_of"])

    static func packet(_ request: QueryRequest) throws(Problem) -> Query {
        try packet(request) { (record) throws(Problem) in try shown(record) }
    }

    /// The bytes the worker sent.
    static func rawPacket(_ request: QueryRequest) throws(Problem) -> Query {
        try packet(request) { Answer(200, "application/json", $0.payload) }
    }

    static func entry(_ request: QueryRequest) throws(Problem) -> Query {
        try entry(request) { (record) throws(Problem) in try shown(record) }
    }

    /// The entry's 160 bytes.
    static func rawEntry(_ request: QueryRequest) throws(Problem) -> Query {
        try entry(request) { Answer(200, "application/octet-stream", $0.entry.bytes) }
    }

    private static func packet(
        _ request: QueryRequest,
        _ answer: @escaping @Sendable (StoredRecord) throws(Problem) -> Answer
    ) throws(Problem) -> Query {
        let id = request.variables.id("stardust_id")
        let map = try request.map()
        let size = try request.parameters.size(upTo: map.head.size)
        return Query { (context) throws(Problem) in
            try answer(try context.packet(id, map, at: size))
        }
    }

    private static func entry(
        _ request: QueryRequest,
        _ answer: @escaping @Sendable (StoredRecord) throws(Problem) -> Answer
    ) throws(Problem) -> Query {
        let position = request.variables.position("position")
        let map = try request.map()
        let size = try request.parameters.size(upTo: map.head.size)
        return Query { (context) throws(Problem) in
            guard size.contains(position), let record = try context.read(position, map) else {
                throw context.unknown("position \(position)")
            }
            return try answer(record)
        }
    }

    private static func shown(_ record: StoredRecord) throws(Problem) -> Answer {
        if record.entry.kind != .packet { return Answer { $0.operatorEntry(record) } }
        guard let entity = PacketEntity(record.payload.span) else {
            throw Problem(
                .damaged, "position \(record.entry.position) does not hold a packet")
        }
        return Answer { $0.packet(record, entity) }
    }
}
