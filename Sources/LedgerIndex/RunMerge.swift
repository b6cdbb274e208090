internal import LedgerFormat
internal import LedgerStorage

/// Makes one run of neighbours: all their pairs, the smallest term first, and of that the oldest
/// run. Memory: a piece of each.
struct RunMerge: ~Copyable {
    private let runs: [TermRun]
    private var streams: [Stream] = []

    /// A reader with what its ordinals are moved by. A class, since readers are not copied.
    private final class Stream {
        var reader: TermRun.Reader
        let shift: UInt32

        init(_ run: TermRun, shift: UInt32) throws(IndexFailure) {
            reader = try TermRun.Reader(run)
            self.shift = shift
        }
    }

    /// The runs follow each other.
    init(_ runs: [TermRun]) throws(IndexFailure) {
        self.runs = runs
        let base = runs[0].header.first.value
        for run in runs {
            streams.append(try Stream(run, shift: UInt32(run.header.first.value - base)))
        }
    }

    consuming func write(to volume: any Volume) throws(IndexFailure) -> TermRun {
        let (first, last) = (runs.first!.header, runs.last!.header)
        let path = LedgerLayout.index + "/" + RunHeader.fileName(first.first, last.end)
        let header = RunHeader(
            identity: first.identity, key: first.key, first: first.first, end: last.end,
            lastHash: last.lastHash)
        var writer = try RunWriter(volume, path: path, header)
        while let term = nextTerm {
            for stream in streams {
                while !stream.reader.isAtEnd, stream.reader.term == term {
                    try writer.add(term, stream.reader.ordinal + stream.shift)
                    try stream.reader.advance()
                }
            }
        }
        try writer.finish(
            zones: .joined(runs.map { ($0.zones, $0.header.packets) }),
            unindexed: runs.reduce(0) { $0 + Int($1.header.unindexed) },
            flags: runs.reduce(into: RunFlags()) { $0.formUnion($1.header.flags) })
        return try TermRun(volume, path: path)
    }

    private var nextTerm: UInt64? {
        var least: UInt64?
        for stream in streams where !stream.reader.isAtEnd {
            least = min(least ?? .max, stream.reader.term)
        }
        return least
    }
}
