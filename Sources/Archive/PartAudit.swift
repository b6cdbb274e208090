internal import LedgerFormat
internal import LedgerStorage
internal import ObjectStore
internal import Platform

/// Checks the parts that one store has of a segment: that they follow each other, and that frames and
/// payloads are what their checksums and entries say.
struct PartAudit {
    private let store: any ObjectStore
    private let parts: ArchivedParts
    private let first: Position
    private let patience: Patience

    init(
        _ store: any ObjectStore, _ parts: ArchivedParts, _ first: Position, _ patience: Patience
    ) {
        (self.store, self.parts, self.first, self.patience) = (store, parts, first, patience)
    }

    func findings() throws(ArchiveFailure) -> [Finding] {
        guard !parts.all(first).isEmpty else { return [] }
        var (pieces, bytes): ([(part: ArchivedParts.Part, head: ArchivePart, start: Int)], Int) = (
            [], 0
        )
        for part in parts.chain(first) {
            guard let head = try head(part) else {
                return [damaged(part, "the object is not the part that its name says")]
            }
            pieces.append((part, head, bytes))
            bytes += head.bytes
        }
        var findings: [Finding] = []
        let chain = Set(pieces.map(\.part.key))
        if let beyond = parts.all(first).first(where: {
            $0.offset > bytes && !chain.contains($0.key)
        }) {
            findings.append(
                Finding(
                    .archiveGap, file: "\(store.name)/\(beyond.key)", position: first,
                    offset: ByteOffset(bytes), "the part before this one is missing"))
        }
        if let bad = try damage(pieces, bytes) { findings.append(bad) }
        return findings
    }

    private func damaged(_ part: ArchivedParts.Part, _ detail: String) -> Finding {
        Finding(.archiveDamaged, file: "\(store.name)/\(part.key)", position: first, detail)
    }

    /// A part's first line, if it fits name and size.
    private func head(_ part: ArchivedParts.Part) throws(ArchiveFailure) -> ArchivePart? {
        var head: [UInt8] = []
        do throws(StoreFailure) {
            let count = min(part.objectBytes, ArchivePart.lineBytesMax)
            try store.get(part.key, 0..<count, version: nil, patience) { head.append($0) }
        } catch {
            guard error.kind == .damaged || error.kind == .missing else { throw .store(error) }
            return nil
        }
        guard let found = ArchivePart(head), found.objectBytes == part.objectBytes,
            found.first == part.first, found.offset == part.offset,
            found.checkpointOffset == part.checkpointOffset
        else { return nil }
        return found
    }

    /// The first record that is not what was written, in the part that has it.
    private func damage(
        _ pieces: [(part: ArchivedParts.Part, head: ArchivePart, start: Int)], _ bytes: Int
    ) throws(ArchiveFailure) -> Finding? {
        guard bytes > SegmentHeader.byteCount else { return nil }
        let (store, patience) = (store, patience)
        let places = pieces.map {
            (key: $0.part.key, line: $0.head.line.count, start: $0.start, bytes: $0.head.bytes)
        }
        let file = RemoteFile(LedgerLayout.segment(first), bytes: bytes) {
            (offset, count) throws(StoreFailure) in
            let place = places.last { $0.start <= offset && $0.bytes > 0 }!
            let from = place.line + offset - place.start
            let range = from..<from + min(count, place.start + place.bytes - offset)
            var found: [UInt8] = []
            try store.get(place.key, range, version: nil, patience) { found.append($0) }
            return found
        }
        func finding(_ offset: Int, _ detail: String) -> Finding {
            let piece = pieces.last { $0.start <= offset && $0.head.bytes > 0 } ?? pieces[0]
            return damaged(piece.part, "byte \(offset) of the segment: \(detail)")
        }
        do throws(FileFailure) {
            let header: SegmentHeader
            switch try SegmentCursor.open(file, name: LedgerLayout.segment(first)) {
            case .failure(let failure): return finding(0, failure.detail)
            case .success(let found): header = found
            }
            var checker = RecordChecker(next: header.firstPosition, lastHash: header.previous)
            var cursor = try SegmentCursor(file, header: header)
            while true {
                let offset = cursor.offset
                switch try cursor.next() {
                case .end: return nil
                case .damage(let damage): return finding(offset, damage.detail)
                case .record(let record):
                    var problem: String?
                    cursor.withPayload(of: record) { payload in
                        checker.check(record, payload: payload) { problem = problem ?? $1 }
                    }
                    if let problem { return finding(offset, problem) }
                }
            }
        } catch {
            throw .file(error)
        }
    }
}
