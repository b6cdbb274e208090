internal import LedgerFormat

/// The edges of packets, found once for each however often they are asked for.
final class EdgeBook<Source: ChainSource> {
    private let source: Source
    private var known: [Position: [ChainEdge]] = [:]
    private var count = 0

    /// Edges that are kept: more are found again when they are wanted.
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
