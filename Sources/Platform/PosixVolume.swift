internal import CPlatform
internal import Glibc

/// A ledger's folder on a POSIX file system.
package struct PosixVolume: Volume {
    /// Absolute path of the folder, without links.
    package let root: String
    /// Whose files root makes here, so that the daemon's user can use them; nil for root's own.
    private let owner: (user: UInt32, group: UInt32)?
    private let folders = FolderHandles()
    /// Device and inode of the folder.
    private let identity: (device: dev_t, inode: ino_t)

    /// The folder must exist.
    package init(root: String) throws(FileFailure) {
        // Safety: realpath with nil allocates the result, which is copied and freed here.
        guard let resolved = unsafe realpath(root, nil) else {
            throw FileFailure(.open, root, errorNumber: errno)
        }
        defer { unsafe free(resolved) }
        self.root = unsafe String(cString: resolved)
        var status = stat()
        guard unsafe stat(self.root, &status) == 0 else {
            throw FileFailure(.open, root, errorNumber: errno)
        }
        identity = (status.st_dev, status.st_ino)
        owner = geteuid() == 0 && status.st_uid != 0 ? (status.st_uid, status.st_gid) : nil
    }

    /// Whether the folder belongs to another user than this process's, and that is not root.
    package var isOthers: Bool {
        var status = stat()
        guard unsafe stat(root, &status) == 0 else { return false }
        return geteuid() != 0 && status.st_uid != geteuid()
    }

    private func full(_ path: String) -> String { path.isEmpty ? root : root + "/" + path }

    package func open(_ path: String, _ access: FileAccess) throws(FileFailure) -> any VolumeFile {
        let (flags, mode): (Int32, UInt32) =
            switch access {
            // O_NONBLOCK: opening a pipe in a file's place must not hang.
            case .read: (O_RDONLY | O_NONBLOCK, 0)
            case .update: (O_RDWR | O_NONBLOCK, 0)
            case .create(let mode): (O_RDWR | O_CREAT | O_EXCL, mode)
            }
        let descriptor = unsafe stardust_open(full(path), flags, mode)
        guard descriptor >= 0 else {
            let operation: FileFailure.Operation = flags & O_CREAT == 0 ? .open : .create
            throw FileFailure(operation, full(path), errorNumber: -descriptor)
        }
        let file = PosixFile(descriptor: descriptor, path: full(path))
        if case .create = access, let owner, fchown(descriptor, owner.user, owner.group) != 0 {
            throw FileFailure(.create, full(path), errorNumber: errno)
        }
        guard try file.isPlain() else {
            throw FileFailure(.open, full(path), errorNumber: EINVAL)
        }
        return file
    }

    /// A new file without a name, which is gone with the process (open(2), O_TMPFILE).
    package func openNameless(in folder: String = "") throws(FileFailure) -> any VolumeFile {
        let descriptor = unsafe stardust_open_nameless(full(folder))
        guard descriptor >= 0 else {
            throw FileFailure(.create, full(folder), errorNumber: -descriptor)
        }
        return PosixFile(descriptor: descriptor, path: full(folder))
    }

    /// Makes a file that has its name only once `write` has written all of it, and it is durable. False
    /// if the name exists. The name itself is durable once the folder is synced. A crash leaves nothing,
    /// or on file systems without nameless files one that begins with a dot.
    package func createWhole(
        _ path: String, mode: UInt32, _ write: (any VolumeFile) throws(FileFailure) -> Void
    ) throws(FileFailure) -> Bool {
        let beside = "\(root)/\(path.folder)/.\(path.lastName).\(UInt64.random(in: 0 ... .max))"
        var descriptor = unsafe stardust_open_nameless(full(path.folder))
        let isNameless = descriptor >= 0
        if [-EOPNOTSUPP, -EISDIR, -EINVAL].contains(descriptor) {
            descriptor = unsafe stardust_open(beside, O_RDWR | O_CREAT | O_EXCL, mode)
        }
        guard descriptor >= 0 else {
            throw FileFailure(.create, full(path), errorNumber: -descriptor)
        }
        defer { if !isNameless { _ = unsafe unlink(beside) } }
        let file = PosixFile(descriptor: descriptor, path: full(path))
        guard fchmod(descriptor, mode) == 0 else {
            throw FileFailure(.create, full(path), errorNumber: errno)
        }
        try write(file)
        try file.sync()
        var status = unsafe isNameless ? stardust_link_nameless(descriptor, full(path)) : 0
        if !isNameless, unsafe link(beside, full(path)) != 0 { status = -errno }
        guard status == 0 || status == -EEXIST else {
            throw FileFailure(.create, full(path), errorNumber: -status)
        }
        withExtendedLifetime(file) {}
        return status == 0
    }

    package func list(_ folder: String) throws(FileFailure) -> [String] {
        guard let stream = unsafe opendir(full(folder)) else {
            if errno == ENOENT { return [] }
            throw FileFailure(.list, full(folder), errorNumber: errno)
        }
        defer { unsafe closedir(stream) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = unsafe readdir(stream) else { break }
            // Safety: d_name is a zero-terminated string inside the entry, which is valid until the
            // next readdir on this stream.
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
                unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) {
                    unsafe String(cString: $0)
                }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        guard errno == 0 else { throw FileFailure(.list, full(folder), errorNumber: errno) }
        return names
    }

    package func makeFolder(_ path: String) throws(FileFailure) {
        guard unsafe mkdir(full(path), 0o700) == 0 else {
            throw FileFailure(.makeFolder, full(path), errorNumber: errno)
        }
        if let owner, unsafe lchown(full(path), owner.user, owner.group) != 0 {
            throw FileFailure(.makeFolder, full(path), errorNumber: errno)
        }
    }

    package func rename(_ old: String, to new: String) throws(FileFailure) {
        guard unsafe Glibc.rename(full(old), full(new)) == 0 else {
            throw FileFailure(.rename, full(old), errorNumber: errno)
        }
    }

    package func renameNew(_ old: String, to new: String) throws(FileFailure) {
        let result = unsafe stardust_rename_new(full(old), full(new))
        guard result == 0 else {
            throw FileFailure(.rename, full(old), errorNumber: -result)
        }
    }

    package func requireInPlace() throws(FileFailure) {
        var status = stat()
        guard unsafe stat(root, &status) == 0, status.st_dev == identity.device,
            status.st_ino == identity.inode
        else { throw FileFailure(.open, root, errorNumber: FileFailure.movedNumber) }
    }

    package func remove(_ path: String) throws(FileFailure) {
        guard unsafe unlink(full(path)) == 0 else {
            throw FileFailure(.remove, full(path), errorNumber: errno)
        }
    }

    package func syncFolder(_ folder: String) throws(FileFailure) {
        try folders.sync(full(folder))
    }
}

