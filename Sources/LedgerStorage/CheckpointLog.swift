package import LedgerFormat

/// Every checkpoint that was ever shown, in one file that only grows, and the newest beside it.
/// `ledger-format.md`, section "Checkpoints", has the bytes.
///
/// Invariants:
///  1. Sizes never go back; a checkpoint of the same size and root again has more signatures.
///  2. `checkpoint` is the last record, or for a crash's moment the one before.
package struct CheckpointLog: ~Copyable {
    private let volume: any Volume
    /// Nil until there is a first record.
    private var file: (any VolumeFile)?
    private var end: Int
    /// The last record.
    package private(set) var newest: PublishedCheckpoint?
    /// The records that stood last when it was opened, in order.
    package let recent: [PublishedCheckpoint]
    /// What a crash left behind the last record, and was cut.
    package let repair: String?

    private init(
        _ volume: any Volume, _ file: (any VolumeFile)?, _ tail: CheckpointCursor.Tail,
        _ repair: String?
    ) {
        (self.volume, self.file, self.repair) = (volume, file, repair)
        (end, newest, recent) = (tail.end, tail.newest, tail.recent)
    }

    /// Opens it for writing; a ledger that never signed has none, which is made with the first. The
    /// failure is a finding where the file is not as it was written. A full disk is no reason not to
    /// open.
    package static func open(_ volume: any Volume) throws(OpenFailure) -> CheckpointLog {
        let tail = try CheckpointCursor.tail(volume)
        do throws(FileFailure) {
            let isThere = try volume.list("").contains(LedgerLayout.checkpoints)
            let file = isThere ? try volume.open(LedgerLayout.checkpoints, .update) : nil
            let excess = try (file?.size() ?? 0) - tail.end
            if excess > 0 {
                try file?.truncate(to: tail.end)
                try file?.sync()
            }
            if let newest = tail.newest, tail.isCopyBehind {
                do throws(FileFailure) {
                    try volume.replace(LedgerLayout.checkpoint, with: newest.note.bytes)
                } catch { if !error.isNoSpace { throw error } }
            }
            let repair = excess > 0 ? "cut \(excess) bytes of an unfinished checkpoint" : nil
            return CheckpointLog(volume, file, tail, repair)
        } catch { throw .file(error) }
    }

    /// Adds a checkpoint; on return it is durable and may be shown. One that stands already, since
    /// only its copy could not be written, is not added again.
    package mutating func append(_ published: PublishedCheckpoint) throws(FileFailure) {
        precondition(newest.map { $0.checkpoint.size <= published.checkpoint.size } ?? true)
        if newest != published {
            let record = CheckpointCursor.record(published.note.bytes)
            let file = try openedFile()
            try file.write(record.span, at: end)
            try file.sync()
            end += record.count
            newest = published
        }
        try volume.replace(LedgerLayout.checkpoint, with: published.note.bytes)
    }

    private mutating func openedFile() throws(FileFailure) -> any VolumeFile {
        if let file { return file }
        let made = try volume.open(LedgerLayout.checkpoints, .create())
        // The file stands even where the folder's sync fails: it is opened, not made, next time.
        file = made
        try volume.syncFolder("")
        return made
    }
}

/// A checkpoint with its signatures.
package struct PublishedCheckpoint: Hashable, Sendable {
    package var checkpoint: Checkpoint
    package var note: SignedNote

    package init(_ checkpoint: Checkpoint, signatures: [SignedNote.Signature]) {
        self.checkpoint = checkpoint
        note = SignedNote(text: checkpoint.text, signatures: signatures)
    }

    package enum DecodeError: Error, Hashable, CustomStringConvertible {
        case note(SignedNote.DecodeError)
        case checkpoint(Checkpoint.DecodeError)

        package var description: String {
            switch self {
            case .note(let error): error.description
            case .checkpoint(let error): error.description
            }
        }
    }

    /// Reads a signed note. Signatures are not checked.
    package init(_ bytes: [UInt8]) throws(DecodeError) {
        do throws(SignedNote.DecodeError) { note = try SignedNote(bytes) } catch {
            throw .note(error)
        }
        do throws(Checkpoint.DecodeError) { checkpoint = try Checkpoint(text: note.text) } catch {
            throw .checkpoint(error)
        }
    }
}
