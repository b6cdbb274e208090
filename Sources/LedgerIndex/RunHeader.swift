internal import LedgerFormat
internal import Packets

/// The first block of a run's file: what the run covers, what it was made with, and what it must
/// hold. The file is derived and can be rebuilt, so its bytes are described only here: this header,
/// the filter of terms, the blocks of pairs, the first pair of each block, and the bounds of each
/// zone.
struct RunHeader: Sendable {
    /// SHA-256 of the ledger's identity file.
    var identity: Digest
    var key: TermKey
    /// Positions from `first` up to but not including `end`.
    var first: Position
    var end: Position
    /// Entry hash of the last position. The run belongs to a ledger that has this hash there.
    var lastHash: Digest
    var pairs: UInt64 = 0
    /// Distinct terms.
    var terms: UInt64 = 0
    /// Sum of `RunHeader.mark` over all pairs. It does not depend on which runs hold them.
    var sum: UInt64 = 0
    var filterBlocks: UInt64
    var blocks: UInt64 = 0
    var zones: UInt64 = 0
    /// Packets that could not be read.
    var unindexed: UInt64 = 0
    var flags = RunFlags()
    /// Over the fences and the zones after the blocks.
    var tableChecksum = CRC32C()
    /// Over the filter.
    var filterChecksum = CRC32C()

    static let formatVersion: UInt32 = 3
    /// "SDTERM", then the same line-end bytes as in `SegmentHeader`.
    private static let magic: UInt64 = 0x0A0D_4D52_4554_4453
    static let fenceBytes = 12
    static let zoneBytes = 16

    var packets: Int { Int(end.value - first.value) }

    var filterBytes: Int { TermFilter.fileBytes(Int(filterBlocks)) }

    /// Where a block of pairs begins.
    func offset(ofBlock block: Int) -> Int {
        IndexLimits.blockBytes + filterBytes + block * IndexLimits.blockBytes
    }

    var tableOffset: Int { offset(ofBlock: Int(blocks)) }
    var tableBytes: Int { Int(blocks) * Self.fenceBytes + Int(zones) * Self.zoneBytes }

    /// What a pair adds to the sum.
    @inline(__always)
    static func mark(_ term: UInt64, _ position: UInt64) -> UInt64 {
        let product = (term ^ 0x9E37_79B9_7F4A_7C15)
            .multipliedFullWidth(by: position ^ 0xD6E8_FEB8_6659_FD93)
        return product.high ^ product.low
    }

    private enum Field {
        static let magic = 0
        static let formatVersion = 8
        static let flags = 12
        static let identity = 16
        static let lastHash = 48
        static let keyFirst = 80
        static let keySecond = 88
        static let first = 96
        static let end = 104
        static let pairs = 112
        static let sum = 120
        static let blocks = 128
        static let zones = 136
        static let unindexed = 144
        static let tableChecksum = 152
        static let filterChecksum = 156
        static let terms = 160
        static let filterBlocks = 168
        static let checksum = 176
        static let byteCount = 180
    }

    var bytes: [UInt8] {
        var result = [UInt8](repeating: 0, count: IndexLimits.blockBytes)
        var span = result.mutableSpan
        span.store(Self.magic, at: Field.magic)
        span.store(Self.formatVersion, at: Field.formatVersion)
        span.store(flags.rawValue, at: Field.flags)
        identity.store(in: &span, at: Field.identity)
        lastHash.store(in: &span, at: Field.lastHash)
        span.store(key.first, at: Field.keyFirst)
        span.store(key.second, at: Field.keySecond)
        span.store(first.value, at: Field.first)
        span.store(end.value, at: Field.end)
        span.store(pairs, at: Field.pairs)
        span.store(sum, at: Field.sum)
        span.store(blocks, at: Field.blocks)
        span.store(zones, at: Field.zones)
        span.store(unindexed, at: Field.unindexed)
        span.store(tableChecksum.value, at: Field.tableChecksum)
        span.store(filterChecksum.value, at: Field.filterChecksum)
        span.store(terms, at: Field.terms)
        span.store(filterBlocks, at: Field.filterBlocks)
        let checksum = CRC32C().continued(over: span.span.extracting(0..<Field.checksum))
        span.store(checksum.value, at: Field.checksum)
        return result
    }

    /// Reads the first block of a file of `fileBytes`. Nil if it is not a run of this format, or
    /// claims what the file cannot hold.
    init?(_ bytes: Span<UInt8>, fileBytes: Int) {
        guard bytes.count >= Field.byteCount,
            bytes.littleEndian(UInt64.self, at: Field.magic) == Self.magic,
            bytes.littleEndian(UInt32.self, at: Field.formatVersion) == Self.formatVersion,
            CRC32C().continued(over: bytes.extracting(0..<Field.checksum)).value
                == bytes.littleEndian(UInt32.self, at: Field.checksum)
        else { return nil }
        flags = RunFlags(rawValue: bytes.littleEndian(at: Field.flags))
        identity = Digest(bytes, at: Field.identity)
        lastHash = Digest(bytes, at: Field.lastHash)
        key = TermKey(
            first: bytes.littleEndian(at: Field.keyFirst),
            second: bytes.littleEndian(at: Field.keySecond))
        first = Position(bytes.littleEndian(at: Field.first))
        end = Position(bytes.littleEndian(at: Field.end))
        pairs = bytes.littleEndian(at: Field.pairs)
        sum = bytes.littleEndian(at: Field.sum)
        blocks = bytes.littleEndian(at: Field.blocks)
        zones = bytes.littleEndian(at: Field.zones)
        unindexed = bytes.littleEndian(at: Field.unindexed)
        tableChecksum = CRC32C(bytes.littleEndian(at: Field.tableChecksum))
        filterChecksum = CRC32C(bytes.littleEndian(at: Field.filterChecksum))
        terms = bytes.littleEndian(at: Field.terms)
        filterBlocks = bytes.littleEndian(at: Field.filterBlocks)
        guard first < end, end.value <= UInt64(UInt32.max), blocks < 1 << 40, zones < 1 << 40,
            (1..<1 << 40).contains(filterBlocks),
            // A block holds at least one pair, and a pair takes at least one byte.
            terms <= pairs, blocks <= pairs, pairs <= blocks * UInt64(IndexLimits.blockBytes),
            filterBlocks <= UInt64(TermFilter.blocks(forTerms: Int(pairs))),
            unindexed <= UInt64(packets),
            fileBytes == tableOffset + tableBytes,
            Int(zones) == (packets + IndexLimits.zonePackets - 1) / IndexLimits.zonePackets
        else { return nil }
    }

    /// The header of a run that has at most `termsMax` distinct terms.
    init(
        identity: Digest, key: TermKey, first: Position, end: Position, lastHash: Digest,
        termsMax: Int
    ) {
        self.identity = identity
        self.key = key
        self.first = first
        self.end = end
        self.lastHash = lastHash
        filterBlocks = UInt64(TermFilter.blocks(forTerms: termsMax))
    }

    /// The name of the file for a run of these positions.
    static func fileName(_ first: Position, _ end: Position) -> String {
        func digits(_ position: Position) -> String {
            let text = String(position.value)
            return String(repeating: "0", count: 10 - min(10, text.utf8.count)) + text
        }
        return "\(digits(first))-\(digits(end)).run"
    }
}
