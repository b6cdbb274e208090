package import LedgerFormat

/// Making and opening ledgers.
package enum Ledger {
    /// Makes a ledger in a folder that is there and empty: identity, key, the first segment. On
    /// return it is durable. A crash before leaves a folder without identity, which is no ledger.
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
        try volume.replace(LedgerLayout.identity, with: identity.fileContent)
        return identity
    }

    /// Opens a ledger for writing. The caller holds its lock.
    package static func open(_ volume: any Volume) throws(OpenFailure) -> OpenedLedger {
        try LedgerOpening(volume).open()
    }

    /// The identity alone, without judging the rest.
    package static func identity(_ volume: any Volume) throws(OpenFailure) -> LedgerIdentity {
        try LedgerOpening.identity(volume)
    }
}
