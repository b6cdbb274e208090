internal import LedgerFormat
internal import Platform

/// A segment read from front to back, with each record checked, up to the first damage.
struct SegmentScan {
    var slots: [IDsFile.Slot] = []
    var checker: RecordChecker
    /// Where the sound records end.
    var end = SegmentHeader.byteCount
    /// Why the walk ended there; nil if only zeros or nothing follow.
    var damage: Finding?
    /// A program wrote what is damaged on purpose; no crash explains it.
    private(set) var isDamageWritten = false
    var fileBytes = 0

    /// Reads the segment's records. `checker` is the state before the first one.
    init(
        _ file: any VolumeFile, _ header: SegmentHeader, _ checker: RecordChecker
    ) throws(FileFailure) {
        self.checker = checker
        if let archived = file as? ArchivedSegmentFile {
            try readEntries(of: archived, header)
            return
        }
        var cursor = try SegmentCursor(file, header: header)
        fileBytes = cursor.fileBytes
        while damage == nil {
            switch try cursor.next() {
            case .end: return
            case .damage(let problem):
                isDamageWritten = problem.isWritten
                note(problem.code, problem.detail, header)
            case .record(let record): take(record, cursor, header)
            }
        }
    }

    /// What an archived segment's entries say. Its payloads stay where they are.
    private mutating func readEntries(
        of archived: ArchivedSegmentFile, _ header: SegmentHeader
    ) throws(FileFailure) {
        let found = try archived.entries.follow(checker)
        (slots, checker, fileBytes) = (found.slots, found.checker, try archived.size())
        end = fileBytes
        if let (code, detail) = found.problem { note(code, detail, header) }
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

    /// Reads on behind the damage, for a ledger that is served read-only: `slots` then has every
    /// record that can be told to be at its position, and `unreadable` for each one missing
    /// between. `end` still says where the sound records before the damage end.
    mutating func readPastDamage(
        _ file: any VolumeFile, _ header: SegmentHeader
    ) throws(FileFailure) {
        guard damage != nil else { return }
        var cursor = try SegmentCursor(file, header: header, from: end)
        var isAtDamage = false
        while true {
            if isAtDamage, try !cursor.skipDamage() { return }
            switch try cursor.next() {
            case .end: return
            case .damage: isAtDamage = true
            case .record(let record):
                isAtDamage = false
                takePastDamage(record, cursor, header)
            }
        }
    }

    private mutating func takePastDamage(
        _ record: SegmentCursor.Record, _ cursor: borrowing SegmentCursor, _ header: SegmentHeader
    ) {
        // A position that so few bytes cannot have reached is not to be believed.
        let (first, position) = (header.firstPosition.value, record.entry.position.value)
        let most = first &+ UInt64(record.offset / RecordFrame.recordBytes(payloadBytes: 0))
        guard position >= checker.next.value, position <= most else { return }
        slots += Array(repeating: .unreadable, count: Int(position - checker.next.value))
        checker.resume(at: record)
        cursor.withPayload(of: record) { checker.check(record, payload: $0) { _, _ in } }
        slots.append(
            IDsFile.Slot(
                stardustID: record.entry.stardustID, offset: UInt32(record.offset),
                isPacket: record.entry.kind == .packet))
    }

    private mutating func note(_ code: Finding.Code, _ detail: String, _ header: SegmentHeader) {
        damage = Finding(
            code, file: LedgerLayout.segment(header.firstPosition), position: checker.next,
            offset: ByteOffset(end), detail)
    }

    /// The ids of a sealed segment, read from it and stored for the next time.
    static func ids(of header: SegmentHeader, _ volume: any Volume) throws(FileFailure) -> IDsFile {
        let file = try volume.open(LedgerLayout.segment(header.firstPosition), .read)
        let scan = try SegmentScan(
            file, header, RecordChecker(next: header.firstPosition, lastHash: header.previous))
        let ids = IDsFile(
            header: header, segmentBytes: scan.end, last: scan.checker, slots: scan.slots)
        // A damaged segment yields only some ids. They must not replace a file that may be intact.
        guard scan.damage == nil else { return ids }
        // Derived and not synced: if a crash loses or damages the file, the next opening reads the
        // segment again. Nothing else is lost.
        try? volume.replaceDerived(LedgerLayout.ids(header.firstPosition), with: ids.fileContent)
        return ids
    }
}
