package import LedgerFormat
package import LedgerStorage

/// The result of checking a ledger's files.
package struct Verification: Sendable {
    package var findings: [Finding] = []
    /// What is unusual but not damage, such as a tail that is still being written.
    package var notes: [String] = []
    /// Nil if the identity is damaged.
    package var identity: LedgerIdentity?
    package var size = LedgerSize.empty
    /// When the first and the last entry were received; nil if there is none.
    package var firstReceivedAt: Timestamp?
    package var lastReceivedAt: Timestamp?
    package var keyChanges = 0
    /// Epochs that began with an entry.
    package var epochs = 0
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

    /// A later version of the format wrote some of the entries: behind them, nothing is missing or
    /// changed as far as anybody can tell.
    var hasUnknownEntries: Bool { findings.contains { $0.code.isUnknownEntry } }

    /// Nothing is wrong but that a later version wrote part of the ledger.
    package var cannotBeJudged: Bool {
        !findings.isEmpty && findings.allSatisfy { $0.code.isUnknownFormat }
    }

    /// Adds what explains findings that a copy taken in an unlucky order has, and no other.
    mutating func noteCopy() {
        let explained: Set<Finding.Code> = [
            .rolledBack, .truncated, .checkpointsCut, .checkpointStale,
        ]
        guard !findings.isEmpty, findings.allSatisfy({ explained.contains($0.code) }) else {
            return
        }
        notes.append(
            "this may be a copy that was taken while the ledger was written, in the wrong order: "
                + "checkpoint, checkpoints and closed come first, segments last. Only the original "
                + "can tell that from a ledger that was put back")
    }
}
