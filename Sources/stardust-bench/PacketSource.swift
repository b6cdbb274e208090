internal import LedgerFormat

/// An endless sequence of distinct packets: those of a file, over and over. Each round changes all
/// ids, trace ids and digests. Equal ones change equally, so the packets of a round still refer to
/// each other. The first round is the unchanged file.
struct PacketSource {
    private var packets: [Template] = []
    private var count: Int

    private struct Template {
        var bytes: [UInt8]
        /// Offsets of the last eight digits of each id and digest.
        var digits: [Int]
    }

    /// `start` is the number of the first packet.
    init(ndjson: [UInt8], start: Int = 0) throws(BenchFailure) {
        count = start
        for line in ndjson.split(separator: 0x0A) {
            let bytes = Array(line)
            packets.append(Template(bytes: bytes, digits: Self.places(in: bytes)))
        }
        guard !packets.isEmpty else {
            throw BenchFailure("the input contains no packets")
        }
    }

    var meanBytes: Int { packets.reduce(0) { $0 + $1.bytes.count } / packets.count }

    /// Offsets of the last eight digits of UUIDs, and of runs of 32 or 64 digits.
    private static func places(in bytes: [UInt8]) -> [Int] {
        var places: [Int] = []
        var (run, dashes, index) = (0, 0, 0)
        while index <= bytes.count {
            let byte = index < bytes.count ? bytes[index] : 0
            let isDigit = (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte)
            if isDigit {
                run += 1
            } else if byte == 0x2D, run > 0 {
                dashes += 1
            } else {
                let isID = (run == 32 && (dashes == 0 || dashes == 4)) || (run == 64 && dashes == 0)
                if isID { places.append(index - 8) }
                (run, dashes) = (0, 0)
            }
            index += 1
        }
        return places
    }

    /// Appends the next packet.
    mutating func append(to buffer: inout [UInt8]) {
        let template = packets[count % packets.count]
        let round = UInt32(truncatingIfNeeded: count / packets.count)
        let start = buffer.count
        buffer.append(contentsOf: template.bytes)
        if round > 0 {
            for place in template.digits { patch(&buffer, at: start + place, with: round) }
        }
        count += 1
    }

    /// The stardust_id of a packet of the sequence; in these packets it is the first member.
    func id(_ number: Int) -> String {
        var (copy, bytes) = (self, [UInt8]())
        copy.count = number
        copy.append(to: &bytes)
        return String(
            decoding: bytes.dropFirst(#"{"stardust_id":""#.utf8.count).prefix(36), as: UTF8.self)
    }

    private func patch(_ buffer: inout [UInt8], at offset: Int, with round: UInt32) {
        for digit in 0..<8 {
            let place = offset + digit
            let old = hexadecimalValue(buffer[place]) ?? 0
            let nibble = old ^ UInt8(round >> (28 - 4 * UInt32(digit)) & 15)
            buffer[place] = nibble < 10 ? 0x30 + nibble : 0x57 + nibble
        }
    }
}
