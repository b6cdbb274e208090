package import LedgerFormat
package import Platform

/// An opened ledger.
package struct OpenedLedger: ~Copyable {
    package let identity: LedgerIdentity
    package let map: LedgerMap
    /// Nil if the files are damaged. Entries before the damage can still be read.
    package var writer: LedgerWriter?
    package let damage: Finding?
    /// What was repaired, for the log.
    package let repairs: [Repair]
    /// Why there is no writer, if a mark says so.
    package let mark: Mark?

    /// A file that says that nothing in the folder is changed.
    package enum Mark: Hashable, Sendable {
        /// It came out of an archive, and its writer may live on.
        case restored
        /// Another machine writes the ledger.
        case superseded
    }

    package enum Repair: Hashable, Sendable, CustomStringConvertible {
        /// The tail of a batch whose sync never completed was cut from its segment and kept.
        case tornTailCut(segment: String, offset: ByteOffset, bytes: Int, kept: String, Digest)
        case rollFinished(segment: String)
        case idsRebuilt(segment: String)

        package var description: String {
            switch self {
            case .tornTailCut(let segment, let offset, let bytes, let kept, let digest):
                "cut \(bytes) bytes of an unfinished write from \(segment) at byte \(offset), "
                    + "kept in \(kept), \(digest.tagged)"
            case .rollFinished(let segment): "trimmed \(segment) to its records after a crash"
            case .idsRebuilt(let segment): "rebuilt the ids of \(segment)"
            }
        }
    }
}

package enum OpenFailure: Error, Sendable, CustomStringConvertible {
    case file(FileFailure)
    case notALedger(path: String)
    case damaged(Finding)
    /// Another process writes this file, perhaps through another folder.
    case inUse(path: String)
    /// A copy by hard links shares this file, so writing it would change both.
    case shared(path: String, links: Int)
    /// The ledger's newest epoch is another machine's.
    case otherMachine(EpochNote, own: String)

    package init(_ failure: ReadFailure) {
        switch failure {
        case .file(let failure): self = .file(failure)
        case .damaged(let finding): self = .damaged(finding)
        }
    }

    package var description: String {
        switch self {
        case .file(let failure): failure.description
        case .notALedger(let path): "\(path) is not a ledger; `stardust init` creates one"
        case .damaged(let finding): finding.description
        case .inUse(let path):
            "another process writes \(path), which is part of this ledger; stop it first"
        case .otherMachine(let epoch, let own):
            "epoch \(epoch.number) of this ledger belongs to the machine \(epoch.machine), and this "
                + "is \(own): if the other daemon has ended for good, run `stardust take-over` here"
        case .shared(let path, let links):
            "\(path) has \(links) names: a copy by hard links shares it, and writing one ledger "
                + "would change the other. Copy ledgers with `cp -a` or rsync, never with `cp -l`. "
                + "To give this ledger a file of its own: cp -p \(path) \(path).own && "
                + "mv \(path).own \(path)"
        }
    }
}
