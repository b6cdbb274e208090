internal import LedgerFormat
internal import LedgerIndex
internal import LedgerStorage
internal import Packets
internal import Platform

/// Compares the derived files, that is the ids and the index, with the segments they come from.
struct DerivedComparison {
    private let volume: any Volume

    init(_ volume: any Volume) { self.volume = volume }

    /// Adds a finding for each difference. A missing derived file is only a note, because it is
    /// rebuilt when it is needed.
    func run(_ result: inout Verification) throws(FileFailure) {
        try compareIDs(&result)
        try compareIndex(&result)
    }

    private func compareIDs(_ result: inout Verification) throws(FileFailure) {
        for first in try segments().dropLast() {
            switch try SegmentIDs.compare(first, volume) {
            case .same: break
            case .missing: result.notes.append("\(LedgerLayout.ids(first)) is missing")
            case .different(let detail):
                result.findings.append(
                    Finding(.idsDisagree, file: LedgerLayout.ids(first), detail))
            }
        }
    }

    private func segments() throws(FileFailure) -> [Position] {
        LedgerLayout.SegmentNames(try volume.list(LedgerLayout.segments)).firsts
    }

    private func compareIndex(_ result: inout Verification) throws(FileFailure) {
        var findings: [Finding] = []
        func report(_ path: String, _ position: Position, _ detail: String) {
            findings.append(Finding(.indexDisagrees, file: path, position: position, detail))
        }
        let runs = try RunAudit.runs(volume) { report($0, Position(0), $1) }
        var stream = RecordStream(volume, try segments())
        for run in runs {
            let start = Position(run.range.lowerBound)
            // A run that a merge replaced; a crash or the merge itself leaves it for a while.
            if run.range.upperBound <= stream.position.value { continue }
            if start != stream.position {
                report(run.path, stream.position, "the next run begins at \(start)")
                break
            }
            if let detail = try problem(of: run, &stream) {
                report(run.path, start, detail)
                break
            }
        }
        result.findings += findings
        if findings.isEmpty, stream.position < result.size.nextPosition {
            result.notes.append(
                "the index's files cover \(stream.position) of \(result.size) entries")
        }
    }

    /// Why a run does not match its range of the ledger; nil if it does.
    private func problem(
        of run: RunAudit, _ stream: inout RecordStream
    ) throws(FileFailure) -> String? {
        if run.identity != .sha256(try volume.content(of: LedgerLayout.identity)) {
            return "it belongs to another ledger"
        }
        var scanner = TermScanner(key: run.key)
        var tally = RunAudit.Tally()
        while stream.position.value < run.range.upperBound {
            guard let (position, isReadable) = try stream.next(&scanner) else {
                return "the ledger ends at \(stream.position)"
            }
            tally.add(scanner, isReadable: isReadable, at: position)
        }
        if stream.lastHash != run.lastHash { return "it was built from other entries" }
        do throws(IndexFailure) {
            if let damage = try run.damage() { return damage }
        } catch { return error.description }
        return run.agrees(with: tally)
            ? nil : "its terms, or its summary of them, do not match the packets"
    }
}

/// The readable records of a ledger's files, one after the other.
private struct RecordStream: ~Copyable {
    private let volume: any Volume
    private var segments: ArraySlice<Position>
    private var cursor: SegmentCursor?
    /// Position of the next record.
    private(set) var position = Position(0)
    /// Entry hash of the last record.
    private(set) var lastHash: Digest?

    init(_ volume: any Volume, _ segments: [Position]) {
        self.volume = volume
        self.segments = segments[...]
    }

    /// Scans the next record's payload. Returns its position and whether its terms are known; nil
    /// at the end.
    mutating func next(
        _ scanner: inout TermScanner
    ) throws(FileFailure) -> (position: Position, isReadable: Bool)? {
        while true {
            if cursor == nil {
                guard let first = segments.popFirst() else { return nil }
                let path = LedgerLayout.segment(first)
                let file = try volume.open(path, .read)
                guard case .success(let header) = try SegmentCursor.open(file, name: path) else {
                    return nil
                }
                cursor = try SegmentCursor(file, header: header)
            }
            switch try cursor!.next() {
            case .end, .damage: cursor = nil
            case .record(let record):
                position = record.entry.position.next
                lastHash = record.entryHash
                // An unreadable payload has a term that marks it as such.
                let isReadable = cursor!.withPayload(of: record) { scanner.scan(record, $0) }
                return (record.entry.position, isReadable)
            }
        }
    }
}