/// A file that closes with its last reference.
private final class PosixFile: VolumeFile {
    let path: String
    private let descriptor: Int32

    init(descriptor: Int32, path: String) {
        self.descriptor = descriptor
        self.path = path
    }

    deinit { close(descriptor) }

    private func failure(_ operation: FileFailure.Operation) -> FileFailure {
        FileFailure(operation, path, errorNumber: errno)
    }

    private func status() throws(FileFailure) -> stat {
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { throw failure(.size) }
        return status
    }

    func isPlain() throws(FileFailure) -> Bool { try status().st_mode & S_IFMT == S_IFREG }

    func size() throws(FileFailure) -> Int { Int(try status().st_size) }

    func permissions() throws(FileFailure) -> UInt32 { try status().st_mode & 0o7777 }

    func isPrivate() throws(FileFailure) -> Bool {
        let status = try status()
        if status.st_mode & 0o077 == 0 { return true }
        guard status.st_mode & 0o007 == 0, [0, geteuid()].contains(status.st_uid) else {
            return false
        }
        // Where there is an access control list, the group's bits show its mask (acl(5)). systemd
        // grants a service its credentials in this way.
        var list = [UInt8](repeating: 0, count: 4096)
        let count = unsafe Int(stardust_access_list(descriptor, &list, list.count))
        guard count > 4 else { return false }
        return AccessControlList(list.prefix(count)).map { $0.isFor(geteuid()) } ?? false
    }

