package import LedgerFormat
package import LedgerStorage

/// What a check of a ledger's files found.
package struct Verification: Sendable {
    package var findings: [Finding] = []
    /// What is unusual but no damage, such as a tail that is being written.
    package var notes: [String] = []
    package var size = LedgerSize.empty
    /// Nil where the entries do not follow each other, so that there is no tree over them.
    package var root: Digest?
    /// How far the close marker vouches.
    package var closedAt: LedgerSize?
    /// The newest checkpoint that holds, and the key that signed it.
    package var checkpoint: (checkpoint: Checkpoint, key: NoteVerifier)?
    package var checkpointCount = 0
    /// How far a checkpoint from outside vouches.
    package var anchoredSize: LedgerSize?

    package init() {}

    package var isSound: Bool { findings.isEmpty }
}
