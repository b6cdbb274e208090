internal import LedgerFormat
internal import LedgerStorage

/// Makes one run of neighbours: all their pairs, the smallest term first, and of that the oldest
/// run. Memory: a piece of each.
struct RunMerge: ~Copyable {
    private let runs: [TermRun]
    private var streams: [Stream] = []
    /// What each stream stands at; beyond every term at its end.
    private var terms: [UInt64] = []

    private static let ended = UInt64.max

    /// A reader with what its ordinals are moved by. A class, since readers are not copied; it is
    /// asked for a term's ordinals at once, for every access to it is checked.
    private final class Stream {
        private var reader: TermRun.Reader
        private let shift: UInt32

        init(_ run: TermRun, shift: UInt32) throws(IndexFailure) {
            reader = try TermRun.Reader(run)
            self.shift = shift
        }

        var term: UInt64 { reader.isAtEnd ? RunMerge.ended : reader.term }

        /// Writes the pairs of the term that it stands at, and gives the next one.
        func drain(into writer: inout RunWriter) throws(IndexFailure) -> UInt64 {
            try reader.drain(shift: shift, into: &writer)
            return term
        }
    }

    /// The runs follow each other.
    init(_ runs: [TermRun]) throws(IndexFailure) {
        self.runs = runs
        let base = runs[0].header.first.value
        for run in runs {
            let stream = try Stream(run, shift: UInt32(run.header.first.value - base))
            streams.append(stream)
            terms.append(stream.term)
        }
    }

    /// Terms between two looks at whether to go on.
    private static let termsBetweenLooks = 1 << 14

    /// The run; nil where `isCancelled` said to give up, and then nothing of it has a name.
    consuming func write(
        to volume: any Volume, isCancelled: () -> Bool
    ) throws(IndexFailure) -> TermRun? {
        let (first, last) = (runs.first!.header, runs.last!.header)
        let path = LedgerLayout.index + "/" + RunHeader.fileName(first.first, last.end)
        let header = RunHeader(
            identity: first.identity, key: first.key, first: first.first, end: last.end,
            lastHash: last.lastHash, termsMax: runs.reduce(0) { $0 + Int($1.header.terms) })
        var writer = try RunWriter(volume, path: path, header)
        var (terms, written) = (terms, 0)
        while let term = terms.min(), term != Self.ended {
            written += 1
            if written.isMultiple(of: Self.termsBetweenLooks), isCancelled() { return nil }
            for index in terms.indices where terms[index] == term {
                terms[index] = try streams[index].drain(into: &writer)
            }
        }
        try writer.finish(
            zones: .joined(runs.map { ($0.zones, $0.header.packets) }),
            unindexed: runs.reduce(0) { $0 + Int($1.header.unindexed) },
            flags: runs.reduce(into: RunFlags()) { $0.formUnion($1.header.flags) })
        return try TermRun(volume, path: path)
    }
}
