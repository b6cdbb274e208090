package import LedgerFormat

/// Every checkpoint that was ever shown, in one file that only grows, and the newest beside it.
/// `ledger-format.md`, section "Checkpoints", has the bytes.
///
/// Invariants:
///  1. Sizes never go back; a checkpoint of the same size and root again has more signatures.
///  2. `checkpoint` is the last record, or for a crash's moment the one before.
package struct CheckpointLog: ~Copyable {
    private let volume: any Volume
    private let file: any VolumeFile
    private var end: Int
    /// The last record.
    package private(set) var newest: PublishedCheckpoint?
    /// The records that stood last when it was opened, in order.
    package let recent: [PublishedCheckpoint]
    /// What a crash left behind the last record, and was cut.
    package let repair: String?

    private init(
        _ volume: any Volume, _ file: any VolumeFile, _ tail: CheckpointCursor.Tail,
        _ repair: String?
    ) {
        (self.volume, self.file, self.repair) = (volume, file, repair)
        (end, newest, recent) = (tail.end, tail.newest, tail.recent)
    }

    /// Opens it for writing, and makes it where a ledger has none. The failure is a finding where
    /// the file is not as it was written.
    package static func open(_ volume: any Volume) throws(OpenFailure) -> CheckpointLog {
        let tail = try CheckpointCursor.tail(volume)
        do throws(FileFailure) {
            let path = LedgerLayout.checkpoints
            let isThere = try volume.list("").contains(path)
            let file = try volume.open(path, isThere ? .update : .create())
            if !isThere {
                try file.sync()
                try volume.syncFolder("")
            }
            let excess = try file.size() - tail.end
            if excess > 0 {
                try file.truncate(to: tail.end)
                try file.sync()
            }
            if let newest = tail.newest, tail.isCopyBehind {
                try volume.replace(LedgerLayout.checkpoint, with: newest.note.bytes)
            }
            let repair = excess > 0 ? "cut \(excess) bytes of an unfinished checkpoint" : nil
            return CheckpointLog(volume, file, tail, repair)
        } catch { throw .file(error) }
    }

    /// Adds a checkpoint; on return it is durable and may be shown.
    package mutating func append(_ published: PublishedCheckpoint) throws(FileFailure) {
        precondition(newest.map { $0.checkpoint.size <= published.checkpoint.size } ?? true)
        let record = CheckpointCursor.record(published.note.bytes)
        try file.write(record.span, at: end)
        try file.sync()
        end += record.count
        newest = published
        try volume.replace(LedgerLayout.checkpoint, with: published.note.bytes)
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
