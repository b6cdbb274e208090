internal import Glibc
package import LedgerStorage

/// The read model's files in a ledger's folder.
///
/// `model.sqlite` is a link to the copy in use, `model-<number>.sqlite`. A new copy is made beside it
/// and takes its place by renaming the link: each copy keeps its own name, and with it its own
/// write-ahead log, so that whoever has the old one open reads on undisturbed.
package struct ModelFolder: Sendable {
    package let path: String

    package init(_ path: String) { self.path = path }

    package var link: String { path + "/model.sqlite" }
    private var lockPath: String { path + "/model.lock" }

    package func file(_ number: Int) -> String { "\(path)/\(Self.name(number))" }

    private static func name(_ number: Int) -> String { "model-\(number).sqlite" }

    /// The number of the copy in use; nil where there is none.
    package var current: Int? {
        var target = [CChar](repeating: 0, count: 256)
        // Safety: the call writes at most the count into our own memory.
        let count = unsafe readlink(link, &target, target.count)
        guard count > 0 else { return nil }
        let text = String(
            decoding: target.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return Self.number(text)
    }

    /// The copies that are there, the one in use and what an interrupted copying left.
    package func numbers() throws(FileFailure) -> [Int] {
        try PosixVolume(root: path).list("").compactMap(Self.number).sorted()
    }

    private static func number(_ name: String) -> Int? {
        guard name.hasPrefix("model-"), name.hasSuffix(".sqlite") else { return nil }
        return Int(name.dropFirst(6).dropLast(7))
    }

    /// Makes an empty file that others may not read. Until it is in use, `slot` stands beside it: the
    /// file itself may be unreadable after a crash.
    func make(_ number: Int, slot: String?) throws(FileFailure) {
        let volume = try PosixVolume(root: path)
        _ = try volume.open(Self.name(number), .create())
        if let slot { try volume.replace(Self.slotName(number), with: Array(slot.utf8)) }
    }

    private static func slotName(_ number: Int) -> String { "model-\(number).slot" }

    /// Replication slots that interrupted copyings have made, or were about to.
    package func unfinishedSlots() throws(FileFailure) -> Set<String> {
        let (volume, current) = (try PosixVolume(root: path), current)
        let names = Set(try volume.list(""))
        var slots: Set<String> = []
        for number in try numbers() where number != current {
            guard names.contains(Self.slotName(number)) else { continue }
            let content = try volume.content(of: Self.slotName(number))
            slots.insert(String(decoding: content, as: UTF8.self))
        }
        return slots
    }

    /// Puts a copy in use, durably, and removes the others. The copy itself has been synced.
    package func use(_ number: Int) throws(FileFailure) {
        let volume = try PosixVolume(root: path)
        let temporary = path + "/model.tmp"
        unsafe unlink(temporary)  // From an interrupted attempt, or not there.
        guard unsafe symlink(Self.name(number), temporary) == 0 else {
            throw FileFailure(.create, temporary, errorNumber: errno)
        }
        try volume.rename("model.tmp", to: "model.sqlite")
        try volume.syncFolder("")
        unsafe unlink("\(path)/\(Self.slotName(number))")  // Of a copy in use nobody reads it.
        for other in try numbers() where other != number { remove(other) }
    }

    package func remove(_ number: Int) {
        // What stays behind is removed with the next copy.
        for suffix in ["", "-wal", "-shm", "-journal"] { unsafe unlink(file(number) + suffix) }
        unsafe unlink("\(path)/\(Self.slotName(number))")
    }

    /// Makes a file that somebody put in the link's place the copy in use.
    package func adoptPlainFile() throws(FileFailure) {
        var status = stat()
        guard unsafe lstat(link, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return }
        let number = (try numbers().last ?? 0) + 1
        let volume = try PosixVolume(root: path)
        for suffix in ["-wal", "-shm"] where unsafe access(link + suffix, F_OK) == 0 {
            try volume.rename("model.sqlite" + suffix, to: Self.name(number) + suffix)
        }
        try volume.rename("model.sqlite", to: Self.name(number))
        try use(number)
    }

    /// The right to write, held as long as this lives.
    package final class Lock: Sendable {
        private let descriptor: Int32

        fileprivate init(_ descriptor: Int32) { self.descriptor = descriptor }

        deinit { close(descriptor) }
    }

    package func lock() throws(ModelFailure) -> Lock {
        let descriptor = unsafe open(lockPath, O_RDWR | O_CREAT | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else {
            throw .file(FileFailure(.open, lockPath, errorNumber: errno))
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            throw .locked(
                "the read model in \(path) is being written by another process: the daemon with a "
                    + "source of its own, or `stardust model sync`")
        }
        return Lock(descriptor)
    }
}
