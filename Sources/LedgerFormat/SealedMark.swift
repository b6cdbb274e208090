/// Says that a segment is whole in an archive, and what its objects have. `ledger-format.md`, section
/// "Archive", describes the bytes.
package struct SealedMark: Hashable, Sendable {
    package var first: Position
    package var count: UInt64
    /// Bytes of the segment.
    package var bytes: Int
    /// Where in the file of checkpoints those begin and end whose size lies in the segment.
    package var checkpoints: Range<Int>
    /// SHA-256 of the segment, of its entries and of its checkpoints.
    package var segmentDigest: Digest
    package var entriesDigest: Digest
    package var checkpointsDigest: Digest
    /// Hash of the last entry.
    package var lastHash: Digest

    package init(
        first: Position, count: UInt64, bytes: Int, checkpoints: Range<Int>,
        segmentDigest: Digest, entriesDigest: Digest, checkpointsDigest: Digest, lastHash: Digest
    ) {
        (self.first, self.count, self.bytes) = (first, count, bytes)
        (self.checkpoints, self.lastHash) = (checkpoints, lastHash)
        (self.segmentDigest, self.entriesDigest) = (segmentDigest, entriesDigest)
        self.checkpointsDigest = checkpointsDigest
    }

    package static let firstLine = "stardust-sealed/1"
    /// No mark is longer.
    package static let bytesMax = 1024

    /// The position after the segment.
    package var end: Position { Position(first.value + count) }

    package var fileContent: [UInt8] {
        let lines = [
            Self.firstLine, "\(first)", "\(count)", "\(bytes)",
            "\(checkpoints.lowerBound) \(checkpoints.upperBound)", segmentDigest.tagged,
            entriesDigest.tagged, checkpointsDigest.tagged, lastHash.tagged,
        ]
        let text = Array(lines.map { $0 + "\n" }.joined().utf8)
        return text + Array("crc32c:\(CRC32C().continued(over: text.span).hex)\n".utf8)
    }

    /// Reads the whole object; nil if any byte differs from what was written.
    package init?(fileContent: [UInt8]) {
        let lines = fileContent.split(separator: 0x0A, omittingEmptySubsequences: false)
        guard lines.count == 11 else { return nil }
        let numbers = lines[1...3].compactMap { UInt64(canonical: $0) }
        let places = lines[4].split(separator: 0x20).compactMap { UInt64(canonical: $0) }
        let digests = lines[5...8].compactMap { line in
            Digest(hex: String(decoding: line.dropFirst("sha256:".utf8.count), as: UTF8.self))
        }
        guard numbers.count == 3, places.count == 2, digests.count == 4,
            numbers.allSatisfy({ $0 < 1 << 48 }), places[0] <= places[1], places[1] < 1 << 48
        else { return nil }
        self.init(
            first: Position(numbers[0]), count: numbers[1], bytes: Int(numbers[2]),
            checkpoints: Int(places[0])..<Int(places[1]), segmentDigest: digests[0],
            entriesDigest: digests[1], checkpointsDigest: digests[2], lastHash: digests[3])
        guard self.fileContent == fileContent else { return nil }
    }
}
