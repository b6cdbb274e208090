internal import Glibc
package import Platform

/// The read model's files in a ledger's folder.
///
/// `model.sqlite` is a link to the copy in use, `model-<number>.sqlite`. A new copy is built beside
/// it and takes its place when the link is renamed. Each copy keeps its own name and therefore its
/// own write-ahead log, so readers that have the old copy open are not disturbed.
package struct ModelFolder: Sendable {
    package let path: String

    package init(_ path: String) { self.path = path }

    package var link: String { path + "/model.sqlite" }
    private var lockPath: String { path + "/model.lock" }

    package func file(_ number: Int) -> String { "\(path)/\(Self.name(number))" }

    private static func name(_ number: Int) -> String { "model-\(number).sqlite" }

    /// The number of the copy in use; nil if there is none.
    package var current: Int? {
        var target = [CChar](repeating: 0, count: 256)
        // Safety: the call writes at most `count` bytes into our own memory.
        let count = unsafe readlink(link, &target, target.count)
        guard count > 0 else { return nil }
        let text = String(
            decoding: target.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return Self.number(text)
    }

    /// The existing copies: the one in use and any that an interrupted copy left behind.
    package func numbers() throws(FileFailure) -> [Int] {
        try PosixVolume(root: path).list("").compactMap(Self.number).sorted()
    }

    private static func number(_ name: String) -> Int? {
        guard name.hasPrefix("model-"), name.hasSuffix(".sqlite") else { return nil }
        return Int(name.dropFirst(6).dropLast(7))
    }

    /// Creates an empty file that others may not read. A crash after this leaves an empty copy; the
    /// next copy removes it.
    func make(_ number: Int) throws(FileFailure) {
        _ = try PosixVolume(root: path).open(Self.name(number), .create())
    }

    /// Durably puts a copy in use and removes the others. The copy must already be synced.
    package func use(_ number: Int) throws(FileFailure) {
        let volume = try PosixVolume(root: path)
        let temporary = path + "/model.tmp"
        unsafe unlink(temporary)  // Left by an interrupted attempt, or missing.
        // A crash before the rename leaves the old copy in use, and a link for the next attempt to
        // remove. A power cut before the sync may bring back the old link; both copies still exist.
        guard unsafe symlink(Self.name(number), temporary) == 0 else {
            throw FileFailure(.create, temporary, errorNumber: errno)
        }
        try volume.rename("model.tmp", to: "model.sqlite")
        try volume.syncFolder("")
        // The new copy is in use for good. A crash here leaves files that nobody reads, and that the
        // next copy removes.
        for other in try numbers() where other != number { remove(other) }
    }

    package func remove(_ number: Int) {
        // A copy that remains is removed with the next one.
        for suffix in ["", "-wal", "-shm", "-journal"] { unsafe unlink(file(number) + suffix) }
    }

    /// Puts another copy in use if a copy of the folder by hard links shares the one in use: SQLite
    /// would write both. Readers go on with the old one until they see the new number.
    ///
    /// Nobody but SQLite opens a file that is in use. Its locks belong to the process (fcntl(2)), and
    /// closing any descriptor of the file gives them up: another program would then take the
    /// write-ahead log for abandoned and remove it.
    package func unshare() throws(ModelFailure) {
        guard let current, ["", "-wal"].contains(where: { Self.links(file(current) + $0) > 1 })
        else { return }
        let number: Int
        do throws(FileFailure) {
            number = (try numbers().last ?? current) + 1
            // A crash before it is in use leaves a copy that the next one removes.
            try make(number)
        } catch { throw .file(error) }
        do throws(SQLiteFailure) {
            let target = file(number).replacing("'", with: "''")
            try SQLiteConnection(file(current), .readOnly).run("VACUUM INTO '\(target)'")
        } catch { throw .database(error) }
        do throws(FileFailure) {
            try PosixVolume(root: path).open(Self.name(number), .update).sync()
            try use(number)
        } catch { throw .file(error) }
    }

    /// Bytes of the write-ahead log of the copy in use. It grows as long as somebody reads the file
    /// within one transaction.
    package var logBytes: Int {
        var status = stat()
        guard let current, unsafe stat(file(current) + "-wal", &status) == 0 else { return 0 }
        return Int(status.st_size)
    }

    private static func links(_ path: String) -> Int {
        var status = stat()
        return unsafe stat(path, &status) == 0 ? Int(status.st_nlink) : 0
    }

    /// If somebody put a plain file in the link's place, makes that file the copy in use.
    package func adoptPlainFile() throws(FileFailure) {
        var status = stat()
        guard unsafe lstat(link, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return }
        let number = (try numbers().last ?? 0) + 1
        let volume = try PosixVolume(root: path)
        // The log moves first. A crash before the file itself moves leaves the log under the new
        // name; the next attempt finds the same number free and moves the rest.
        for suffix in ["-wal", "-shm"] where unsafe access(link + suffix, F_OK) == 0 {
            try volume.rename("model.sqlite" + suffix, to: Self.name(number) + suffix)
        }
        // A crash after this leaves the file without a link, and so no read model in use.
        try volume.rename("model.sqlite", to: Self.name(number))
        try use(number)
    }

    /// The right to write, held as long as this object lives.
    package final class Lock: Sendable {
        private let descriptor: Int32

        fileprivate init(_ descriptor: Int32) { self.descriptor = descriptor }

        deinit { close(descriptor) }
    }

    /// Whether some process writes the read model now.
    package var isBeingWritten: Bool {
        let descriptor = unsafe open(lockPath, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return flock(descriptor, LOCK_SH | LOCK_NB) != 0
    }

    package func lock() throws(ModelFailure) -> Lock {
        let descriptor = unsafe open(lockPath, O_RDWR | O_CREAT | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else {
            throw .file(FileFailure(.open, lockPath, errorNumber: errno))
        }
        var isTaken = flock(descriptor, LOCK_EX | LOCK_NB) == 0
        // Whoever only looks whether it is taken has it for a moment.
        for _ in 0..<5 where !isTaken {
            usleep(20_000)
            isTaken = flock(descriptor, LOCK_EX | LOCK_NB) == 0
        }
        guard isTaken else {
            close(descriptor)
            throw .locked(
                "another process is writing the read model in \(path): the daemon with its own "
                    + "source, or `stardust model sync`")
        }
        return Lock(descriptor)
    }
}
