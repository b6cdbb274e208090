package import LedgerFormat
package import Platform

/// Compares a sealed segment's ids file with the segment.
package enum SegmentIDs {
    package enum Comparison: Hashable, Sendable {
        case same
        case missing
        case different(String)
    }

    package static func compare(
        _ first: Position, _ volume: any Volume
    ) throws(FileFailure) -> Comparison {
        let content: [UInt8]
        do throws(FileFailure) {
            content = try volume.content(of: LedgerLayout.ids(first), atMost: IDsFile.bytesMax)
        } catch {
            if error.isMissing { return .missing }
            throw error
        }
        guard IDsFile(fileContent: content) != nil else {
            return .different("the file is damaged")
        }
        let path = LedgerLayout.segment(first)
        let file = try volume.open(path, .read)
        guard case .success(let header) = try SegmentCursor.open(file, name: path) else {
            return .different("the segment's header cannot be read")
        }
        let scan = try SegmentScan(
            file, header, RecordChecker(next: header.firstPosition, lastHash: header.previous))
        let made = IDsFile(
            header: header, segmentBytes: scan.end, last: scan.checker, slots: scan.slots)
        return made.fileContent == content ? .same : .different("it does not match the segment")
    }
}
