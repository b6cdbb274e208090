internal import LedgerFormat
internal import Platform

/// Derived from a sealed segment so that opening need not read the segment: each record's
/// stardust_id and offset, in ledger order. Section "Ids" of `ledger-format.md` describes the
/// bytes.
///
/// Every slot has its own checksum, continued from the header's. The file is never synced: a crash
/// may leave it missing or damaged, and then it is rebuilt from its segment.
package struct IDsFile: Sendable {
    var ledgerID: UUID128
    var firstPosition: Position
    /// Size of the segment's file.
    var segmentBytes: UInt64
    /// As in the segment's header.
    var previous: Digest
    /// Entry hash of the segment's last record.
    var lastHash: Digest
    var lastReceivedAt: Timestamp
    var slots: [Slot]

    struct Slot: Hashable, Sendable {
        var stardustID: UUID128
        /// Where the record begins in the segment.
        var offset: UInt32
        /// Whether the entry is a packet. Records begin at multiples of 8, so the file stores this
        /// in the lowest bit of the offset.
        var isPacket = true

        /// Stands for an entry that cannot be read; no record begins at offset 0.
        static let unreadable = Slot(stardustID: UUID128(high: 0, low: 0), offset: 0)
        var isReadable: Bool { offset > 0 }
    }

    static let headerBytes = 160
    static let slotBytes = 24
    /// No segment has more records than these describe.
    static let bytesMax =
        headerBytes + slotBytes * (StorageLimits.segmentBytesMax / RecordFrame.payloadOffset)
    /// "SDIDS", then the same line-end bytes as in `SegmentHeader`.
    private static let magic: UInt64 = 0x0A0D_1A53_4449_4453
    /// Version 1 did not record which entries are packets.
    package static let formatVersion: UInt32 = 2

    private enum Field {
        static let magic = 0
        static let formatVersion = 8
        static let headerBytes = 12
        static let ledgerID = 16
        static let firstPosition = 32
        static let count = 40
        static let segmentBytes = 48
        static let lastReceivedAt = 56
        static let previous = 64
        static let lastHash = 96
        static let checksum = 156
    }

    var fileContent: [UInt8] {
        var content = [UInt8](
            repeating: 0, count: Self.headerBytes + slots.count * Self.slotBytes)
        var bytes = content.mutableSpan
        bytes.store(Self.magic, at: Field.magic)
        bytes.store(Self.formatVersion, at: Field.formatVersion)
        bytes.store(UInt32(Self.headerBytes), at: Field.headerBytes)
        ledgerID.store(in: &bytes, at: Field.ledgerID)
        bytes.store(firstPosition.value, at: Field.firstPosition)
        bytes.store(UInt64(slots.count), at: Field.count)
        bytes.store(segmentBytes, at: Field.segmentBytes)
        bytes.store(lastReceivedAt.microseconds, at: Field.lastReceivedAt)
        previous.store(in: &bytes, at: Field.previous)
        lastHash.store(in: &bytes, at: Field.lastHash)
        let seed = CRC32C().continued(over: bytes.span.extracting(0..<Field.checksum))
        bytes.store(seed.value, at: Field.checksum)
        for (ordinal, slot) in slots.enumerated() {
            let at = Self.headerBytes + ordinal * Self.slotBytes
            slot.stardustID.store(in: &bytes, at: at)
            bytes.store(slot.offset | (slot.isPacket ? 0 : 1), at: at + 16)
            let checksum = seed.continued(over: bytes.span.extracting(at..<at + 20))
            bytes.store(checksum.value, at: at + 20)
        }
        return content
    }

    /// Nil if the content is damaged.
    init?(fileContent: [UInt8]) {
        let bytes = fileContent.span
        guard bytes.count >= Self.headerBytes,
            bytes.littleEndian(UInt64.self, at: Field.magic) == Self.magic,
            bytes.littleEndian(UInt32.self, at: Field.formatVersion) == Self.formatVersion,
            let seed = Self.seed(bytes)
        else { return nil }
        let count = bytes.littleEndian(UInt64.self, at: Field.count)
        let (slots, rest) = (bytes.count - Self.headerBytes).quotientAndRemainder(
            dividingBy: Self.slotBytes)
        guard UInt64(slots) == count, rest == 0 else { return nil }
        ledgerID = UUID128(bytes, at: Field.ledgerID)
        firstPosition = Position(bytes.littleEndian(at: Field.firstPosition))
        segmentBytes = bytes.littleEndian(at: Field.segmentBytes)
        lastReceivedAt = Timestamp(microseconds: bytes.littleEndian(at: Field.lastReceivedAt))
        previous = Digest(bytes, at: Field.previous)
        lastHash = Digest(bytes, at: Field.lastHash)
        self.slots = []
        self.slots.reserveCapacity(slots)
        for ordinal in 0..<slots {
            let at = Self.headerBytes + ordinal * Self.slotBytes
            guard let slot = Self.slot(bytes, at: at, seed: seed) else { return nil }
            self.slots.append(slot)
        }
    }

    init(header: SegmentHeader, segmentBytes: Int, last: RecordChecker, slots: [Slot]) {
        ledgerID = header.ledgerID
        firstPosition = header.firstPosition
        self.segmentBytes = UInt64(segmentBytes)
        previous = header.previous
        lastHash = last.lastHash
        lastReceivedAt = last.lastReceivedAt ?? Timestamp(microseconds: .min)
        self.slots = slots
    }

    /// A file whose header was checked, for reading single slots.
    struct Reader: Sendable {
        private let file: any VolumeFile
        private let seed: CRC32C

        /// Nil if the header is incomplete or its checksum does not match.
        init?(_ file: any VolumeFile) throws(FileFailure) {
            var header = [UInt8](repeating: 0, count: headerBytes)
            guard try file.read(into: &header, 0..<headerBytes, at: 0) == headerBytes,
                let seed = IDsFile.seed(header.span)
            else { return nil }
            self.file = file
            self.seed = seed
        }

        /// Nil if the slot is incomplete or its checksum does not match.
        func slot(
            _ ordinal: Int, _ window: inout ReadWindow, _ access: ReadAccess
        ) throws(FileFailure) -> Slot? {
            let offset = headerBytes + ordinal * slotBytes
            let (index, count, _) = try window.find(slotBytes, of: file, at: offset, access)
            guard count >= slotBytes else { return nil }
            return IDsFile.slot(window.bytes.span, at: index, seed: seed)
        }
    }

    /// The header's checksum; nil if it does not match.
    private static func seed(_ bytes: Span<UInt8>) -> CRC32C? {
        let seed = CRC32C().continued(over: bytes.extracting(0..<Field.checksum))
        return seed.value == bytes.littleEndian(UInt32.self, at: Field.checksum) ? seed : nil
    }

    private static func slot(_ bytes: Span<UInt8>, at offset: Int, seed: CRC32C) -> Slot? {
        let checksum = seed.continued(over: bytes.extracting(offset..<offset + 20))
        guard checksum.value == bytes.littleEndian(UInt32.self, at: offset + 20) else { return nil }
        let place = bytes.littleEndian(UInt32.self, at: offset + 16)
        return Slot(
            stardustID: UUID128(bytes, at: offset), offset: place & ~1, isPacket: place & 1 == 0)
    }

    /// Whether this describes the segment with that header and size.
    func describes(_ header: SegmentHeader, segmentBytes: Int) -> Bool {
        ledgerID == header.ledgerID && firstPosition == header.firstPosition
            && previous == header.previous && self.segmentBytes == UInt64(segmentBytes)
            && !slots.isEmpty
    }
}
