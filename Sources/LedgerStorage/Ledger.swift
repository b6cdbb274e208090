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
        let seed = (0..<Ed25519Key.seedBytes).map { _ in
            UInt8.random(in: .min ... .max, using: &generator)
        }
        let key = Ed25519Key(seed: seed)
        let identity = LedgerIdentity(
            ledgerID: ledgerID, origin: name, verifierKey: NoteKey.verifier(name: name, key),
            createdAt: now)
        try volume.makeFolder(LedgerLayout.segments)
        try volume.makeFolder(LedgerLayout.ids)
        let keyFile = try volume.open(LedgerLayout.key, .create(mode: 0o400))
        try keyFile.write(Array((NoteKey.signer(name: name, key) + "\n").utf8).span, at: 0)
        try keyFile.sync()
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
