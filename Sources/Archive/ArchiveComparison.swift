package import LedgerFormat
package import LedgerStorage
internal import ObjectStore
package import Platform

/// Compares a ledger's folder with what its archive has: wherever both have bytes of a segment, they are
/// the same, whichever goes further.
package struct ArchiveComparison {
    private let folder: any Volume
    private let ledger: ShippedLedger
    private let archive: ArchiveVolume
    private let size: LedgerSize

    /// `size` is the folder's. Both were verified, each by itself.
    package init(
        _ folder: any Volume, size: LedgerSize, _ ledger: ShippedLedger, _ archive: ArchiveVolume
    ) {
        (self.folder, self.size, self.ledger, self.archive) = (folder, size, ledger, archive)
    }

    /// The first difference; nil if there is none.
    package func difference() throws(FileFailure) -> Finding? {
        let own = Set(try folder.list(LedgerLayout.segments))
        let left = Set(
            try folder.list("").contains(LedgerLayout.archived)
                ? try folder.list(LedgerLayout.archived) : [])
        for segment in ledger.segments {
            let path = LedgerLayout.segment(segment.first)
            func fork(_ detail: String) -> Finding {
                Finding(.archiveFork, file: path, position: segment.first, detail)
            }
            if own.contains(path.lastName) {
                if try differs(path) {
                    return fork(
                        "folder and archive have other bytes: two writers, or one was changed")
                }
            } else if left.contains(LedgerLayout.archived(segment.first).lastName) {
                guard case .sealed(let mark, _) = segment,
                    let entries = try EntriesFile(
                        folder.open(LedgerLayout.archived(segment.first), .read)),
                    entries.header.segmentDigest != mark.segmentDigest
                else { continue }
                return fork("another segment left the folder's disk than the archive has")
            } else if segment.first.value < size.entries {
                return fork("the archive has a segment here, and the folder none")
            }
        }
        return nil
    }

    /// Compares as many bytes as both files have records.
    private func differs(_ path: String) throws(FileFailure) -> Bool {
        let (one, two) = (try folder.open(path, .read), try archive.open(path, .read))
        let count = min(try Self.recordBytes(one, path), try two.size())
        var (first, second) = (
            [UInt8](repeating: 0, count: ArchiveLimits.pieceBytes),
            [UInt8](repeating: 0, count: ArchiveLimits.pieceBytes)
        )
        var offset = 0
        while offset < count {
            let wanted = min(first.count, count - offset)
            _ = try one.read(into: &first, 0..<wanted, at: offset)
            _ = try two.read(into: &second, 0..<wanted, at: offset)
            guard first[..<wanted] == second[..<wanted] else { return true }
            offset += wanted
        }
        return false
    }

    /// Where a segment's records end: what was allocated ahead does not count.
    private static func recordBytes(
        _ file: any VolumeFile, _ path: String
    ) throws(FileFailure) -> Int {
        guard case .success(let header) = try SegmentCursor.open(file, name: path) else { return 0 }
        var cursor = try SegmentCursor(file, header: header)
        while case .record = try cursor.next() {}
        return cursor.offset
    }
}
