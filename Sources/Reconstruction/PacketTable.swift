internal import LedgerFormat

/// The packets of a chain in order, looked up by position. Uses binary search: hashing a position
/// takes as long as a dozen comparisons, and most chains are short.
struct PacketTable: Sendable {
    let packets: [ChainPacket]
    /// Indices in `packets`, sorted by position.
    private let places: [(position: Position, place: Int)]

    init(_ packets: [ChainPacket]) {
        self.packets = packets
        let places = packets.enumerated().map { (position: $1.position, place: $0) }
        let isSorted = zip(places, places.dropFirst()).allSatisfy { $0.position < $1.position }
        self.places = isSorted ? places : places.sorted { $0.position < $1.position }
    }

    /// The index of a packet in the order; nil if it is not in the chain.
    func place(of position: Position) -> Int? {
        var (low, high) = (0, places.count)
        while low < high {
            let middle = (low + high) / 2
            if places[middle].position < position { low = middle + 1 } else { high = middle }
        }
        return low < places.count && places[low].position == position ? places[low].place : nil
    }

    subscript(position: Position) -> ChainPacket? { place(of: position).map { packets[$0] } }
}
