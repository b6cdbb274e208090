package import LedgerFormat
package import Platform

/// The remains of a batch whose sync never completed. They are cut from the segment but kept.
package struct TornTail {
    private let volume: any Volume
    private let header: SegmentHeader
    /// Where the sound records end.
    private let start: Int
    /// Everything from there to the last nonzero byte.
    private let content: [UInt8]

    /// Whether what cannot be read at `offset` of the newest segment is a torn tail. `expected` is
    /// the position of the record that must come there; `durable` is the size up to which close
    /// marker and checkpoints vouch for the ledger. The only judge of that, for opening and for
    /// verification.
    ///
    /// It is one if no program wrote those bytes on purpose, no durable entry is missing, and every
    /// intact record after them belongs to a batch that began at or before them. Otherwise they were
    /// whole once: a batch begins only after the one before it was synced.
    package static func isTorn(
        at offset: Int, expecting expected: Position, isWritten: Bool, _ file: any VolumeFile,
        _ header: SegmentHeader, durable: LedgerSize
    ) throws(FileFailure) -> Bool {
        if isWritten || durable.contains(expected) { return false }
        var cursor = try SegmentCursor(file, header: header, from: offset)
        while try cursor.skipDamage() {
            if cursor.batchStartHere.bytes > UInt64(offset) { return false }
        }
        return true
    }

    /// Reads the bytes from `start` to the last nonzero one.
    init(
        _ volume: any Volume, _ file: any VolumeFile, _ header: SegmentHeader, start: Int
    ) throws(FileFailure) {
        self.volume = volume
        self.header = header
        self.start = start
        var cursor = try SegmentCursor(file, header: header, from: start)
        var content = [UInt8](repeating: 0, count: try cursor.endOfContent() - start)
        _ = try file.read(into: &content, 0..<content.count, at: start)
        self.content = content
    }

    /// Saves the bytes, then zeroes them. If they cannot be saved, nothing is changed, and nothing
    /// may be written before they are.
    func cut(_ file: any VolumeFile) throws(FileFailure) -> OpenedLedger.Repair {
        let kept = try save()
        // The saved copy is durable. A crash before the sync completes leaves any part of the
        // bytes, which is still a torn tail: the next opening saves and zeroes them again.
        try file.write([UInt8](repeating: 0, count: content.count).span, at: start)
        try file.syncData()
        return .tornTailCut(
            segment: LedgerLayout.segment(header.firstPosition), offset: ByteOffset(start),
            bytes: content.count, kept: kept, .sha256(content))
    }

    /// Cuts the entries of the newest segment beyond a size, and keeps their bytes in the same way. False
    /// if the segment begins at or beyond the size.
    static func cut(
        _ volume: any Volume, newest first: Position, to size: LedgerSize
    ) throws(FileFailure) -> Bool {
        guard first < size.nextPosition else { return false }
        let path = LedgerLayout.segment(first)
        let file = try volume.open(path, .update)
        guard case .success(let header) = try SegmentCursor.open(file, name: path) else {
            return false
        }
        var cursor = try SegmentCursor(file, header: header)
        while case .record(let record) = try cursor.next() {
            guard record.entry.position == size.nextPosition else { continue }
            _ = try TornTail(volume, file, header, start: record.offset).cut(file)
            return true
        }
        return false
    }

    private func save() throws(FileFailure) -> String {
        let names = try volume.list(LedgerLayout.segments)
        var path = LedgerLayout.torn(header.firstPosition, from: ByteOffset(start))
        var number = 1
        while names.contains(path.lastName) {
            number += 1
            path = LedgerLayout.torn(header.firstPosition, from: ByteOffset(start), number: number)
        }
        // A crash in here leaves the segment as it was, and perhaps part of this file. The next
        // opening finds the same tail and saves it under another number.
        let file = try volume.open(path, .create())
        do throws(FileFailure) {
            try file.write(content.span, at: 0)
            try file.sync()
            try volume.syncFolder(LedgerLayout.segments)
        } catch {
            // Report the first failure. What remains of the file is harmless.
            try? volume.remove(path)
            throw error
        }
        return path
    }
}

extension LedgerMap {
    /// Cuts the entries beyond a size from the newest segment of a ledger that nobody writes, and
    /// keeps their bytes. False if the segment begins at or beyond the size. Durable on return.
    package func cutNewest(to size: LedgerSize) throws(FileFailure) -> Bool {
        guard let newest = extents.last else { return false }
        return try TornTail.cut(volume, newest: newest.first, to: size)
    }
}
