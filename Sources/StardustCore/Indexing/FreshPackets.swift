internal import LedgerFormat
package import LedgerIndex
internal import LedgerStorage
internal import Packets

/// A packet that has just become durable, with its payload still in memory.
package struct FreshPacket: Sendable {
    package var place: TermBuffer.Packet
    /// Contains the payload, in `range`. Shared with the rest of its submission.
    package var bytes: [UInt8]
    package var range: Range<Int>

    package init(place: TermBuffer.Packet, bytes: [UInt8], range: Range<Int>) {
        (self.place, self.bytes, self.range) = (place, bytes, range)
    }

    func index(in index: TermIndex, with scanner: inout TermScanner) {
        let payload = bytes.span.extracting(range)
        let isReadable = scanner.scan(payload, digest: place.payloadDigest)
        index.add(place, scanner, isReadable: isReadable)
    }
}

extension TermIndex {
    /// Adds a packet read from its segment. If its payload does not match its entry, it counts as
    /// unreadable.
    func add(
        _ record: SegmentCursor.Record, _ payload: Span<UInt8>, _ scanner: inout TermScanner
    ) {
        let isReadable = scanner.scan(record, payload)
        add(
            TermBuffer.Packet(record.entry, hash: record.entryHash), scanner, isReadable: isReadable
        )
    }
}

/// Packets waiting for the index, in order, within a memory limit.
struct FreshPackets: Sendable {
    private var packets: [FreshPacket] = []
    private var payloadBytes = 0
    /// How many at the front are already indexed.
    private var taken = 0

    mutating func append(_ more: [FreshPacket]) {
        if payloadBytes > LedgerLimits.indexFreshBytes { removeAll() }
        for packet in more { payloadBytes += packet.range.count }
        packets += more
    }

    private mutating func removeAll() {
        packets = []
        (payloadBytes, taken) = (0, 0)
    }

    var areManyEnough: Bool { packets.count - taken >= LedgerLimits.indexPacketsCollected }

    func begin(at position: Position) -> Bool {
        taken < packets.count && packets[taken].place.position == position
    }

    mutating func drop(before position: Position) {
        while taken < packets.count, packets[taken].place.position < position {
            payloadBytes -= packets[taken].range.count
            taken += 1
        }
        if taken == packets.count { removeAll() }
    }

    /// Takes up to `limit` from the front. They stay in memory until they are dropped.
    mutating func take(_ limit: Int) -> ArraySlice<FreshPacket> {
        if taken > 0 {
            packets.removeFirst(taken)
            taken = 0
        }
        return packets.prefix(limit)
    }
}
