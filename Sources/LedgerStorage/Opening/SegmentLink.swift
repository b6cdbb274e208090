package import LedgerFormat
package import Platform

/// Checks that a segment is the one that must come next. Used by opening and by verification.
package enum SegmentLink {
    package static func problem(
        _ header: SegmentHeader, name: Position, path: String, ledgerID: UUID128,
        expected: RecordChecker
    ) -> Finding? {
        if header.ledgerID != ledgerID {
            return Finding(
                .segmentForeign, file: path, "the segment belongs to ledger \(header.ledgerID)")
        }
        if header.firstPosition != name {
            return Finding(
                .segmentMisnamed, file: path, position: name,
                "the header says that the segment begins at position \(header.firstPosition)")
        }
        if header.firstPosition != expected.next {
            return Finding(
                .segmentMissing, file: path, position: expected.next,
                "the previous segment ends at position \(expected.next), this one begins at "
                    + "\(header.firstPosition); if what is between had left the disk, `stardust "
                    + "archive relink` fetches its entries again")
        }
        if header.previous != expected.lastHash {
            let isFirst = header.firstPosition == Position(0)
            return Finding(
                isFirst ? .identityMismatch : .segmentUnlinked, file: path,
                position: header.firstPosition,
                "the header links to \(header.previous.tagged), but "
                    + (isFirst ? "the identity file has " : "the previous segment ends with ")
                    + expected.lastHash.tagged)
        }
        return nil
    }
}

extension Volume {
    /// Whether a segment has a header and no record, as after a roll that a crash interrupted.
    package func isEmptySegment(_ first: Position) throws(FileFailure) -> Bool {
        let path = LedgerLayout.segment(first)
        let file: any VolumeFile
        do throws(FileFailure) { file = try open(path, .read) } catch {
            guard error.isNoFile || error.isMissing else { throw error }
            return false
        }
        guard case .success(let header) = try SegmentCursor.open(file, name: path) else {
            return false
        }
        var cursor = try SegmentCursor(file, header: header)
        return try cursor.endOfContent() == SegmentHeader.byteCount
    }
}