    func linkCount() throws(FileFailure) -> Int { Int(try status().st_nlink) }

    func lock() throws(FileFailure) {
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else { throw failure(.lock) }
    }

    func read(
        into buffer: inout [UInt8], _ range: Range<Int>, at offset: Int
    ) throws(FileFailure) -> Int {
        precondition(range.lowerBound >= 0 && range.upperBound <= buffer.count)
        var done = 0
        while done < range.count {
            // Safety: the range lies in the buffer, and `done` in the range.
            let count = unsafe buffer.withUnsafeMutableBytes {
                unsafe pread(
                    descriptor, $0.baseAddress! + range.lowerBound + done, range.count - done,
                    off_t(offset + done))
            }
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw failure(.read) }
            if count == 0 { break }
            done += count
        }
        return done
    }

    func readCached(
        into buffer: inout [UInt8], _ range: Range<Int>, at offset: Int
    ) throws(FileFailure) -> Int? {
        precondition(range.lowerBound >= 0 && range.upperBound <= buffer.count)
        // Safety: the range lies in the buffer.
        let count = unsafe buffer.withUnsafeMutableBytes {
            unsafe stardust_read_cached(
                descriptor, $0.baseAddress! + range.lowerBound, range.count, Int64(offset))
        }
        // None of it is in memory, or the file system cannot tell.
        return count < 0 ? nil : Int(count)
    }

    func write(_ bytes: Span<UInt8>, at offset: Int) throws(FileFailure) {
        var done = 0
        while done < bytes.count {
            // Safety: `done` is below the count of the borrowed bytes.
            let count = unsafe bytes.withUnsafeBytes {
                unsafe pwrite(
                    descriptor, $0.baseAddress! + done, $0.count - done, off_t(offset + done))
            }
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw failure(.write) }
            done += count
        }
    }

    func allocate(_ size: Int) throws(FileFailure) {
        let status = stardust_allocate(descriptor, 0, Int64(size))
        guard status == 0 || status == EOPNOTSUPP else {
            throw FileFailure(.allocate, path, errorNumber: status)
        }
        // Write the zeros now, so that syncing a record later converts no extent: 150 µs instead of
        // 170 for a small record, half the time for a large one (Docs/Decisions/0005).
        let zeros = [UInt8](repeating: 0, count: min(size, 1 << 20))
        var offset = 0
        while offset < size {
            let count = min(zeros.count, size - offset)
            try write(zeros.span.extracting(0..<count), at: offset)
            offset += count
        }
    }

    func truncate(to size: Int) throws(FileFailure) {
        guard ftruncate(descriptor, off_t(size)) == 0 else { throw failure(.truncate) }
    }

    func syncData() throws(FileFailure) {
        guard fdatasync(descriptor) == 0 else { throw failure(.sync) }
    }

    func sync() throws(FileFailure) {
        guard fsync(descriptor) == 0 else { throw failure(.sync) }
    }

    func dropCache() throws(FileFailure) {
        let status = posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED)
        guard status == 0 else { throw FileFailure(.read, path, errorNumber: status) }
    }
}

/// The access control list of a file, as the kernel stores it: version 2, then entries of 8 bytes
/// (linux/posix_acl_xattr.h).
private struct AccessControlList {
    private var entries: [(tag: UInt16, rights: UInt16, id: UInt32)] = []

