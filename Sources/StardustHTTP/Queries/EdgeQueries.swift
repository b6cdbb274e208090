internal import LedgerFormat
internal import LedgerIndex
internal import LedgerStorage
internal import Packets
internal import Reconstruction
internal import StardustCore

/// Direct edges of one packet.
enum EdgeQueries {
    /// What a packet names as its parents. The parents' packets are paged. An edge is on the same
    /// page as its parent; an edge without a packet is on the first page.
    static func parents(_ request: QueryRequest) throws(Problem) -> Query {
        try edges(request, "parents") { (packet, list, source) throws(PacketSearch.Failure) in
            let edges = try source.edges(of: packet)
            let positions = Set(edges.compactMap(\.to)).filter { list.range.contains($0.value) }
            let isFirst = list.range == 0..<list.size.entries
            return Found(positions: positions.sorted { ($0 < $1) != list.isDescending }) { shown in
                edges.filter { $0.to.map(shown.contains) ?? isFirst }
            }
        }
    }

    /// The packets that name a given one as their parent, with the edges by which they do so.
    static func children(_ request: QueryRequest) throws(Problem) -> Query {
        try edges(request, "children") { (packet, list, source) throws(PacketSearch.Failure) in
            var children = Children(packet, list, source)
            guard list.isDescending else {
                try source.eachChild(of: packet) { (candidate) throws(PacketSearch.Failure) in
                    try children.take(candidate)
                }
                return children.found
            }
            var candidates: [Position] = []
            try source.eachChild(of: packet) { (position) throws(PacketSearch.Failure) in
                candidates.append(position)
                return true
            }
            for candidate in candidates.reversed() {
                guard try children.take(candidate) else { break }
            }
            return children.found
        }
    }

    /// Positions of the packets at the other ends, and the edges to the packets that are shown.
    private struct Found {
        var positions: [Position]
        var edges: (Set<Position>) -> [ChainEdge]
    }

    /// Collects a packet's children: at most one more than fits on a page.
    private struct Children {
        private let packet: ChainPacket
        private let list: ListRequest
        private let source: LedgerChainSource
        private var positions: [Position] = []
        private var edges: [Position: [ChainEdge]] = [:]

        init(_ packet: ChainPacket, _ list: ListRequest, _ source: LedgerChainSource) {
            (self.packet, self.list, self.source) = (packet, list, source)
        }

        /// Adds a candidate if it is a child; returns false once there are enough.
        mutating func take(_ candidate: Position) throws(PacketSearch.Failure) -> Bool {
            guard list.range.contains(candidate.value),
                let child = try source.packet(at: candidate)
            else { return true }
            for reference in child.parents where reference.mayName(packet) {
                let edge = try source.resolve(reference, of: child)
                if edge.to == packet.position { edges[candidate, default: []].append(edge) }
            }
            if edges[candidate] != nil { positions.append(candidate) }
            return positions.count <= list.limit
        }

        var found: Found {
            let (positions, edges) = (positions, edges)
            return Found(positions: positions) { shown in
                positions.filter(shown.contains).flatMap { edges[$0]! }
            }
        }
    }

    private static func edges(
        _ request: QueryRequest, _ direction: String,
        _ find:
            @escaping @Sendable (ChainPacket, ListRequest, LedgerChainSource)
            throws(PacketSearch.Failure) -> Found
    ) throws(Problem) -> Query {
        let id = request.variables.id("stardust_id")
        let ledger = try LedgerAtSize(request)
        let list = try ListRequest(
            request.parameters, query: "\(direction) \(id)", current: ledger.current)
        return Query { (context) throws(Problem) in
            let source = try context.source(ledger)
            let found = try context.searching { () throws(PacketSearch.Failure) -> Found? in
                guard let position = try source.position(of: id),
                    let packet = try source.packet(at: position)
                else { return nil }
                return try find(packet, list, source)
            }
            guard let found else { throw context.unknown("the packet \(id)") }
            return try page(found, list, source, context)
        }
    }

    private static func page(
        _ found: Found, _ list: ListRequest, _ source: LedgerChainSource, _ context: QueryContext
    ) throws(Problem) -> Answer {
        var (packets, bytes, next): ([ChainPacket], Int, Position?) = ([], 0, nil)
        for position in found.positions {
            if packets.count == list.limit || bytes > QueryLimits.pageBytes {
                next = position
                break
            }
            let packet = try context.searching { () throws(PacketSearch.Failure) in
                try source.packet(at: position)
            }
            guard let packet else { continue }
            bytes += packet.payload.count
            packets.append(packet)
        }
        let edges = found.edges(Set(packets.map(\.position)))
        return Answer { json in
            json.beginObject()
            json.member("ledger_size", list.size.entries)
            json.key("edges")
            json.beginArray()
            for edge in edges { edge.write(to: &json) }
            json.endArray()
            json.key("packets")
            json.beginArray()
            for packet in packets {
                json.packet(
                    StoredRecord(
                        entry: packet.entry, entryHash: packet.entryHash, payload: packet.payload),
                    PacketEntity(type: packet.entityType, id: packet.entityID))
            }
            json.endArray()
            json.next(list.cursor(next))
            json.endObject()
        }
    }
}
