internal import LedgerFormat

/// A whole segment read from front to end, each record checked, as far as it is sound.
struct SegmentScan {
    var slots: [IDsFile.Slot] = []
    var checker: RecordChecker
    /// Where the sound records end.
    var end = SegmentHeader.byteCount
    /// Why the walk ended there; nil where only zeros or nothing follow.
    var damage: Finding?
    var fileBytes = 0

    /// Reads the segment's records. `checker` stands before its first.
    init(
        _ file: any VolumeFile, _ header: SegmentHeader, _ checker: RecordChecker
    ) throws(FileFailure) {
        self.checker = checker
        var cursor = try SegmentCursor(file, header: header)
        fileBytes = cursor.fileBytes
        while damage == nil {
            switch try cursor.next() {
            case .end: return
            case .damage(let code, let detail): note(code, detail, header)
            case .record(let record): take(record, cursor, header)
            }
        }
    }

    private mutating func take(
        _ record: SegmentCursor.Record, _ cursor: borrowing SegmentCursor, _ header: SegmentHeader
    ) {
        var after = checker
        var problem: (Finding.Code, String)?
        cursor.withPayload(of: record) { payload in
            after.check(record, payload: payload) { problem = problem ?? ($0, $1) }
        }
        if let (code, detail) = problem { return note(code, detail, header) }
        checker = after
        slots.append(
            IDsFile.Slot(
                stardustID: record.entry.stardustID, offset: UInt32(record.offset),
                isPacket: record.entry.kind == .packet))
        end = cursor.offset
    }

    private mutating func note(_ code: Finding.Code, _ detail: String, _ header: SegmentHeader) {
        damage = Finding(
            code, file: LedgerLayout.segment(header.firstPosition), position: checker.next,
            offset: ByteOffset(end), detail)
    }

    /// The ids of a sealed segment, read from it and put in place for the next time.
    static func ids(of header: SegmentHeader, _ volume: any Volume) throws(FileFailure) -> IDsFile {
        let file = try volume.open(LedgerLayout.segment(header.firstPosition), .read)
        let scan = try SegmentScan(
            file, header, RecordChecker(next: header.firstPosition, lastHash: header.previous))
        let ids = IDsFile(
            header: header, segmentBytes: scan.end, last: scan.checker, slots: scan.slots)
        // What is known of a damaged segment is no substitute for the file that may be there.
        guard scan.damage == nil else { return ids }
        // Without the file the next opening reads the segment again; nothing else is lost.
        try? volume.replaceDerived(LedgerLayout.ids(header.firstPosition), with: ids.fileContent)
        return ids
    }
}
