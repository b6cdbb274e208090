internal import LedgerFormat
internal import LedgerStorage

/// Joins the inspected segments in order, and checks the links between them.
struct SegmentChain: ~Copyable {
    private let ledgerID: UUID128?
    private let marker: CloseMarker?
    private var expected: RecordChecker
    private var tree: CompactRange? = CompactRange()
    private var files: TreeComparison
    /// The first difference in the tree's files. One is enough: the files must be rebuilt.
    private var treeFinding: Finding?
    private var markerHash: Digest?

    init(
        ledgerID: UUID128?, start: Digest, marker: CloseMarker?, tree: consuming TreeComparison
    ) {
        files = tree
        self.ledgerID = ledgerID
        self.marker = marker
        expected = RecordChecker(next: Position(0), lastHash: start)
        if marker?.size == .empty { markerHash = start }
    }

    var size: LedgerSize { LedgerSize(expected.next.value) }

    /// Adds the next segment. Returns the trees at the requested sizes.
    mutating func add(
        _ inspection: SegmentInspection, _ name: Position, _ result: inout Verification
    ) -> [UInt64: CheckpointAudit.Moment] {
        guard let header = inspection.header, let last = inspection.last else {
            tree = nil
            return [:]
        }
        let moments = moments(inspection, header)
        treeFinding = treeFinding ?? inspection.treeFinding
        if let finding = SegmentLink.problem(
            header, name: name, path: LedgerLayout.segment(name),
            ledgerID: ledgerID ?? header.ledgerID, expected: expected)
        {
            // Behind what a later version wrote, nothing is missing as far as anybody can tell.
            let isExplained =
                result.hasUnknownEntries
                && [.segmentMissing, .segmentUnlinked].contains(finding.code)
            if !isExplained { result.findings.append(finding) }
        }
        if let earlier = expected.lastReceivedAt, let first = inspection.firstReceivedAt,
            first < earlier
        {
            result.findings.append(
                Finding(
                    .timeReversed, file: LedgerLayout.segment(name),
                    position: header.firstPosition,
                    "received at \(first), but the entry before it at \(earlier)"))
        }
        if let range = inspection.leaves, tree?.end == header.firstPosition {
            tree?.append(range) { files.compare($0, $1) }
        } else {
            tree = nil
        }
        markerHash = markerHash ?? inspection.markerHash
        result.firstReceivedAt = result.firstReceivedAt ?? inspection.firstReceivedAt
        result.lastReceivedAt = last.lastReceivedAt ?? result.lastReceivedAt
        result.keyChanges += inspection.others.count { $0.entry.kind == .keyRotation }
        result.epochs += inspection.others.count { $0.entry.kind == .epoch }
        expected = RecordChecker(
            next: last.next, lastHash: last.lastHash,
            lastReceivedAt: last.lastReceivedAt ?? expected.lastReceivedAt)
        return moments
    }

    private func moments(
        _ inspection: SegmentInspection, _ header: SegmentHeader
    ) -> [UInt64: CheckpointAudit.Moment] {
        guard let tree, tree.end == header.firstPosition else { return [:] }
        var moments: [UInt64: CheckpointAudit.Moment] = [:]
        for (size, leaves, time) in inspection.prefixes {
            var whole = tree
            whole.append(leaves)
            moments[size] = CheckpointAudit.Moment(root: whole.root, lastReceivedAt: time)
        }
        return moments
    }

    func finish(_ result: inout Verification) {
        result.size = LedgerSize(expected.next.value)
        result.root = tree?.root
        if let finding = treeFinding ?? files.finding { result.findings.append(finding) }
        guard let marker, !result.hasUnknownEntries else { return }
        if marker.size > result.size {
            result.findings.append(
                Finding(
                    .truncated, file: LedgerLayout.closeMarker, position: expected.next,
                    "the ledger was closed with \(marker.size) entries and now has \(result.size)"))
        } else if let markerHash, markerHash != marker.lastHash {
            result.findings.append(
                Finding(
                    .closeMarkerMismatch, file: LedgerLayout.closeMarker,
                    position: marker.size.nextPosition,
                    "closed after \(marker.lastHash.tagged), but the segments have "
                        + markerHash.tagged))
        }
    }
}
