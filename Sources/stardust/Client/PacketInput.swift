internal import LedgerFormat
internal import Packets

/// Packets from files or standard input, as an NDJSON body in pieces. Derives an id from the
/// content of any packet that lacks one.
// Unchecked: only the sending task reads; `packetsSent` is read after it has ended.
final class PacketInput: BodyInput, @unchecked Sendable {
    let files: FileInput
    private var reader = PacketReader()
    /// How often each packet without an id has occurred so far.
    private var repetitions: [Digest: UInt64] = [:]
    private(set) var packetsSent = 0

    init(files: [String]) {
        self.files = FileInput(files, lineBytesMax: PacketLimits.packetBytesMax)
    }

    func next() throws(Failure) -> [UInt8]? {
        switch try files.next() {
        case nil: return nil
        case .lines(let lines): return prepared(lines)
        case .longLine(let bytes, let isStart):
            if isStart { packetsSent += 1 }
            return bytes
        }
    }

    func cancel() { files.cancel() }

    // MARK: Ids

    private func prepared(_ lines: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(lines.count)
        for line in lines.split(separator: 0x0A, omittingEmptySubsequences: false) {
            let packet = Array(line)
            let payload = JSONText.trimmed(packet.span)
            if !payload.isEmpty { packetsSent += 1 }
            result += withID(packet, payload)
            result.append(0x0A)
        }
        result.removeLast(lines.last == 0x0A ? 1 : 0)
        return result
    }

    /// A line that is not a packet is sent unchanged; the daemon reports what is wrong with it.
    private func withID(_ line: [UInt8], _ payload: Range<Int>) -> [UInt8] {
        let bytes = line.span.extracting(payload)
        guard let facts = try? reader.read(bytes), facts.stardustID == nil else { return line }
        let digest = Digest.sha256(bytes)
        let repetition = repetitions[digest, default: 0]
        repetitions[digest] = repetition + 1
        let member = "\"stardust_id\":\"\(Self.id(digest, repetition))\","
        return Array(line[..<(payload.lowerBound + 1)]) + Array(member.utf8)
            + Array(line[(payload.lowerBound + 1)...])
    }

    /// Depends only on the packet and its repetition, so sending the input again gives the same id.
    private static func id(_ digest: Digest, _ repetition: UInt64) -> UUID128 {
        var hasher = SHA256Hasher()
        hasher.update(digest)
        for shift in stride(from: UInt64(0), to: 64, by: 8) {
            hasher.update(UInt8(truncatingIfNeeded: repetition >> shift))
        }
        let bytes = hasher.finish().bytes
        return UUID128(bytes.span, at: 0).shapedAsVersion4
    }
}
