internal import LedgerFormat
internal import LedgerStorage
internal import Packets
internal import Platform

/// A sorted, immutable piece of the index in a file, with the first pair of each block in memory.
final class TermRun: Sendable {
    let header: RunHeader
    let path: String
    let zones: CreationBounds
    /// Nil if only the pairs are needed.
    private let filter: TermFilter?
    let file: any VolumeFile
    private let fenceTerms: [UInt64]
    private let fenceOrdinals: [UInt32]
    /// For each value of a term's leading bits, the first block that begins with that value or a
    /// greater one. So a search looks at a few neighbouring blocks, however long the run is.
    private let prefixes: [UInt32]

    private static let prefixBits: UInt64 = 12

    /// Opens a file. Throws if anything but a block is damaged; blocks are checked when they are
    /// read. Without its filter a run takes little memory but cannot be used for look-ups.
    init(
        _ volume: any Volume, path: String, withFilter: Bool = true
    ) throws(IndexFailure) {
        self.path = path
        func damaged(_ what: String) -> IndexFailure { .unusable("\(path): \(what)") }
        let content: (file: any VolumeFile, header: RunHeader, table: [UInt8], filter: [UInt8])
        do throws(FileFailure) {
            let file = try volume.open(path, .read)
            var head = [UInt8](repeating: 0, count: IndexLimits.blockBytes)
            let count = try file.read(into: &head, 0..<head.count, at: 0)
            guard count == head.count,
                let header = RunHeader(head.span, fileBytes: try file.size())
            else { throw FileFailure(.read, path, errorNumber: 0) }
            var table = [UInt8](repeating: 0, count: header.tableBytes)
            _ = try file.read(into: &table, 0..<table.count, at: header.tableOffset)
            var filter = [UInt8](repeating: 0, count: withFilter ? header.filterBytes : 0)
            _ = try file.read(into: &filter, 0..<filter.count, at: IndexLimits.blockBytes)
            content = (file, header, table, filter)
        } catch  where error.errorNumber == 0 { throw damaged("not a run of this format") } catch {
            throw IndexFailure(error)
        }
        (file, header) = (content.file, content.header)
        let table = content.table
        guard CRC32C().continued(over: table.span) == header.tableChecksum else {
            throw damaged("the checksum of its table does not match")
        }
        let bits = content.filter
        guard !withFilter || CRC32C().continued(over: bits.span) == header.filterChecksum else {
            throw damaged("the checksum of its filter does not match")
        }
        filter = withFilter ? TermFilter(bits.span, count: Int(header.filterBlocks)) : nil
        var (terms, ordinals): ([UInt64], [UInt32]) = ([], [])
        terms.reserveCapacity(Int(header.blocks))
        ordinals.reserveCapacity(Int(header.blocks))
        for index in 0..<Int(header.blocks) {
            terms.append(table.span.littleEndian(at: index * RunHeader.fenceBytes))
            ordinals.append(table.span.littleEndian(at: index * RunHeader.fenceBytes + 8))
        }
        guard terms.allSatisfy({ $0 >> TermKey.termBits == 0 }),
            zip(terms, terms.dropFirst()).allSatisfy(<=)
        else { throw damaged("its blocks are not in order") }
        (fenceTerms, fenceOrdinals) = (terms, ordinals)
        prefixes = Self.prefixes(terms)
        let start = Int(header.blocks) * RunHeader.fenceBytes
        zones = CreationBounds(
            bounds: (0..<Int(header.zones)).map { index in
                let at = start + index * RunHeader.zoneBytes
                return (table.span.littleEndian(at: at), table.span.littleEndian(at: at + 8))
            }, packets: header.packets)
    }

    private static func prefixes(_ terms: [UInt64]) -> [UInt32] {
        var prefixes: [UInt32] = []
        prefixes.reserveCapacity(1 << Int(prefixBits) + 1)
        for (block, term) in terms.enumerated() {
            let prefix = Int(term >> (TermKey.termBits - prefixBits))
            while prefixes.count <= prefix { prefixes.append(UInt32(block)) }
        }
        while prefixes.count <= 1 << Int(prefixBits) { prefixes.append(UInt32(terms.count)) }
        return prefixes
    }

    /// Size class: runs of one class are merged.
    var sizeClass: Int {
        var (result, terms) = (0, UInt64(IndexLimits.smallRunTerms))
        while header.pairs >= terms {
            result += 1
            terms *= UInt64(IndexLimits.mergeWidth)
        }
        return result
    }

    var fileBytes: Int { header.tableOffset + header.tableBytes }

    // MARK: Looking up

    /// False if certainly no packet of the run has the term.
    func mayHold(_ term: UInt64) -> Bool { filter!.mayHold(term) }

    /// The last block that begins at or before a pair; nil if the first begins after it.
    func block(of term: UInt64, _ ordinal: UInt32) -> Int? {
        let prefix = Int(term >> (TermKey.termBits - Self.prefixBits))
        var (low, high) = (Int(prefixes[prefix]), Int(prefixes[prefix + 1]))
        while low < high {
            let middle = (low + high) / 2
            let isBefore =
                fenceTerms[middle] < term
                || (fenceTerms[middle] == term && fenceOrdinals[middle] <= ordinal)
            if isBefore { low = middle + 1 } else { high = middle }
        }
        return low == 0 ? nil : low - 1
    }

