/// The only interface between the ledger and its files: a folder, addressed by relative paths.
///
/// There are two implementations: `PosixVolume`, and an in-memory one for tests that loses, tears
/// and reorders unsynced writes. Any thread may make any call, but each file has only one writer.
package protocol Volume: Sendable {
    func open(_ path: String, _ access: FileAccess) throws(FileFailure) -> any VolumeFile
    /// Names in a folder, in no particular order. Empty if the folder does not exist.
    func list(_ folder: String) throws(FileFailure) -> [String]
    func makeFolder(_ path: String) throws(FileFailure)
    /// Replaces any file at `new`. Durable after `syncFolder`; a crash before that may undo it.
    func rename(_ old: String, to new: String) throws(FileFailure)
    /// The same, but fails with EEXIST if there is a file at `new`.
    func renameNew(_ old: String, to new: String) throws(FileFailure)
    func remove(_ path: String) throws(FileFailure)
    /// Fails if the folder's path no longer leads to the folder that was opened. Whatever is opened
    /// or replaced by its path would then be another ledger's.
    func requireInPlace() throws(FileFailure)
    /// Makes the names in a folder durable; "" is the ledger's own folder.
    func syncFolder(_ folder: String) throws(FileFailure)
}

package enum FileAccess: Hashable, Sendable {
    case read
    /// Read and write an existing file.
    case update
    /// Create a file that must not exist yet, with these permissions, for reading and writing.
    case create(mode: UInt32 = 0o600)
}

package protocol VolumeFile: AnyObject, Sendable {
    var path: String { get }

    func size() throws(FileFailure) -> Int

    /// The permission bits, as in `chmod`.
    func permissions() throws(FileFailure) -> UInt32

    /// Whether only this process's user, and root, may read or write the file, access control lists
    /// included.
    func isPrivate() throws(FileFailure) -> Bool

    /// Names of the file: more than one if a copy by hard links shares it.
    func linkCount() throws(FileFailure) -> Int

    /// Takes the file for this process as long as it is open. Fails with `isInUse` if another
    /// process has it under whatever name.
    func lock() throws(FileFailure)

    /// Fills `range` of the buffer with the bytes from `offset` on. Returns the number of bytes
    /// read, which is smaller than the range only if the file ends.
    func read(
        into buffer: inout [UInt8], _ range: Range<Int>, at offset: Int
    ) throws(FileFailure) -> Int

    /// The same without waiting for the disk. Returns fewer bytes also if the rest would have to
    /// wait, and nil if all would.
    func readCached(
        into buffer: inout [UInt8], _ range: Range<Int>, at offset: Int
    ) throws(FileFailure) -> Int?

    /// The same without waiting for another machine. Returns fewer bytes also if the rest is
    /// elsewhere; fails with `isWouldFetch` if fewer than `wanted` are here.
    func readLocal(
        into buffer: inout [UInt8], _ range: Range<Int>, atLeast wanted: Int, at offset: Int
    ) throws(FileFailure) -> Int

    /// Writes all of `bytes`, or throws. After a failure any part of them may have been written.
    func write(_ bytes: Span<UInt8>, at offset: Int) throws(FileFailure)

    /// Fills the file with `size` bytes of zeros and allocates their disk space.
    func allocate(_ size: Int) throws(FileFailure)

    func truncate(to size: Int) throws(FileFailure)

    /// Makes content and size durable. After a failure it is unknown what reached the disk.
    func syncData() throws(FileFailure)

    /// Makes the content and all of the file's metadata durable.
    func sync() throws(FileFailure)

    /// Forgets clean cached pages, so that the next read sees what the disk holds.
    func dropCache() throws(FileFailure)
}

/// Whether a reader may wait for the disk.
package enum ReadAccess: Hashable, Sendable {
    /// It may wait for the disk, and for other machines that have the bytes.
    case fetching
    /// It may wait for the disk. A read of bytes that are elsewhere fails with `isWouldFetch`.
    case blocking
    /// A read of data that is not in memory fails with `isWouldBlock`.
    case cachedOnly
}

extension VolumeFile {
    package func read(
        into buffer: inout [UInt8], _ range: Range<Int>, at offset: Int, _ access: ReadAccess
    ) throws(FileFailure) -> Int {
        try read(into: &buffer, range, atLeast: range.count, at: offset, access)
    }

    /// The same, but `wanted` bytes are enough.
    package func read(
        into buffer: inout [UInt8], _ range: Range<Int>, atLeast wanted: Int, at offset: Int,
        _ access: ReadAccess
    ) throws(FileFailure) -> Int {
        switch access {
        case .fetching: return try read(into: &buffer, range, at: offset)
        case .blocking:
            return try readLocal(into: &buffer, range, atLeast: wanted, at: offset)
        case .cachedOnly: break
        }
        // A short read may mean the end of the file. Only a reader that may wait finds out.
        guard let count = try readCached(into: &buffer, range, at: offset), count >= wanted else {
            throw .wouldBlock(path)
        }
        return count
    }
}

