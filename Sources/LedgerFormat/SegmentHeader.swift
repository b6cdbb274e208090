/// The first 128 bytes of a segment. `ledger-format.md`, section "Segment", describes them.
package struct SegmentHeader: Hashable, Sendable {
    package static let byteCount = 128
    package static let formatVersion: UInt32 = 1
    /// "SDSEG", then the bytes 1A, CR and LF: a copy in text mode changes them and so is detected.
    private static let magic: UInt64 = 0x0A0D_1A47_4553_4453

    package var ledgerID: UUID128
    package var firstPosition: Position
    /// The hash of the entry before the first one; for position 0, the digest of the identity file.
    package var previous: Digest

    package init(ledgerID: UUID128, firstPosition: Position, previous: Digest) {
        self.ledgerID = ledgerID
        self.firstPosition = firstPosition
        self.previous = previous
    }

    private enum Field {
        static let magic = 0
        static let formatVersion = 8
        static let headerBytes = 12
        static let ledgerID = 16
        static let firstPosition = 32
        static let previous = 40
        static let reserved = 72
        static let checksum = 124
    }

    package enum DecodeError: Error, Hashable, CustomStringConvertible {
        case magic
        case checksum
        case formatVersion(UInt32)
        case reservedBytes

        package var description: String {
            switch self {
            case .magic: "the file does not begin with the magic of a segment"
            case .checksum: "the checksum of the segment header does not match"
            case .formatVersion(let found):
                "cannot judge: the segment has format version \(found), and this program knows "
                    + "\(SegmentHeader.formatVersion)"
            case .reservedBytes: "reserved bytes of the segment header are not zero"
            }
        }
    }

    /// Reads the first 128 bytes. The caller has checked the bounds.
    package init(_ bytes: Span<UInt8>) throws(DecodeError) {
        guard bytes.littleEndian(UInt64.self, at: Field.magic) == Self.magic else { throw .magic }
        guard
            Self.checksum(bytes).value == bytes.littleEndian(UInt32.self, at: Field.checksum)
        else { throw .checksum }
        let version = bytes.littleEndian(UInt32.self, at: Field.formatVersion)
        guard version == Self.formatVersion else { throw .formatVersion(version) }
        ledgerID = UUID128(bytes, at: Field.ledgerID)
        firstPosition = Position(bytes.littleEndian(at: Field.firstPosition))
        previous = Digest(bytes, at: Field.previous)
        guard bytes.littleEndian(UInt32.self, at: Field.headerBytes) == UInt32(Self.byteCount),
            (Field.reserved..<Field.checksum).allSatisfy({ bytes.littleEndian(at: $0) == UInt8(0) })
        else { throw .reservedBytes }
    }

    private static func checksum(_ bytes: Span<UInt8>) -> CRC32C {
        CRC32C().continued(over: bytes.extracting(0..<Field.checksum))
    }

    package var bytes: [UInt8] {
        var result = [UInt8](repeating: 0, count: Self.byteCount)
        var raw = result.mutableSpan
        raw.store(Self.magic, at: Field.magic)
        raw.store(Self.formatVersion, at: Field.formatVersion)
        raw.store(UInt32(Self.byteCount), at: Field.headerBytes)
        ledgerID.store(in: &raw, at: Field.ledgerID)
        raw.store(firstPosition.value, at: Field.firstPosition)
        previous.store(in: &raw, at: Field.previous)
        raw.store(Self.checksum(raw.span).value, at: Field.checksum)
        return result
    }

    /// The header's own checksum. Record checksums continue from it, so a record written for
    /// another segment does not pass in this one.
    package var seed: CRC32C {
        CRC32C(bytes.span.littleEndian(UInt32.self, at: Field.checksum))
    }
}
