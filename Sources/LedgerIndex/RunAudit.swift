package import LedgerFormat
internal import LedgerStorage
package import Packets
package import Platform

/// A run's file, for checking against the ledger: what it claims and what it holds.
///
/// The sum over all pairs does not depend on their order, so both the run and the ledger are read
/// once, from front to back, in bounded memory.
package struct RunAudit {
    package let path: String
    private let run: TermRun

    package var range: Range<UInt64> { run.header.first.value..<run.header.end.value }
    package var identity: Digest { run.header.identity }
    package var lastHash: Digest { run.header.lastHash }
    package var key: TermKey { run.header.key }

    /// The runs of an index in the order of positions. `report` gets each file that is not a run.
    package static func runs(
        _ volume: any Volume, report: (_ path: String, _ detail: String) -> Void
    ) throws(FileFailure) -> [RunAudit] {
        var runs: [RunAudit] = []
        for name in try volume.list(LedgerLayout.index).sorted() where name.hasSuffix(".run") {
            let path = LedgerLayout.index + "/" + name
            do throws(IndexFailure) {
                runs.append(
                    RunAudit(path: path, run: try TermRun(volume, path: path, withFilter: false)))
            } catch {
                // Merged away since the folder was listed.
                guard try volume.list(LedgerLayout.index).contains(name) else { continue }
                report(path, error.description)
            }
        }
        return runs.sorted {
            ($0.range.lowerBound, $1.range.upperBound) < ($1.range.lowerBound, $0.range.upperBound)
        }
    }

    /// What is wrong with the file in itself; nil if it holds exactly the pairs that it was written
    /// with.
    package func damage() throws(IndexFailure) -> String? {
        var (pairs, terms, sum): (UInt64, UInt64, UInt64) = (0, 0, 0)
        var last: UInt64?
        do throws(IndexFailure) {
            var reader = try TermRun.Reader(run)
            var filter = TermFilterReader(run)
            while !reader.isAtEnd {
                pairs += 1
                if reader.term != last { terms += 1 }
                last = reader.term
                guard try filter.holds(reader.term) else {
                    return "its filter lacks some of its terms"
                }
                sum &+= RunHeader.mark(
                    reader.term, run.header.first.value + UInt64(reader.ordinal))
                try reader.advance()
            }
            guard try filter.isWhole() else { return "the checksum of its filter does not match" }
        } catch .unusable(let detail) { return detail }
        let header = run.header
        let isWhole = pairs == header.pairs && terms == header.terms && sum == header.sum
        return isWhole ? nil : "its pairs do not match its header"
    }

    /// The sum computed from the ledger, to compare with the file's.
    package struct Tally: Sendable {
        private var sum: UInt64 = 0
        private var unindexed: UInt64 = 0
        private var flags = RunFlags()

        package init() {}

        package mutating func add(
            _ scanner: borrowing TermScanner, isReadable: Bool, at position: Position
        ) {
            for term in Set(scanner.terms) { sum &+= RunHeader.mark(term, position.value) }
            if !isReadable { unindexed += 1 }
            if scanner.namesParentsByHash { flags.insert(.namesParentsByHash) }
            if scanner.namesParentsByEntity { flags.insert(.namesParentsByEntity) }
        }

        fileprivate func agrees(with header: RunHeader) -> Bool {
            sum == header.sum && unindexed == header.unindexed && flags == header.flags
        }
    }

    package func agrees(with tally: Tally) -> Bool { tally.agrees(with: run.header) }
}

/// Reads a run's filter alongside its terms, in ascending order.
private struct TermFilterReader: ~Copyable {
    private let run: TermRun
    private var bytes: [UInt8] = []
    /// Where `bytes` begins in the filter.
    private var start = 0
    private var checksum = CRC32C()

    private static let pieceBytes = 1 << 16

    init(_ run: TermRun) { self.run = run }

    mutating func holds(_ term: UInt64) throws(IndexFailure) -> Bool {
        let place = TermFilter.place(of: term, among: Int(run.header.filterBlocks))
        let offset = place * TermFilter.blockBytes
        while offset >= start + bytes.count { try advance() }
        let mask = TermFilter.mask(of: term)
        return TermFilter.block(bytes.span, at: offset - start) & mask == mask
    }

    /// Whether the whole filter matches its checksum. Reads it to its end.
    mutating func isWhole() throws(IndexFailure) -> Bool {
        while start + bytes.count < run.header.filterBytes { try advance() }
        return checksum == run.header.filterChecksum
    }

    private mutating func advance() throws(IndexFailure) {
        start += bytes.count
        bytes = [UInt8](
            repeating: 0, count: min(Self.pieceBytes, run.header.filterBytes - start))
        do throws(FileFailure) {
            _ = try run.file.read(
                into: &bytes, 0..<bytes.count, at: IndexLimits.blockBytes + start)
        } catch { throw IndexFailure(error) }
        checksum = checksum.continued(over: bytes.span)
    }
}
