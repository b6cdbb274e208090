/// The first 256 bytes of a file of entries, which is a segment without its payloads.
/// `ledger-format.md`, section "Entries", describes the bytes.
package struct EntriesHeader: Hashable, Sendable {
    package static let byteCount = 256
    package static let formatVersion: UInt32 = 1
    /// "SDENT", then the same line-end bytes as in `SegmentHeader`.
    private static let magic: UInt64 = 0x0A0D_1A54_4E45_4453

    /// As at the segment's beginning.
    package var segment: SegmentHeader
    /// Size of the segment's file.
    package var segmentBytes: UInt64
    package var segmentDigest: Digest
    package var count: UInt64
    /// Hash of the last entry.
    package var lastHash: Digest

    package init(
        segment: SegmentHeader, segmentBytes: UInt64, segmentDigest: Digest, count: UInt64,
        lastHash: Digest
    ) {
        (self.segment, self.segmentBytes, self.segmentDigest) = (
            segment, segmentBytes, segmentDigest
        )
        (self.count, self.lastHash) = (count, lastHash)
    }

    private enum Field {
        static let magic = 0
        static let formatVersion = 8
        static let headerBytes = 12
        static let segment = 16
        static let segmentBytes = 144
        static let count = 152
        static let segmentDigest = 160
        static let lastHash = 192
        static let reserved = 224
        static let checksum = 252
    }

    package var bytes: [UInt8] {
        var result = [UInt8](repeating: 0, count: Self.byteCount)
        result.replaceSubrange(Field.segment..<Field.segmentBytes, with: segment.bytes)
        var raw = result.mutableSpan
        raw.store(Self.magic, at: Field.magic)
        raw.store(Self.formatVersion, at: Field.formatVersion)
        raw.store(UInt32(Self.byteCount), at: Field.headerBytes)
        raw.store(segmentBytes, at: Field.segmentBytes)
        raw.store(count, at: Field.count)
        segmentDigest.store(in: &raw, at: Field.segmentDigest)
        lastHash.store(in: &raw, at: Field.lastHash)
        raw.store(Self.checksum(raw.span).value, at: Field.checksum)
        return result
    }

    private static func checksum(_ bytes: Span<UInt8>) -> CRC32C {
        CRC32C().continued(over: bytes.extracting(0..<Field.checksum))
    }

    /// Reads the first 256 bytes; nil if any differs from what was written. The caller has checked the
    /// bounds.
    package init?(_ bytes: Span<UInt8>) {
        guard bytes.littleEndian(UInt64.self, at: Field.magic) == Self.magic,
            bytes.littleEndian(UInt32.self, at: Field.formatVersion) == Self.formatVersion,
            let segment = try? SegmentHeader(bytes.extracting(Field.segment..<Field.segmentBytes))
        else { return nil }
        self.init(
            segment: segment, segmentBytes: bytes.littleEndian(at: Field.segmentBytes),
            segmentDigest: Digest(bytes, at: Field.segmentDigest),
            count: bytes.littleEndian(at: Field.count),
            lastHash: Digest(bytes, at: Field.lastHash))
        let own = self.bytes
        guard (0..<Self.byteCount).allSatisfy({ own[$0] == bytes[$0] }) else { return nil }
    }
}
