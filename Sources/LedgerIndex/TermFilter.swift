internal import LedgerFormat
internal import LedgerStorage
internal import Packets
internal import Platform

/// Rules out nearly every term that a run lacks. Without it most look-ups would read a block of
/// each run and find nothing in all but one.
///
/// A Bloom filter in blocks of 256 bits. A term sets eight bits of one block, so a look-up is one
/// memory access (Putze, Sanders, Singler, "Cache-, Hash- and Space-Efficient Bloom Filters",
/// 2007). Terms are spread evenly, so a term's value determines its block: the filter is written
/// and checked from front to back, in the order of terms. With ten bits per term, about one in a
/// hundred absent terms passes.
struct TermFilter: Sendable {
    typealias Block = SIMD8<UInt32>

    let blocks: [Block]

    static let blockBytes = 32
    private static let bitsPerTerm = 10

    /// The number of blocks that this many terms need.
    static func blocks(forTerms terms: Int) -> Int {
        max(1, (terms * bitsPerTerm + blockBytes * 8 - 1) / (blockBytes * 8))
    }

    /// Bytes in a file, rounded up to whole blocks of the file.
    static func fileBytes(_ blocks: Int) -> Int {
        let page = IndexLimits.blockBytes
        return (blocks * blockBytes + page - 1) / page * page
    }

    /// `bytes` has `count` blocks.
    init(_ bytes: Span<UInt8>, count: Int) {
        blocks = (0..<count).map { Self.block(bytes, at: $0 * Self.blockBytes) }
    }

    @inline(__always)
    func mayHold(_ term: UInt64) -> Bool {
        let mask = Self.mask(of: term)
        return blocks[Self.place(of: term, among: blocks.count)] & mask == mask
    }

    /// The block of a term, in proportion to the term's value.
    @inline(__always)
    static func place(of term: UInt64, among count: Int) -> Int {
        Int((term << (64 - TermKey.termBits)).multipliedFullWidth(by: UInt64(count)).high)
    }

    /// The eight bits of a term, one in each of the block's words. Terms that share a block share
    /// their leading bits, so the mask depends on the trailing ones.
    @inline(__always)
    static func mask(of term: UInt64) -> Block {
        let mixed = term &* 0x9E37_79B9_7F4A_7C15
        let shifts = Block(truncatingIfNeeded: SIMD8<UInt64>(repeating: mixed) &>> Self.fields)
        return Block(repeating: 1) &<< (shifts & 31)
    }

    /// Where the five bits for each word begin, in the upper forty bits of the product.
    private static let fields = SIMD8<UInt64>(24, 29, 34, 39, 44, 49, 54, 59)

    static func block(_ bytes: Span<UInt8>, at offset: Int) -> Block {
        var block = Block()
        for word in 0..<8 { block[word] = bytes.littleEndian(at: offset + 4 * word) }
        return block
    }
}

/// Writes a filter as its terms come, in ascending order.
struct TermFilterWriter: ~Copyable {
    private let file: any VolumeFile
    private let count: Int
    private var offset: Int
    private var pending: [UInt8] = []
    private var place = 0
    private var block = TermFilter.Block()
    private(set) var checksum = CRC32C()

    private static let writeBytes = 1 << 16

    /// A filter of `count` blocks in a file, from `offset` on.
    init(_ file: any VolumeFile, at offset: Int, count: Int) {
        (self.file, self.offset, self.count) = (file, offset, count)
    }

    mutating func add(_ term: UInt64) throws(IndexFailure) {
        try goOn(to: TermFilter.place(of: term, among: count))
        block |= TermFilter.mask(of: term)
    }

    private mutating func goOn(to place: Int) throws(IndexFailure) {
        while self.place < place {
            var bytes = [UInt8](repeating: 0, count: TermFilter.blockBytes)
            var span = bytes.mutableSpan
            for word in 0..<8 { span.store(block[word], at: 4 * word) }
            pending += bytes
            if pending.count >= Self.writeBytes { try flush() }
            block = TermFilter.Block()
            self.place += 1
        }
    }

    private mutating func flush() throws(IndexFailure) {
        checksum = checksum.continued(over: pending.span)
        do throws(FileFailure) { try file.write(pending.span, at: offset) } catch {
            throw IndexFailure(error)
        }
        offset += pending.count
        pending.removeAll(keepingCapacity: true)
    }

    mutating func finish() throws(IndexFailure) {
        try goOn(to: count)
        let padding = TermFilter.fileBytes(count) - count * TermFilter.blockBytes
        pending += [UInt8](repeating: 0, count: padding)
        try flush()
    }
}
