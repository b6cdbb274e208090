internal import LedgerFormat
internal import LedgerStorage
internal import Platform

/// Merges neighbouring runs into one: all their pairs, in ascending order of terms, and for each
/// term from the oldest run to the newest. Memory: a piece of each run.
struct RunMerge: ~Copyable {
    private let runs: [TermRun]
    private var streams: [Stream] = []
    /// The current term of each stream; `ended`, which is beyond every term, at its end.
    private var terms: [UInt64] = []

    private static let ended = UInt64.max

    /// A reader and the amount to add to its ordinals. A class, because readers cannot be copied.
    /// It handles all of a term's ordinals in one call, because Swift checks every access to it.
    private final class Stream {
        private var reader: TermRun.Reader
        private let shift: UInt32

        init(_ run: TermRun, shift: UInt32) throws(IndexFailure) {
            reader = try TermRun.Reader(run)
            self.shift = shift
        }

        var term: UInt64 { reader.isAtEnd ? RunMerge.ended : reader.term }

        /// Writes the pairs of the current term and returns the next term.
        func drain(into writer: inout RunWriter) throws(IndexFailure) -> UInt64 {
            try reader.drain(shift: shift, into: &writer)
            return term
        }
    }

    /// The runs must follow each other without gaps.
    init(_ runs: [TermRun]) throws(IndexFailure) {
        self.runs = runs
        let base = runs[0].header.first.value
        for run in runs {
            let stream = try Stream(run, shift: UInt32(run.header.first.value - base))
            streams.append(stream)
            terms.append(stream.term)
        }
    }

    /// Terms between two checks of `isCancelled`.
    private static let termsBetweenLooks = 1 << 14

    /// Returns the merged run; nil if `isCancelled` said to give up. Giving up, like a crash,
    /// leaves only a `.tmp` file, which the next opening removes.
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