extension VolumeFile {
    /// Every byte is here.
    package func readLocal(
        into buffer: inout [UInt8], _ range: Range<Int>, atLeast wanted: Int, at offset: Int
    ) throws(FileFailure) -> Int { try read(into: &buffer, range, at: offset) }
}

/// A system call that failed.
package struct FileFailure: Error, Hashable, Sendable, CustomStringConvertible {
    package var operation: Operation
    package var path: String
    package var errorNumber: Int32
    /// What is known beside the number, of a file that is not on this machine's disk.
    package var detail: String?

    package init(
        _ operation: Operation, _ path: String, errorNumber: Int32, _ detail: String? = nil
    ) {
        (self.operation, self.path) = (operation, path)
        (self.errorNumber, self.detail) = (errorNumber, detail)
    }

    package enum Operation: String, Sendable {
        case open, create, list, size, read, write, allocate, truncate, sync, rename, remove
        case makeFolder = "make folder"
        case lock
    }

    package var description: String {
        if errorNumber == Self.movedNumber {
            return "\(path) is no longer what this process opened: it was moved or removed"
        }
        return "could not \(operation.rawValue) \(path): \(detail ?? errorName(errorNumber))"
    }
}

extension Volume {
    /// The whole content of a small file. A longer one is cut, and so is not what was written.
    package func content(
        of path: String, atMost limit: Int = PlatformLimits.smallFileBytes
    ) throws(FileFailure) -> [UInt8] {
        let file = try open(path, .read)
        var content = [UInt8](repeating: 0, count: min(try file.size(), limit))
        let count = try file.read(into: &content, 0..<content.count, at: 0)
        return Array(content.prefix(count))
    }

    /// Replaces a small file atomically: a crash leaves the old content or the new. On return the
    /// new content is durable.
    package func replace(_ path: String, with content: [UInt8]) throws(FileFailure) {
        try writeBeside(path, content, isDurable: true)
        // A crash before this completes may bring back the old content, which is still whole.
        try syncFolder(path.folder)
    }

    /// The same for a file that can be rebuilt: readers see the old file or the new one, but
    /// nothing is synced. A power cut may leave the new name with any part of its bytes, so whoever
    /// reads it afterwards must detect that.
    package func replaceDerived(_ path: String, with content: [UInt8]) throws(FileFailure) {
        try writeBeside(path, content, isDurable: false)
    }

    private func writeBeside(
        _ path: String, _ content: [UInt8], isDurable: Bool
    ) throws(FileFailure) {
        // Up to the rename a crash leaves `path` unchanged, and a `.tmp` file that the next write
        // removes.
        let beside = path + ".tmp"
        if try list(path.folder).contains(beside.lastName) { try remove(beside) }
        let file = try open(beside, .create())
        try file.write(content.span, at: 0)
        // The bytes must be durable before the name: a crash after the rename would otherwise leave
        // an empty or partial file at `path`.
        if isDurable { try file.sync() }
        try rename(beside, to: path)
    }
}

extension Volume {
    /// Gives a file that only grows an inode of its own, if a copy by hard links shares it, and
    /// opens it. Durable on return. A crash leaves the shared file, or its copy, under the name.
    package func openUnshared(_ path: String) throws(FileFailure) -> any VolumeFile {
        let shared = try open(path, .update)
        guard try shared.linkCount() > 1 else { return shared }
        let beside = path + ".tmp"
        if try list(path.folder).contains(beside.lastName) { try remove(beside) }
        let file = try open(beside, .create())
        var chunk = [UInt8](repeating: 0, count: 1 << 20)
        var offset = 0
        while true {
            let count = try shared.read(into: &chunk, 0..<chunk.count, at: offset)
            if count == 0 { break }
            try file.write(chunk.span.extracting(0..<count), at: offset)
            offset += count
        }
        try file.sync()
        try rename(beside, to: path)
        try syncFolder(path.folder)
        return file
    }
}

extension String {
    /// The folder of a path that a person entered: "." or "/" if the path names none.
    package var givenFolder: String {
        guard let slash = lastIndex(of: "/") else { return "." }
        return slash == startIndex ? "/" : String(self[..<slash])
    }

    /// The path up to its last slash; "" if there is none.
    package var folder: String {
        lastIndex(of: "/").map { String(self[..<$0]) } ?? ""
    }

    package var lastName: String {
        lastIndex(of: "/").map { String(self[index(after: $0)...]) } ?? self
    }
}
