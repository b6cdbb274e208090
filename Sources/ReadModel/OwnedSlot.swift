internal import Glibc
internal import Platform

/// A replication slot that this ledger made, or was about to make, at a source. The record lies
/// beside the read model's files: it outlives their damage and their removal, and so it stays known
/// whose slot it is.
package struct OwnedSlot: Hashable, Sendable {
    package var name: String
    /// The source's `system_identifier`.
    package var systemID: String
    /// The number of the copy that the slot was made for, and whether it came into use.
    package var copy: Int
    package var isFinished: Bool

    package init(name: String, systemID: String, copy: Int, isFinished: Bool) {
        (self.name, self.systemID, self.copy) = (name, systemID, copy)
        self.isFinished = isFinished
    }
}

extension ModelFolder {
    private static let slotName = "replication.slot"

    /// Nil if there is no record, or none that can be read.
    package func ownedSlot() throws(ModelFailure) -> OwnedSlot? {
        do throws(FileFailure) {
            let volume = try PosixVolume(root: path)
            guard try volume.list("").contains(Self.slotName) else { return nil }
            let text = String(decoding: try volume.content(of: Self.slotName), as: UTF8.self)
            let parts = text.split(whereSeparator: \.isWhitespace)
            guard parts.count == 4, let copy = Int(parts[2]) else { return nil }
            return OwnedSlot(
                name: String(parts[0]), systemID: String(parts[1]), copy: copy,
                // A crash just after the copy came into use leaves the word as it was.
                isFinished: parts[3] == "finished" || copy == current)
        } catch { throw .file(error) }
    }

    /// Durably records a slot, in place of the one before.
    package func own(_ slot: OwnedSlot) throws(ModelFailure) {
        let word = slot.isFinished ? "finished" : "copying"
        let line = "\(slot.name) \(slot.systemID) \(slot.copy) \(word)\n"
        do throws(FileFailure) {
            try PosixVolume(root: path).replace(Self.slotName, with: Array(line.utf8))
        } catch { throw .file(error) }
    }

    /// Removes the record of a slot that was dropped. If it remains, a new slot of that name counts
    /// as ours.
    package func disown() { unsafe unlink("\(path)/\(Self.slotName)") }
}

/// Which file a path leads to.
struct FileIdentity: Hashable {
    private let device: dev_t
    private let number: ino_t

    /// Nil if there is none. Opens nothing: closing a descriptor would give up SQLite's locks.
    init?(_ path: String) {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else { return nil }
        (device, number) = (status.st_dev, status.st_ino)
    }
}
