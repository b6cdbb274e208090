internal import LedgerFormat
internal import LedgerIndex
package import LedgerStorage
internal import Packets

/// Compares what is derived with the segments it was derived from: the ids and the entity index.
package struct DerivedComparison {
    private let volume: PosixVolume

    package init(_ volume: PosixVolume) { self.volume = volume }

    /// Adds a finding for each difference. A derived file that is missing is a note: it is made
    /// again when it is wanted.
    package func run(_ result: inout Verification) throws(OpenFailure) {
        do throws(FileFailure) {
            try compareIDs(&result)
            try compareIndex(&result)
        } catch { throw .file(error) }
    }

    private func compareIDs(_ result: inout Verification) throws(FileFailure) {
        for first in try segments().dropLast() {
            switch try SegmentIDs.compare(first, volume) {
            case .same: break
            case .missing: result.notes.append("\(LedgerLayout.ids(first)) is not there")
            case .different(let detail):
                result.findings.append(
                    Finding(.idsDisagree, file: LedgerLayout.ids(first), detail))
            }
        }
    }

    private func segments() throws(FileFailure) -> [Position] {
        try volume.list(LedgerLayout.segments).compactMap(LedgerLayout.firstPosition(inName:))
            .sorted()
    }

    private func compareIndex(_ result: inout Verification) throws(FileFailure) {
        guard try volume.list("").contains(LedgerLayout.index) else {
            result.notes.append("\(LedgerLayout.index) is not there")
            return
        }
        var stream = RecordStream(volume, try segments())
        var problem: (Position, String)?
        var readFailure: FileFailure?
        do throws(EntityIndex.Failure) {
            let index = try EntityIndex(readingOnly: volume.root + "/" + LedgerLayout.index)
            let progress = try index.progress()
            let size = progress.size
            if size > result.size {
                problem = (result.size.nextPosition, "it goes on to \(size)")
            } else if size < result.size {
                result.notes.append("the index reflects \(size) of \(result.size) entries")
            }
            try index.eachRow { row in
                guard problem == nil, size.contains(row.position) else { return problem == nil }
                do throws(FileFailure) {
                    guard let (entry, facts) = try stream.next() else { return false }
                    if row.position != entry.position {
                        problem = (entry.position, "its next row is for \(row.position)")
                    } else if facts?.entityID != row.entityID || facts?.entityType != row.entityType
                    {
                        problem = (entry.position, "it has \(row.entityType)/\(row.entityID)")
                    }
                } catch { readFailure = error }
                return problem == nil && readFailure == nil
            }
            if problem == nil, stream.position < size.nextPosition {
                problem = (stream.position, "it has no row for this position")
            }
            if problem == nil, try lastHash(before: size, stream) != progress.lastHash {
                problem = (size.nextPosition, "it followed a ledger with other entries")
            }
        } catch { problem = (Position(0), error.description) }
        if let readFailure { throw readFailure }
        if let (position, detail) = problem {
            result.findings.append(
                Finding(.indexDisagrees, file: LedgerLayout.index, position: position, detail))
        }
    }
}

extension DerivedComparison {
    /// The entry hash that an index of this size must name.
    private func lastHash(
        before size: LedgerSize, _ stream: borrowing RecordStream
    ) throws(EntityIndex.Failure) -> Digest? {
        if size.entries > 0 { return stream.lastHash }
        do throws(FileFailure) {
            return .sha256(try volume.content(of: LedgerLayout.identity))
        } catch { throw .failed(error.description) }
    }
}

/// The records of a ledger's files, one after the other, as far as they can be read.
private struct RecordStream: ~Copyable {
    private let volume: any Volume
    private var segments: ArraySlice<Position>
    private var cursor: SegmentCursor?
    private var reader = PacketReader()
    /// Position of the record that comes next.
    private(set) var position = Position(0)
    /// Entry hash of the record that came last.
    private(set) var lastHash: Digest?

    init(_ volume: any Volume, _ segments: [Position]) {
        self.volume = volume
        self.segments = segments[...]
    }

    /// Nil at the end. Facts are nil for what is no packet.
    mutating func next() throws(FileFailure) -> (Entry, PacketFacts?)? {
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
                var facts: PacketFacts?
                cursor!.withPayload(of: record) { facts = try? reader.read($0) }
                return (record.entry, facts)
            }
        }
    }
}
