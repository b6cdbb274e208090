internal import LedgerFormat
package import LedgerStorage
package import Packets

extension TermScanner {
    /// Scans the terms of a record's payload; false if the payload is not what its entry says, so that
    /// its terms are unknown.
    package mutating func scan(_ record: SegmentCursor.Record, _ payload: Span<UInt8>) -> Bool {
        guard record.entry.kind == .packet else {
            scanNothing()
            return true
        }
        let digest = record.entry.payloadDigest
        return scan(Digest.sha256(payload) == digest ? payload : Span(), digest: digest)
    }
}
