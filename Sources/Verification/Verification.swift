package import LedgerFormat
package import LedgerStorage

/// The result of checking a ledger's files.
package struct Verification: Sendable {
    package var findings: [Finding] = []
    /// What is unusual but not damage, such as a tail that is still being written.
    package var notes: [String] = []
    package var size = LedgerSize.empty
    /// Nil if the entries are not contiguous, so that there is no tree over them.
    package var root: Digest?
    /// The size that the close marker vouches for.
    package var closedAt: LedgerSize?
    /// The newest valid checkpoint, and the key that signed it.
    package var checkpoint: (checkpoint: Checkpoint, key: NoteVerifier)?
    package var checkpointCount = 0
    /// The size that a checkpoint stored elsewhere vouches for.
    package var anchoredSize: LedgerSize?

    package init() {}

    package var isSound: Bool { findings.isEmpty }
}
