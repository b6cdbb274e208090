internal import LedgerFormat

/// Caches the edges of packets, so that they are resolved once however often they are needed.
final class EdgeBook<Source: ChainSource> {
    private let source: Source
    private var known: [Position: [ChainEdge]] = [:]
    private var count = 0

    /// Edges kept. Beyond this, the cache starts over and edges are resolved again when needed.
    private static var edgesKept: Int { 1 << 20 }

    init(_ source: Source) { self.source = source }

    /// The edges of a packet, one for each of its references.
    func edges(of packet: ChainPacket) throws(Source.Failure) -> [ChainEdge] {
        if let edges = known[packet.position] { return edges }
        let edges = try source.edges(of: packet)
        if count > Self.edgesKept { (known, count) = ([:], 0) }
        known[packet.position] = edges
        count += edges.count
        return edges
    }
}
