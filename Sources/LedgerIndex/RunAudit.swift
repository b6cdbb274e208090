package import LedgerFormat
package import LedgerStorage
package import Packets

/// A run's file for whoever checks it against the ledger: what it claims, and what it holds.
///
/// The sum over all pairs is the same whatever their order, so both sides are read once, from front
/// to back, in bounded memory.
package struct RunAudit {
    package let path: String
    private let run: TermRun

    package var range: Range<UInt64> { run.header.first.value..<run.header.end.value }
    package var identity: Digest { run.header.identity }
    package var lastHash: Digest { run.header.lastHash }
    package var key: TermKey { run.header.key }

    /// The runs of an index in the order of positions. `report` gets each file that is none.
    package static func runs(
        _ volume: any Volume, report: (_ path: String, _ detail: String) -> Void
    ) throws(FileFailure) -> [RunAudit] {
        var runs: [RunAudit] = []
        for name in try volume.list(LedgerLayout.index).sorted() where name.hasSuffix(".run") {
            let path = LedgerLayout.index + "/" + name
            do throws(IndexFailure) {
                runs.append(RunAudit(path: path, run: try TermRun(volume, path: path)))
            } catch { report(path, error.description) }
        }
        return runs
    }

    /// What is wrong with the file in itself; nil where its pairs are those that it was written
    /// with.
    package func damage() throws(IndexFailure) -> String? {
        var (pairs, sum): (UInt64, UInt64) = (0, 0)
        do throws(IndexFailure) {
            var reader = try TermRun.Reader(run)
            while !reader.isAtEnd {
                pairs += 1
                sum &+= RunHeader.mark(
                    reader.term, run.header.first.value + UInt64(reader.ordinal))
                try reader.advance()
            }
        } catch .unusable(let detail) { return detail }
        let isWhole = pairs == run.header.pairs && sum == run.header.sum
        return isWhole ? nil : "its pairs are not those that it was written with"
    }

    /// The sum that the ledger gives, to be compared with the file's.
    package struct Tally: Sendable {
        private var sum: UInt64 = 0
        package init() {}

        package mutating func add(_ terms: [UInt64], at position: Position) {
            for term in Set(terms) { sum &+= RunHeader.mark(term, position.value) }
        }

        fileprivate func agrees(with header: RunHeader) -> Bool { sum == header.sum }
    }

    package func agrees(with tally: Tally) -> Bool { tally.agrees(with: run.header) }
}
