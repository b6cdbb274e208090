package import LedgerFormat
package import Platform

/// Creates and opens ledgers.
package enum Ledger {
    /// Creates a ledger in an existing, empty folder: key, first segment, identity. On return it is
    /// durable. The identity comes last, so an earlier crash leaves a folder that is not a ledger.
    package static func create(
        in volume: any Volume, origin: String?, segmentBytes: Int, now: Timestamp,
        using generator: inout some RandomNumberGenerator
    ) throws(FileFailure) -> LedgerIdentity {
        let ledgerID = UUID128.random(using: &generator)
        let name = origin ?? "stardust/\(ledgerID)"
        let key = NoteSigner(name: name, .random(using: &generator))
        let identity = LedgerIdentity(
            ledgerID: ledgerID, origin: name, verifierKey: key.verifier, createdAt: now)
        try volume.makeFolder(LedgerLayout.segments)
        try volume.makeFolder(LedgerLayout.ids)
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

    /// Opens a ledger for writing. The caller holds its lock.
    package static func open(_ volume: any Volume) throws(OpenFailure) -> OpenedLedger {
        try LedgerOpening(volume).open()
    }

    /// The identity alone, without checking the rest.
    package static func identity(_ volume: any Volume) throws(OpenFailure) -> LedgerIdentity {
        try LedgerOpening.identity(volume)
    }
}
