internal import LedgerFormat

/// An endless run of distinct packets: those of a file again and again, each time with other ids.
struct PacketSource {
    private var packets: [Template] = []
    private var count: UInt32

    private struct Template {
        var bytes: [UInt8]
        /// Where the texts of stardust_id and entity_id begin.
        var stardustID: Int
        var entityID: Int
    }

    /// Takes packets whose first members are their ids, as workers write them. `start` tells apart
    /// sources that go into one ledger.
    init(ndjson: [UInt8], start: UInt32 = 0) throws(Failure) {
        count = start
        for line in ndjson.split(separator: 0x0A) {
            let bytes = Array(line)
            guard let stardustID = Self.place(of: "\"stardust_id\":\"", in: bytes),
                let entityID = Self.place(of: "\"entity_id\":\"", in: bytes)
            else { continue }
            packets.append(Template(bytes: bytes, stardustID: stardustID, entityID: entityID))
        }
        guard !packets.isEmpty else {
            throw Failure(.badInput, "there is no packet with a stardust_id in the input")
        }
    }

    var meanBytes: Int { packets.reduce(0) { $0 + $1.bytes.count } / packets.count }

    private static func place(of text: String, in bytes: [UInt8]) -> Int? {
        let wanted = Array(text.utf8)
        let last = bytes.count - wanted.count - UUID128.textCount
        guard last >= 0 else { return nil }
        return (0...last).first { bytes[$0...].starts(with: wanted) }.map { $0 + wanted.count }
    }

    /// Appends the next packet.
    mutating func append(to buffer: inout [UInt8]) {
        let template = packets[Int(count) % packets.count]
        let start = buffer.count
        buffer.append(contentsOf: template.bytes)
        patch(&buffer, at: start + template.stardustID, with: count)
        // An entity keeps its packets together within a round.
        patch(&buffer, at: start + template.entityID, with: count / UInt32(packets.count))
        count += 1
    }

    /// Replaces the last eight digits of an id, so that ids stay as scattered as they were.
    private func patch(_ buffer: inout [UInt8], at offset: Int, with value: UInt32) {
        for digit in 0..<8 {
            let nibble = UInt8(value >> (28 - 4 * UInt32(digit)) & 15)
            buffer[offset + UUID128.textCount - 8 + digit] =
                nibble < 10 ? 0x30 + nibble : 0x57 + nibble
        }
    }
}