    /// The number of blocks that begin with a term: the cost of its list, in blocks.
    func blocks(beginningWith term: UInt64) -> Int {
        let last = block(of: term, .max) ?? -1
        let first = term == 0 ? -1 : block(of: term - 1, .max) ?? -1
        return last - first
    }

    func begins(_ block: Int, with term: UInt64) -> Bool {
        block < fenceTerms.count && fenceTerms[block] == term
    }

    /// Fills `ordinals` with those of a term in one block.
    func read(
        _ term: UInt64, in block: Int, into ordinals: inout [UInt32], _ buffer: inout [UInt8],
        _ access: ReadAccess
    ) throws(IndexFailure) {
        ordinals.removeAll(keepingCapacity: true)
        let used = try load(block, into: &buffer, access)
        let bytes = buffer.span
        var (index, current) = (RunBlock.start, fenceTerms[block])
        while index < used {
            current &+= RunBlock.varint(bytes, &index, used)
            if current > term { return }
            var ordinal: UInt32 = 0
            while true {
                let value = RunBlock.varint(bytes, &index, used)
                ordinal &+= UInt32(truncatingIfNeeded: value >> 1)
                if current == term { ordinals.append(ordinal) }
                if value & 1 == 0 || index >= used { break }
            }
        }
    }

    private func load(
        _ block: Int, into buffer: inout [UInt8], _ access: ReadAccess
    ) throws(IndexFailure) -> Int {
        if buffer.count < IndexLimits.blockBytes {
            buffer = [UInt8](repeating: 0, count: IndexLimits.blockBytes)
        }
        let count: Int
        do throws(FileFailure) {
            count = try file.read(
                into: &buffer, 0..<IndexLimits.blockBytes,
                at: header.offset(ofBlock: block), access)
        } catch { throw IndexFailure(error) }
        guard count == IndexLimits.blockBytes, let used = RunBlock.used(buffer.span, at: 0) else {
            throw .unusable("\(path): block \(block) is damaged")
        }
        return used
    }

    // MARK: Reading all

    /// Reads the pairs from front to back.
    struct Reader: ~Copyable {
        private let run: TermRun
        private var bytes = [UInt8](repeating: 0, count: 64 * IndexLimits.blockBytes)
        private var nextBlock = 0
        private var index = 0
        private var used = 0
        private var isWithinGroup = false
        private var isAtStart = true
        private(set) var term: UInt64 = 0
        private(set) var ordinal: UInt32 = 0
        private(set) var isAtEnd = false

        init(_ run: TermRun) throws(IndexFailure) {
            self.run = run
            try advance()
        }

        /// Writes the pairs of the current term and moves past them.
        mutating func drain(shift: UInt32, into writer: inout RunWriter) throws(IndexFailure) {
            let term = term
            repeat {
                try writer.add(term, ordinal + shift)
                try advance()
            } while !isAtEnd && self.term == term
        }

        /// Moves to the next pair. Throws if it does not follow the one before: the checksums do
        /// not rule that out, because whoever forged the pairs could compute them too.
        mutating func advance() throws(IndexFailure) {
            let last = isAtStart ? nil : (term, ordinal)
            isAtStart = false
            if index >= used {
                guard try nextBlockIsThere() else {
                    isAtEnd = true
                    return
                }
            }
            if isWithinGroup {
                take(after: ordinal)
            } else {
                term &+= nextVarint()
                take(after: 0)
            }
            guard term >> TermKey.termBits == 0, Int(ordinal) < run.header.packets,
                last.map({ $0 < (term, ordinal) }) ?? true
            else { throw .unusable("\(run.path): its pairs are not in order") }
        }

        private mutating func take(after last: UInt32) {
            let value = nextVarint()
            ordinal = last &+ UInt32(truncatingIfNeeded: value >> 1)
            isWithinGroup = value & 1 == 1
        }

        @inline(__always)
        private mutating func nextVarint() -> UInt64 {
            var place = index
            defer { index = place }
            return RunBlock.varint(bytes.span, &place, used)
        }

        private mutating func nextBlockIsThere() throws(IndexFailure) -> Bool {
            guard nextBlock < Int(run.header.blocks) else { return false }
            let capacity = bytes.count / IndexLimits.blockBytes
            let place = nextBlock % capacity
            if place == 0 {
                let count = min(capacity, Int(run.header.blocks) - nextBlock)
                let wanted = count * IndexLimits.blockBytes
                do throws(FileFailure) {
                    _ = try run.file.read(
                        into: &bytes, 0..<wanted, at: run.header.offset(ofBlock: nextBlock))
                } catch { throw IndexFailure(error) }
            }
            let start = place * IndexLimits.blockBytes
            guard let used = RunBlock.used(bytes.span, at: start) else {
                throw .unusable("\(run.path): block \(nextBlock) is damaged")
            }
            (index, self.used) = (start + RunBlock.start, start + used)
            (term, isWithinGroup) = (run.fenceTerms[nextBlock], false)
            nextBlock += 1
            return true
        }
    }
}
