internal import LedgerFormat
internal import LedgerStorage
internal import Platform

/// Writes a run: takes pairs in order and writes blocks. The file gets its name only when it is
/// whole. It is never synced: its checksums show what a power cut damaged, and the index is rebuilt
/// from the ledger.
///
/// A block is a checksum, the count of bytes used, and groups. A group is the difference from the
/// previous term as a varint, then for each packet the difference from the previous ordinal,
/// shifted left by one, also as a varint. Its lowest bit is set if another packet follows.
struct RunWriter: ~Copyable {
    private let volume: any Volume
    private let file: any VolumeFile
    private let path: String
    private var header: RunHeader
    private var block = [UInt8](repeating: 0, count: IndexLimits.blockBytes)
    private var used = RunBlock.start
    /// Blocks that wait to be written together, and the offset for them.
    private var pending: [UInt8] = []
    private var offset: Int
    private var filter: TermFilterWriter
    private var fences: [UInt8] = []
    private var lastTerm: UInt64?
    private var lastOrdinal: UInt32 = 0
    /// Where the last ordinal written begins in the block.
    private var lastPlace = 0

    private static let writeBytes = 1 << 18
    /// The longest group of one packet: two varints.
    private static let groupBytes = 7 + 5

    init(_ volume: any Volume, path: String, _ header: RunHeader) throws(IndexFailure) {
        self.volume = volume
        self.path = path
        self.header = header
        let beside = path + ".tmp"
        do throws(FileFailure) {
            // Until `finish` renames it, a crash leaves only this `.tmp` file. Opening removes it,
            // and so does the next writer of the same run.
            if try volume.list(path.folder).contains(beside.lastName) { try volume.remove(beside) }
            file = try volume.open(beside, .create())
        } catch { throw IndexFailure(error) }
        offset = header.offset(ofBlock: 0)
        filter = TermFilterWriter(
            file, at: IndexLimits.blockBytes, count: Int(header.filterBlocks))
        pending.reserveCapacity(Self.writeBytes + IndexLimits.blockBytes)
    }

    /// Adds a pair that follows all earlier ones. Skips a repetition of the last one.
    mutating func add(_ term: UInt64, _ ordinal: UInt32) throws(IndexFailure) {
        if term == lastTerm, ordinal == lastOrdinal { return }
        header.pairs += 1
        header.sum &+= RunHeader.mark(term, header.first.value + UInt64(ordinal))
        if term != lastTerm {
            header.terms += 1
            try filter.add(term)
        }
        if used + Self.groupBytes > IndexLimits.blockBytes { try endBlock() }
        if used == RunBlock.start {
            beginBlock(term, ordinal)
        } else if term == lastTerm {
            block[lastPlace] |= 1
            appendOrdinal(ordinal &- lastOrdinal)
        } else {
            append(term - lastTerm!)
            appendOrdinal(ordinal)
        }
        lastTerm = term
        lastOrdinal = ordinal
    }

    private mutating func beginBlock(_ term: UInt64, _ ordinal: UInt32) {
        var fence = [UInt8](repeating: 0, count: RunHeader.fenceBytes)
        var span = fence.mutableSpan
        span.store(term, at: 0)
        span.store(ordinal, at: 8)
        fences += fence
        append(0)
        appendOrdinal(ordinal)
    }

    @inline(__always)
    private mutating func appendOrdinal(_ difference: UInt32) {
        lastPlace = used
        append(UInt64(difference) << 1)
    }

    @inline(__always)
    private mutating func append(_ value: UInt64) {
        var value = value
        // The lowest bits come first, so `add` can later set the bit in an ordinal's first byte
        // that says that another follows.
        while value >= 0x80 {
            block[used] = UInt8(truncatingIfNeeded: value) | 0x80
            used += 1
            value >>= 7
        }
        block[used] = UInt8(truncatingIfNeeded: value)
        used += 1
    }

    private mutating func endBlock() throws(IndexFailure) {
        guard used > RunBlock.start else { return }
        for index in used..<IndexLimits.blockBytes { block[index] = 0 }
        RunBlock.seal(&block, used: used)
        pending += block
        header.blocks += 1
        used = RunBlock.start
        if pending.count >= Self.writeBytes { try flush() }
    }

    private mutating func flush() throws(IndexFailure) {
        do throws(FileFailure) { try file.write(pending.span, at: offset) } catch {
            throw IndexFailure(error)
        }
        offset += pending.count
        pending.removeAll(keepingCapacity: true)
    }

    /// Writes the rest and gives the file its name.
    mutating func finish(
        zones: CreationBounds, unindexed: Int, flags: RunFlags
    ) throws(IndexFailure) {
        try endBlock()
        var table = fences
        for bound in zones.bounds {
            var bytes = [UInt8](repeating: 0, count: RunHeader.zoneBytes)
            var span = bytes.mutableSpan
            span.store(bound.earliest, at: 0)
            span.store(bound.latest, at: 8)
            table += bytes
        }
        header.zones = UInt64(zones.bounds.count)
        header.unindexed = UInt64(unindexed)
        header.flags = flags
        header.tableChecksum = CRC32C().continued(over: table.span)
        try filter.finish()
        header.filterChecksum = filter.checksum
        pending += table
        try flush()
        do throws(FileFailure) {
            // The rename makes the run visible. Its bytes are durable before that; a power cut may
            // only take the name back, and then the entries are indexed again.
            try file.write(header.bytes.span, at: 0)
            try file.syncData()
            try volume.rename(path + ".tmp", to: path)
        } catch { throw IndexFailure(error) }
    }
}

/// The frame of a block: checksum, count of bytes used, groups.
enum RunBlock {
    static let start = 6

    static func seal(_ block: inout [UInt8], used: Int) {
        var span = block.mutableSpan
        span.store(UInt16(used), at: 4)
        let checksum = CRC32C().continued(over: span.span.extracting(4..<IndexLimits.blockBytes))
        span.store(checksum.value, at: 0)
    }

    /// How many bytes of the block at `offset` are used; nil if it is damaged.
    static func used(_ bytes: Span<UInt8>, at offset: Int) -> Int? {
        let block = bytes.extracting(offset..<offset + IndexLimits.blockBytes)
        let checksum = CRC32C().continued(over: block.extracting(4..<IndexLimits.blockBytes))
        let used = Int(block.littleEndian(UInt16.self, at: 4))
        guard block.littleEndian(UInt32.self, at: 0) == checksum.value,
            (start...IndexLimits.blockBytes).contains(used)
        else { return nil }
        return used
    }

    /// Reads the varint at `index` and steps over it. Does not read beyond `end`.
    @inline(__always)
    static func varint(_ bytes: Span<UInt8>, _ index: inout Int, _ end: Int) -> UInt64 {
        var (value, shift): (UInt64, UInt64) = (0, 0)
        while index < end {
            let byte = bytes[index]
            index += 1
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { break }
            shift += 7
        }
        return value
    }
}
