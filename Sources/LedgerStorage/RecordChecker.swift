package import LedgerFormat

/// Follows the records of a ledger and says where one does not go on from the one before.
/// Invariants 1 to 3 of `Entry` are checked here.
package struct RecordChecker: Sendable {
    /// Place of the record that must come next.
    package private(set) var next: Position
    /// Entry hash of the record before.
    package private(set) var lastHash: Digest
    package private(set) var lastReceivedAt: Timestamp?

    package init(next: Position, lastHash: Digest, lastReceivedAt: Timestamp? = nil) {
        self.next = next
        self.lastHash = lastHash
        self.lastReceivedAt = lastReceivedAt
    }

    /// Checks the record against its payload and its predecessor, and goes on from it either way:
    /// one break is one finding.
    package mutating func check(
        _ record: SegmentCursor.Record, payload: Span<UInt8>,
        report: (Finding.Code, String) -> Void
    ) {
        let entry = record.entry
        if entry.position != next {
            report(.positionMismatch, "the entry says position \(entry.position), here is \(next)")
        }
        if entry.previous != lastHash {
            report(
                .chainBroken,
                "the entry follows \(entry.previous.tagged), but the one before has "
                    + lastHash.tagged)
        }
        if let last = lastReceivedAt, entry.receivedAt < last {
            report(.timeReversed, "received at \(entry.receivedAt), after one at \(last)")
        }
        if entry.payloadBytes != UInt64(record.payloadBytes) {
            report(
                .payloadLengthMismatch,
                "the entry says \(entry.payloadBytes) payload bytes, the frame "
                    + "\(record.payloadBytes)")
        }
        let digest = Digest.sha256(payload)
        if entry.payloadDigest != digest {
            report(
                .payloadDigestMismatch,
                "the entry says \(entry.payloadDigest.tagged), the payload has \(digest.tagged)")
        }
        next = entry.position.next
        lastHash = record.entryHash
        lastReceivedAt = entry.receivedAt
    }

    /// Goes on behind a damaged place, at the record that was found there.
    package mutating func resume(at record: SegmentCursor.Record) {
        next = record.entry.position
        lastHash = record.entry.previous
    }
}