    init?(_ bytes: some Collection<UInt8>) {
        let bytes = Array(bytes)
        guard bytes.count % 8 == 4, bytes[0] == 2 else { return nil }
        func number(_ at: Int, _ count: Int) -> UInt32 {
            (0..<count).reduce(0) { $0 | UInt32(bytes[at + $1]) << (8 * $1) }
        }
        for at in stride(from: 4, to: bytes.count, by: 8) {
            entries.append(
                (UInt16(number(at, 2)), UInt16(number(at + 2, 2)), number(at + 4, 4)))
        }
    }

    /// Whether, beside the owner, it grants rights to nobody but one user.
    func isFor(_ user: UInt32) -> Bool {
        entries.allSatisfy { entry in
            switch entry.tag {
            case 0x01, 0x10: true  // the owner, and the mask
            case 0x02: entry.id == user || entry.rights == 0
            default: entry.rights == 0  // the owning group, other groups, and others
            }
        }
    }
}

extension FileFailure {
    /// Whether there was no room: on the disk, in a quota, or below the largest file size allowed.
    package var isNoSpace: Bool { [ENOSPC, EDQUOT, EFBIG].contains(errorNumber) }

    /// Whether another process has the file.
    package var isInUse: Bool { operation == .lock && errorNumber == EWOULDBLOCK }

    /// Whether the file system takes no changes at all.
    package var isReadOnlyVolume: Bool { errorNumber == EROFS }

    /// Whether the path names something other than a regular file.
    package var isNoFile: Bool { [EINVAL, ENXIO, ELOOP].contains(errorNumber) }

    /// Whether the read would have had to wait for the disk.
    package var isWouldBlock: Bool { errorNumber == EAGAIN }

    package static func wouldBlock(_ path: String) -> FileFailure {
        FileFailure(.read, path, errorNumber: EAGAIN)
    }

    /// Whether the bytes are on another machine, for which the reader may not wait.
    package var isWouldFetch: Bool { errorNumber == EINPROGRESS }

    package static func wouldFetch(_ path: String) -> FileFailure {
        FileFailure(.read, path, errorNumber: EINPROGRESS)
    }

    /// An archive that cannot be reached.
    package static func archiveUnreachable(_ object: String, _ detail: String) -> FileFailure {
        FileFailure(.read, object, errorNumber: EHOSTUNREACH, detail)
    }

    package var isArchiveUnreachable: Bool { errorNumber == EHOSTUNREACH }

    /// No copy has the bytes that were archived.
    package static func archiveDamaged(_ object: String, _ detail: String) -> FileFailure {
        FileFailure(.read, object, errorNumber: EREMOTEIO, detail)
    }

    package var isArchiveDamaged: Bool { errorNumber == EREMOTEIO }

    /// Whether the file is missing, or something else is in its place.
    package var isOutOfPlace: Bool {
        [ENOENT, ENOTDIR, EISDIR, ELOOP, EINVAL, ENXIO].contains(errorNumber)
    }

    /// Whether the disk failed to return data that should be there.
    package var isInputOutput: Bool { errorNumber == EIO }

    package var isMissing: Bool { errorNumber == ENOENT }

    /// Whether a file is where the path needs a folder.
    package var isNoFolder: Bool { errorNumber == ENOTDIR }

    /// Whether a path no longer leads to the file or folder that was opened.
    package var isMoved: Bool { errorNumber == Self.movedNumber }

    package var isNotPermitted: Bool { errorNumber == EACCES || errorNumber == EPERM }

    package static let noSpaceNumber = ENOSPC
    package static let tooLargeNumber = EFBIG
    package static let inputOutputNumber = EIO
    package static let missingNumber = ENOENT
    package static let existsNumber = EEXIST
    package static let readOnlyNumber = EROFS
    package static let inUseNumber = EWOULDBLOCK
    /// A path no longer leads to the file or folder that was opened.
    package static let movedNumber = ESTALE
}

/// The system's message for an errno.
package func errorName(_ number: Int32) -> String {
    // Safety: strerror's result is valid until this thread's next call; it is copied at once.
    unsafe String(cString: strerror(number))
}
