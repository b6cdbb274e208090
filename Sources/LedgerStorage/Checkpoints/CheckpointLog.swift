package import LedgerFormat
package import Platform

/// Every checkpoint that was ever published, in one append-only file, and a copy of the newest
/// beside it. Section "Checkpoints" of `ledger-format.md` describes the bytes.
///
/// Invariants:
///  1. Sizes never decrease. A checkpoint that repeats a size and root has more signatures.
///  2. `checkpoint` is a copy of the last record. After a crash it may be missing or one record
///     behind.
package struct CheckpointLog: ~Copyable {
    private let volume: any Volume
    /// Nil until there is a first record.
    private var file: (any VolumeFile)?
    private var end: Int
    /// The last record.
    package private(set) var newest: SignedCheckpoint?
    /// The last records at the time of opening, in order.
    package let recent: [SignedCheckpoint]
    /// What opening cut after the last record, where a crash had left it.
    package let repair: String?

    private init(
        _ volume: any Volume, _ file: (any VolumeFile)?, _ tail: CheckpointCursor.Tail,
        _ repair: String?
    ) {
        (self.volume, self.file, self.repair) = (volume, file, repair)
        (end, newest, recent) = (tail.end, tail.newest, tail.recent)
    }

    /// Opens the log for writing. A ledger that never signed has no file; the first checkpoint
    /// creates it. Throws a finding if the file is damaged. A full disk does not prevent opening.
    package static func open(_ volume: any Volume) throws(OpenFailure) -> CheckpointLog {
        let tail = try CheckpointCursor.tail(volume)
        do throws(FileFailure) {
            let isThere = try volume.list("").contains(LedgerLayout.checkpoints)
            let file = isThere ? try volume.open(LedgerLayout.checkpoints, .update) : nil
            let excess = try (file?.size() ?? 0) - tail.end
            if excess > 0 {
                // An unfinished record that nobody has seen. After a crash here the next opening
                // cuts what is left of it.
                try file?.truncate(to: tail.end)
                try file?.sync()
            }
            if let newest = tail.newest, tail.isCopyBehind {
                // A crash or a full disk leaves the copy behind; the next opening or append tries
                // again.
                do throws(FileFailure) {
                    try volume.replace(LedgerLayout.checkpoint, with: newest.note.bytes)
                } catch { if !error.isNoSpace { throw error } }
            }
            let repair = excess > 0 ? "cut \(excess) bytes of an unfinished checkpoint" : nil
            return CheckpointLog(volume, file, tail, repair)
        } catch { throw .file(error) }
    }

    /// Adds a checkpoint. On return it is durable and may be published. A checkpoint whose record
    /// was written, but whose copy failed, is not added again.
    package mutating func append(_ published: SignedCheckpoint) throws(FileFailure) {
        precondition(newest.map { $0.checkpoint.size <= published.checkpoint.size } ?? true)
        if newest != published {
            let record = CheckpointCursor.record(published.note.bytes)
            let file = try openedFile()
            // A crash before the sync completes leaves part of the record, which opening cuts, or
            // all of it, which opening keeps. Nobody has seen it yet.
            try file.write(record.span, at: end)
            try file.sync()
            end += record.count
            newest = published
        }
        // The record is durable. A crash here leaves the copy missing or one record behind, and
        // opening replaces it.
        try volume.replace(LedgerLayout.checkpoint, with: published.note.bytes)
    }

    private mutating func openedFile() throws(FileFailure) -> any VolumeFile {
        if let file { return file }
        let made = try volume.open(LedgerLayout.checkpoints, .create())
        // Kept even if the folder's sync fails: the file exists and cannot be created again. Then
        // the copy's `replace` syncs the same folder before anybody sees the checkpoint.
        file = made
        // A crash before the first record leaves no file or an empty one: no checkpoints.
        try volume.syncFolder("")
        return made
    }
}
