package import LedgerFormat

/// Follows the records of a ledger and reports each one that does not continue the one before.
/// Checks invariants 1 to 3 of `Entry`.
package struct RecordChecker: Sendable {
    /// Position of the record that must come next.
    package private(set) var next: Position
    /// Entry hash of the previous record.
    package private(set) var lastHash: Digest
    package private(set) var lastReceivedAt: Timestamp?

    package init(next: Position, lastHash: Digest, lastReceivedAt: Timestamp? = nil) {
        self.next = next
        self.lastHash = lastHash
        self.lastReceivedAt = lastReceivedAt
    }

    /// Checks the record against its payload and its predecessor. Continues from it either way, so
    /// that one break is reported once, unless it stands behind its place: then it is a stray copy.
    package mutating func check(
        _ record: SegmentCursor.Record, payload: Span<UInt8>,
        report: (Finding.Code, String) -> Void
    ) {
        let entry = record.entry
        guard follow(entry, record.entryHash, payloadBytes: record.payloadBytes, report) else {
            return
        }
        let digest = Digest.sha256(payload)
        if entry.payloadDigest != digest {
            report(
                .payloadDigestMismatch,
                "the entry says \(entry.payloadDigest.tagged), but the payload is \(digest.tagged)")
        }
    }

    /// Checks an entry against its predecessor alone, and continues likewise. False for a stray copy.
    mutating func follow(
        _ entry: Entry, _ hash: Digest, payloadBytes: Int, _ report: (Finding.Code, String) -> Void
    ) -> Bool {
        if entry.position != next {
            report(.positionMismatch, "the entry says position \(entry.position), expected \(next)")
            if entry.position < next { return false }
        }
        if entry.previous != lastHash {
            report(
                .chainBroken,
                "the entry links to \(entry.previous.tagged), but the previous one has "
                    + lastHash.tagged)
        }
        if let last = lastReceivedAt, entry.receivedAt < last {
            report(.timeReversed, "received at \(entry.receivedAt), the previous one at \(last)")
        }
        if entry.payloadBytes != UInt64(payloadBytes) {
            report(
                .payloadLengthMismatch,
                "the entry says \(entry.payloadBytes) payload bytes, but the frame says "
                    + "\(payloadBytes)")
        }
        next = entry.position.next
        lastHash = hash
        lastReceivedAt = entry.receivedAt
        return true
    }

    /// Continues after damage, at the next record that was found.
    package mutating func resume(at record: SegmentCursor.Record) {
        next = record.entry.position
        lastHash = record.entry.previous
    }
}
