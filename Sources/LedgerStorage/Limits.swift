internal import LedgerFormat

/// Bounds of the files, each with its reason.
package enum StorageLimits {
    /// A segment's size unless the operator says otherwise: small enough to copy and to check on
    /// its own, large enough that rolling costs nothing (every 45,000 packets of the workload).
    package static let segmentBytes = 64 << 20
    /// Offsets within a segment fit 32 bits.
    package static let segmentBytesMax = 1 << 31
    /// Payload of one record; readers refuse longer ones rather than take the memory.
    package static let payloadBytesMax = 16 << 20
    /// Positions are kept in 32 bits beside each id in memory.
    package static let entriesMax: UInt64 = 1 << 32 - 1
    /// Bytes of one read while a segment is walked: few enough to stay in a processor's cache between
    /// the copy and the hashing.
    package static let readBytes = 128 << 10

    /// Entries after which the tree's files are made durable: what is read again after a crash, a
    /// fraction of a second.
    package static let treeSyncEntries: UInt64 = 1 << 17
    /// The end of the checkpoints' file that is looked at when a ledger is opened: hundreds of
    /// records.
    package static let checkpointTailBytes = 256 << 10

    /// Sealed segments whose files are kept open: 16 GiB of a ledger, a fraction of the descriptors
    /// that a process may have.
    package static let sealedFilesOpen = 256

    /// What a segment must hold at least for payloads of a size.
    package static func segmentBytesMin(payloadBytes: Int) -> Int {
        SegmentHeader.byteCount + RecordFrame.recordBytes(payloadBytes: payloadBytes)
    }

    package static func checkRelations() {
        precondition(segmentBytesMin(payloadBytes: payloadBytesMax) <= segmentBytes)
        precondition(segmentBytes <= segmentBytesMax)
        precondition(checkpointTailBytes <= SignedNote.bytesMax)
    }
}
