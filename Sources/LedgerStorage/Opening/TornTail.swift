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

    /// Whether damage is a torn tail: every intact record after it belongs to a batch that began at
    /// or before it, and no durable entry is missing. Otherwise the damaged bytes were whole once:
    /// a batch begins only after the one before it was synced.
    package static func isTorn(
        _ damage: Finding, _ file: any VolumeFile, _ header: SegmentHeader, end: Int,
        durable: LedgerSize
    ) throws(FileFailure) -> Bool {
        if let position = damage.position, durable.contains(position) { return false }
        var cursor = try SegmentCursor(file, header: header, from: end)
        while try cursor.skipDamage() {
            if cursor.batchStartHere.bytes > UInt64(end) { return false }
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

    /// Saves the bytes, then zeroes them. If they cannot be saved, nothing is changed and the
    /// ledger must not be written.
    func cut(
        _ file: any VolumeFile
    ) throws(FileFailure) -> Result<OpenedLedger.Repair, Finding> {
        let kept: String
        do throws(FileFailure) { kept = try save() } catch {
            return .failure(
                Finding(
                    .tornTail, file: LedgerLayout.segment(header.firstPosition),
                    offset: ByteOffset(start),
                    "an unfinished write could not be set aside, so it was not cut: \(error)"))
        }
        // The saved copy is durable. A crash before the sync completes leaves any part of the
        // bytes, which is still a torn tail: the next opening saves and zeroes them again.
        try file.write([UInt8](repeating: 0, count: content.count).span, at: start)
        try file.syncData()
        return .success(
            .tornTailCut(
                segment: LedgerLayout.segment(header.firstPosition), offset: ByteOffset(start),
                bytes: content.count, kept: kept, .sha256(content)))
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
        try file.write(content.span, at: 0)
        try file.sync()
        try volume.syncFolder(LedgerLayout.segments)
        return path
    }
}
