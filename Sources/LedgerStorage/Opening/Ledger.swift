package import LedgerFormat
package import Platform

/// Creates and opens ledgers.
package enum Ledger {
    /// Names that a creation leaves which a crash interrupted. Its key was shown to nobody.
    package static func isUnfinishedCreation(_ volume: any Volume) throws(FileFailure) -> Bool {
        let names = Set(try volume.list(""))
        let own: Set<String> = [
            LedgerLayout.key, LedgerLayout.key + ".tmp", LedgerLayout.segments, LedgerLayout.ids,
            LedgerLayout.identity + ".tmp",
        ]
        guard !names.isEmpty, names.isSubset(of: own) else { return false }
        let segments = Set(try volume.list(LedgerLayout.segments))
        let first = LedgerLayout.segment(Position(0)).lastName
        guard segments.isSubset(of: [first, LedgerLayout.nextSegment.lastName]) else {
            return false
        }
        return segments.contains(first) ? try volume.isEmptySegment(Position(0)) : true
    }

    /// Removes what such a creation left.
    package static func removeUnfinishedCreation(_ volume: any Volume) throws(FileFailure) {
        for folder in [LedgerLayout.segments, ""] {
            let prefix = folder.isEmpty ? "" : folder + "/"
            for name in try volume.list(folder) {
                guard ![LedgerLayout.segments, LedgerLayout.ids].contains(prefix + name) else {
                    continue
                }
                try volume.remove(prefix + name)
            }
        }
    }

    /// Creates a ledger in an existing folder that is empty, or that such a creation left: key, first
    /// segment, identity. On return it is durable. The identity comes last, so an earlier crash
    /// leaves a folder that is not a ledger.
    package static func create(
        in volume: any Volume, origin: String?, segmentBytes: Int, now: Timestamp,
        using generator: inout some RandomNumberGenerator
    ) throws(FileFailure) -> LedgerIdentity {
        let ledgerID = UUID128.random(using: &generator)
        let name = origin ?? "stardust/\(ledgerID)"
        let key = NoteSigner(name: name, .random(using: &generator))
        let identity = LedgerIdentity(
            ledgerID: ledgerID, origin: name, verifierKey: key.verifier, createdAt: now)
        let names = try volume.list("")
        for folder in [LedgerLayout.segments, LedgerLayout.ids] where !names.contains(folder) {
            try volume.makeFolder(folder)
        }
        try SigningKeys.write(key, to: LedgerLayout.key, volume)
        let first = try PreparedSegment(volume, bytes: segmentBytes)
        let header = SegmentHeader(
            ledgerID: ledgerID, firstPosition: Position(0), previous: identity.digest)
        try first.file.write(header.bytes.span, at: 0)
        try first.file.sync()
        try volume.rename(LedgerLayout.nextSegment, to: LedgerLayout.segment(Position(0)))
        try volume.syncFolder(LedgerLayout.segments)
        // The sync of the ledger's folder in here also makes the names created above durable.
        try volume.replace(LedgerLayout.identity, with: identity.fileContent)
        return identity
    }

    /// Opens a ledger for writing; the caller holds its lock. Or only for reading: then nothing is
    /// changed, and whoever writes it may go on. `archive` has the segments that left the disk. `progress` is told
    /// how many segments were followed, of how many.
    package static func open(
        _ volume: any Volume, isReadOnly: Bool = false, takesOver: Bool = false,
        archive: (any ArchivedBytes)? = nil,
        progress: @escaping @Sendable (Int, Int) -> Void = { _, _ in }
    ) throws(OpenFailure) -> OpenedLedger {
        try LedgerOpening(
            ArchivedVolume(volume, archive), isReadOnly: isReadOnly, takesOver: takesOver, progress
        ).open()
    }

    /// The identity alone, without checking the rest.
    package static func identity(_ volume: any Volume) throws(OpenFailure) -> LedgerIdentity {
        try LedgerOpening.identity(volume)
    }
}
