/// The one seam between the ledger and its files: a folder, addressed by paths relative to it.
///
/// There are two: `PosixVolume`, and in the tests one in memory that loses, tears and reorders what
/// was not synced. Every call may be made from any thread; one file has one writer.
package protocol Volume: Sendable {
    func open(_ path: String, _ access: FileAccess) throws(FileFailure) -> any VolumeFile
    /// Names in a folder, in no order. Empty for a folder that is not there.
    func list(_ folder: String) throws(FileFailure) -> [String]
    func makeFolder(_ path: String) throws(FileFailure)
    /// Replaces what stands at `new`. Durable after `syncFolder`.
    func rename(_ old: String, to new: String) throws(FileFailure)
    func remove(_ path: String) throws(FileFailure)
    /// Makes the names in a folder durable; "" is the ledger's own.
    func syncFolder(_ folder: String) throws(FileFailure)
}

package enum FileAccess: Hashable, Sendable {
    case read
    /// Read and write what is there.
    case update
    /// Make a file, which must not be there, with these permissions, for reading and writing.
    case create(mode: UInt32 = 0o640)
}

package protocol VolumeFile: AnyObject, Sendable {
    var path: String { get }

    func size() throws(FileFailure) -> Int

    /// Who may do what with it, as in `chmod`.
    func permissions() throws(FileFailure) -> UInt32

    /// Fills `range` of the buffer from `offset` on. Returns how many bytes came: less only where
    /// the file ends.
    func read(
        into buffer: inout [UInt8], _ range: Range<Int>, at offset: Int
    ) throws(FileFailure) -> Int

    /// The same where that waits for no disk: less also where the rest would, nil where all would.
    func readCached(
        into buffer: inout [UInt8], _ range: Range<Int>, at offset: Int
    ) throws(FileFailure) -> Int?

    /// Writes all of `bytes`, or throws. After a failure any part of them may be there.
    func write(_ bytes: Span<UInt8>, at offset: Int) throws(FileFailure)

    /// Makes the file `size` bytes of zeros whose room on the disk is taken.
    func allocate(_ size: Int) throws(FileFailure)

    func truncate(to size: Int) throws(FileFailure)

    /// Content and size become durable. After a failure nothing is known of what was written.
    func syncData() throws(FileFailure)

    /// Content and all of the file's metadata become durable.
    func sync() throws(FileFailure)

    /// Forgets clean cached pages, so that the next read sees what the disk holds.
    func dropCache() throws(FileFailure)
}

/// Whether a reader may wait for the disk.
package enum ReadAccess: Hashable, Sendable {
    case blocking
    /// What is not in memory is a failure that `isWouldBlock`.
    case cachedOnly
}

extension VolumeFile {
    package func read(
        into buffer: inout [UInt8], _ range: Range<Int>, at offset: Int, _ access: ReadAccess
    ) throws(FileFailure) -> Int {
        try read(into: &buffer, range, atLeast: range.count, at: offset, access)
    }

    /// The same where more than `wanted` bytes are only welcome.
    package func read(
        into buffer: inout [UInt8], _ range: Range<Int>, atLeast wanted: Int, at offset: Int,
        _ access: ReadAccess
    ) throws(FileFailure) -> Int {
        guard access == .cachedOnly else { return try read(into: &buffer, range, at: offset) }
        // Where the file ends is found out by who may wait.
        guard let count = try readCached(into: &buffer, range, at: offset), count >= wanted else {
            throw .wouldBlock(path)
        }
        return count
    }
}

/// A system call that failed.
package struct FileFailure: Error, Hashable, Sendable, CustomStringConvertible {
    package var operation: Operation
    package var path: String
    package var errorNumber: Int32

    package init(_ operation: Operation, _ path: String, errorNumber: Int32) {
        self.operation = operation
        self.path = path
        self.errorNumber = errorNumber
    }

    package enum Operation: String, Sendable {
        case open, create, list, size, read, write, allocate, truncate, sync, rename, remove
        case makeFolder = "make folder"
        case lock
    }

    package var description: String {
        "could not \(operation.rawValue) \(path): \(errorName(errorNumber))"
    }
}

extension Volume {
    /// The whole content of a small file.
    package func content(of path: String) throws(FileFailure) -> [UInt8] {
        let file = try open(path, .read)
        var content = [UInt8](repeating: 0, count: try file.size())
        let count = try file.read(into: &content, 0..<content.count, at: 0)
        return Array(content.prefix(count))
    }

    /// Puts a small file in place so that a crash leaves the old content or the new, and the new
    /// is durable on return.
    package func replace(_ path: String, with content: [UInt8]) throws(FileFailure) {
        try writeBeside(path, content, isDurable: true)
        try syncFolder(path.folder)
    }

    /// The same for a file that can be made again: whole or not at all, but not synced.
    package func replaceDerived(_ path: String, with content: [UInt8]) throws(FileFailure) {
        try writeBeside(path, content, isDurable: false)
    }

    private func writeBeside(
        _ path: String, _ content: [UInt8], isDurable: Bool
    ) throws(FileFailure) {
        let beside = path + ".tmp"
        if try list(path.folder).contains(beside.lastName) { try remove(beside) }
        let file = try open(beside, .create())
        try file.write(content.span, at: 0)
        if isDurable { try file.sync() }
        try rename(beside, to: path)
    }
}

extension String {
    /// The folder of a path that a person gave: "." or "/" where it names none.
    package var givenFolder: String {
        guard let slash = lastIndex(of: "/") else { return "." }
        return slash == startIndex ? "/" : String(self[..<slash])
    }

    /// The path up to its last slash; "" where there is none.
    package var folder: String {
        lastIndex(of: "/").map { String(self[..<$0]) } ?? ""
    }

    package var lastName: String {
        lastIndex(of: "/").map { String(self[index(after: $0)...]) } ?? self
    }
}
