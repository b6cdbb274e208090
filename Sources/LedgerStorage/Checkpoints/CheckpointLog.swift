package import LedgerFormat
package import Platform

/// Every checkpoint that was ever published, in one append-only file, and a copy of the newest
/// beside it. Section "Checkpoints" of `ledger-format.md` describes the bytes.
///
/// Invariants:
///  1. Sizes never decrease. A checkpoint that repeats a size and root has more signatures.
///  2. `checkpoint` is a copy of the last record or, as long as nobody has seen that one, of the
///     record before.
package struct CheckpointLog: ~Copyable {
    private let volume: any Volume
    /// Nil until there is a first record.
    private var file: (any VolumeFile)?
    /// Bytes of the file that are durable.
    package private(set) var end: Int
    /// `checkpoint` is not yet a copy of the last record.
    private var isCopyBehind: Bool
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
        isCopyBehind = tail.isCopyBehind
    }

    /// Opens the log for writing. A ledger that never signed has no file; the first checkpoint
    /// creates it. Throws a finding if the file is damaged. A full disk does not prevent opening.
    package static func open(_ volume: any Volume) throws(OpenFailure) -> CheckpointLog {
        var tail = try CheckpointCursor.tail(volume)
        do throws(FileFailure) {
            let isThere = try volume.list("").contains(LedgerLayout.checkpoints)
            let file = isThere ? try volume.open(LedgerLayout.checkpoints, .update) : nil
            let excess = try (file?.size() ?? 0) - tail.end
            if excess > 0 {
                // An unfinished record that nobody has seen. After a crash here the next opening
                // cuts what is left of it.
                if let file { try cut(file, from: tail.end, excess, volume) }
            }
            if let newest = tail.newest, tail.isCopyBehind {
                // A crash or a full disk leaves the copy behind; the next opening or append tries
                // again.
                do throws(FileFailure) {
                    try volume.replace(LedgerLayout.checkpoint, with: newest.note.bytes)
                    tail.isCopyBehind = false
                } catch { if !error.isNoSpace { throw error } }
            }
            let repair = excess > 0 ? "cut \(excess) bytes of an unfinished checkpoint" : nil
            return CheckpointLog(volume, file, tail, repair)
        } catch { throw .file(error) }
    }

    /// Cuts what follows the last record, and keeps it in a file of its own.
    private static func cut(
        _ file: any VolumeFile, from end: Int, _ excess: Int, _ volume: any Volume
    ) throws(FileFailure) {
        var bytes = [UInt8](repeating: 0, count: min(excess, SignedNote.bytesMax))
        let count = try file.read(into: &bytes, 0..<bytes.count, at: end)
        let kept = LedgerLayout.tornCheckpoint(at: ByteOffset(end))
        try volume.replace(kept, with: Array(bytes.prefix(count)))
        try file.truncate(to: end)
        try file.sync()
    }

    /// Adds a checkpoint. On return it is durable and may be published. A checkpoint whose record
    /// was written, but whose copy failed, is not added again.
    package mutating func append(_ published: SignedCheckpoint) throws(FileFailure) {
        precondition(newest.map { $0.checkpoint.size <= published.checkpoint.size } ?? true)
        try volume.requireInPlace()
        // The copy is never two records behind, whatever failed: that would look as if somebody
        // had put an older copy back.
        if isCopyBehind, let newest { try copy(newest) }
        if newest != published {
            try write(CheckpointCursor.record(published.note.bytes))
            (newest, isCopyBehind) = (published, true)
        }
        // The record is durable. A crash here leaves the copy missing or one record behind, and
        // opening replaces it.
        try copy(published)
    }

    private mutating func copy(_ published: SignedCheckpoint) throws(FileFailure) {
        try volume.replace(LedgerLayout.checkpoint, with: published.note.bytes)
        isCopyBehind = false
    }

    private mutating func write(_ record: [UInt8]) throws(FileFailure) {
        if let file {
            switch try file.linkCount() {
            case 0: throw FileFailure(.open, file.path, errorNumber: FileFailure.movedNumber)
            case 1: break
            // A copy by hard links must keep the checkpoints it was made with.
            default: self.file = try volume.openUnshared(file.path.lastName)
            }
        }
        if let file {
            // A crash before the sync completes leaves part of the record, which opening cuts, or
            // all of it, which opening keeps. Nobody has seen it yet.
            try file.write(record.span, at: end)
            try file.sync()
        } else {
            // The first one. A crash leaves no file, or this record whole.
            try volume.replace(LedgerLayout.checkpoints, with: record)
            file = try volume.open(LedgerLayout.checkpoints, .update)
        }
        end += record.count
    }
}
