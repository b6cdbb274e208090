internal import LedgerFormat

/// Limits of the files, each with its reason.
package enum StorageLimits {
    /// Default size of a segment: small enough to copy and check on its own, large enough that
    /// rolling costs almost nothing (once every 45,000 packets of the workload).
    package static let segmentBytes = 64 << 20
    /// Default size of a new ledger's first segment. Each further one is twice as large, up to the
    /// size that the configuration asks for: a small ledger stays small.
    package static let firstSegmentBytes = 4 << 20
    /// Offsets within a segment fit in 32 bits.
    package static let segmentBytesMax = 1 << 31
    /// Largest payload of a record. Readers refuse longer ones rather than allocate the memory.
    package static let payloadBytesMax = 16 << 20
    /// The in-memory table of ids stores positions in 32 bits.
    package static let entriesMax: UInt64 = 1 << 32 - 1
    /// Entries that lost segments may have had. A name or a header that claims more is not believed.
    package static let missingEntriesMax: UInt64 = 1 << 24
    /// Bytes per read while walking a segment: few enough to stay in a processor's cache between
    /// copying and hashing.
    package static let readBytes = 128 << 10

    /// Entries after which the tree's files are synced. About this many are read again after a
    /// crash, which takes a fraction of a second.
    package static let treeSyncEntries: UInt64 = 1 << 17
    /// Bytes read from the end of the checkpoints file when a ledger is opened: hundreds of
    /// records.
    package static let checkpointTailBytes = 256 << 10

    /// Sealed segments whose files are kept open: 16 GiB of a ledger, a fraction of a process's
    /// limit on descriptors.
    package static let sealedFilesOpen = 256

    /// Bytes of a segment's copy that are asked of the archive at once.
    static let copyPieceBytes = 1 << 20

    /// The smallest segment that can hold a payload of this size.
    package static func segmentBytesMin(payloadBytes: Int) -> Int {
        SegmentHeader.byteCount + RecordFrame.recordBytes(payloadBytes: payloadBytes)
    }

    /// The size of the segment after one of `last` bytes: twice that, within `sizes`.
    package static func nextSegmentBytes(after last: Int, in sizes: ClosedRange<Int>) -> Int {
        min(max(2 * last, sizes.lowerBound), sizes.upperBound)
    }

    package static func checkRelations() {
        precondition(segmentBytesMin(payloadBytes: payloadBytesMax) <= segmentBytes)
        precondition(segmentBytes <= segmentBytesMax)
        precondition(checkpointTailBytes <= SignedNote.bytesMax)
    }
}
