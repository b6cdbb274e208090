package import LedgerFormat
internal import Synchronization

/// The Merkle tree over all entries as files, one for each level of tiles: hashes from the left
/// without gaps, so that a tile is a range of bytes (C2SP tlog-tiles). Derived from the segments.
///
/// Any thread reads; `TreeWriter` alone appends. A hash is asked for only below a size that the
/// writer has told.
package final class TreeFiles: Sendable {
    private let volume: any Volume
    private let files = Mutex<[Int: any VolumeFile]>([:])

    package init(_ volume: any Volume) { self.volume = volume }

    /// Hashes of a level of tiles, 32 bytes each.
    package func hashes(level: Int, _ range: Range<UInt64>) throws(FileFailure) -> [UInt8] {
        let file = try file(level)
        var bytes = [UInt8](repeating: 0, count: range.count * Digest.byteCount)
        let count = try file.read(
            into: &bytes, 0..<bytes.count, at: Int(range.lowerBound) * Digest.byteCount)
        guard count == bytes.count else {
            throw FileFailure(.read, file.path, errorNumber: FileFailure.inputOutputNumber)
        }
        return bytes
    }

    /// The root of a perfect subtree: of at most 128 hashes of the level of tiles below it.
    package func hash(_ subtree: Merkle.Subtree) throws(FileFailure) -> Digest {
        let (tileLevel, height) = (subtree.level / 8, subtree.level % 8)
        let first = subtree.index << UInt64(height)
        let bytes = try hashes(level: tileLevel, first..<first + 1 << UInt64(height))
        var row = (0..<1 << height).map { Digest(bytes.span, at: $0 * Digest.byteCount) }
        while row.count > 1 {
            row = (0..<row.count / 2).map { Merkle.node(row[2 * $0], row[2 * $0 + 1]) }
        }
        return row[0]
    }

    /// The hash over the leaves of a range, as it stands in proofs.
    package func hash(_ leaves: Range<UInt64>) throws(FileFailure) -> Digest {
        var hashes: [Digest] = []
        for subtree in Merkle.subtrees(leaves) { hashes.append(try hash(subtree)) }
        return Merkle.hash(of: hashes)
    }

    /// Roots of the subtrees that tile a ledger. Reads the last hash of each level, so that a level
    /// that was cut shows.
    func subtreeRoots(_ size: LedgerSize) throws(FileFailure) -> [Digest] {
        for level in Tile.levels {
            let count = Tile.countOfLevel(.hashes(level: level), size)
            if count > 0 { _ = try hashes(level: level, count - 1..<count) }
        }
        var roots: [Digest] = []
        for subtree in Merkle.subtrees(0..<size.entries) { roots.append(try hash(subtree)) }
        return roots
    }

    package func hashes(_ ranges: [Range<UInt64>]) throws(FileFailure) -> [Digest] {
        var result: [Digest] = []
        for range in ranges { result.append(try hash(range)) }
        return result
    }

    private func file(_ level: Int) throws(FileFailure) -> any VolumeFile {
        if let known = files.withLock({ $0[level] }) { return known }
        let file = try volume.open(LedgerLayout.treeLevel(level), .read)
        files.withLock { $0[level] = file }
        return file
    }

    /// Opens the files anew next time.
    func forget() { files.withLock { $0.removeAll() } }
}

/// How far the levels' files can be relied on: a line with the size and its CRC-32C. A crash may
/// leave anything behind that.
package struct TreeState: Hashable, Sendable {
    package var size: LedgerSize

    package init(size: LedgerSize) { self.size = size }

    /// Nil where a byte is not as it was written.
    package init?(fileContent: [UInt8]) {
        let digits = fileContent.prefix { $0 != 0x20 }
        guard let size = UInt64(canonical: digits) else { return nil }
        self.size = LedgerSize(size)
        guard self.fileContent == fileContent else { return nil }
    }

    package var fileContent: [UInt8] {
        let text = Array("\(size)".utf8)
        return text + Array(" \(CRC32C().continued(over: text.span).hex)\n".utf8)
    }

    /// What a ledger's files say; empty where they say nothing.
    package static func read(_ volume: any Volume) throws(FileFailure) -> TreeState {
        do throws(FileFailure) {
            return TreeState(fileContent: try volume.content(of: LedgerLayout.treeState))
                ?? TreeState(size: .empty)
        } catch {
            guard error.isMissing else { throw error }
            return TreeState(size: .empty)
        }
    }
}

/// Extends the tree behind the ledger. One thread.
///
/// Invariants:
///  1. The files hold every hash below `range.end`; `syncedSize` of them are durable.
///  2. What a failed append wrote lies behind `range.end` and is written again.
package struct TreeWriter: ~Copyable {
    package let files: TreeFiles
    private let volume: any Volume
    private var written: [Int: any VolumeFile] = [:]
    /// The tree over all entries so far.
    package private(set) var range: CompactRange
    private var syncedSize: LedgerSize
    /// What stands in the folder is not this tree.
    private var isToBeCleared: Bool

    /// Takes up the tree as far as it was made durable, but no further than `signed`, where its root
    /// can be checked: what lies behind is read from the entries. Begins anew where anything of it
    /// cannot be read, and where `entryHash`, of a position, tells that it is another ledger's.
    package static func open(
        _ volume: any Volume, upTo signed: LedgerSize,
        entryHash: (Position) throws(FileFailure) -> Digest?
    ) throws(FileFailure) -> TreeWriter {
        let files = TreeFiles(volume)
        guard let size = try? min(TreeState.read(volume).size, signed), size > .empty else {
            return TreeWriter(volume, files, nil)
        }
        let last = Position(size.entries - 1)
        let expected = try entryHash(last)
        guard let leaf = try? files.hash(Merkle.Subtree(level: 0, index: last.value)),
            leaf == expected, let roots = try? files.subtreeRoots(size)
        else { return TreeWriter(volume, files, nil) }
        return TreeWriter(volume, files, CompactRange(size: size, roots: roots))
    }

    private init(_ volume: any Volume, _ files: TreeFiles, _ range: CompactRange?) {
        (self.volume, self.files) = (volume, files)
        self.range = range ?? CompactRange()
        syncedSize = LedgerSize(range?.end.value ?? 0)
        isToBeCleared = range == nil
    }

    package var size: LedgerSize { LedgerSize(range.end.value) }

    /// Begins anew. What stands in the folder is removed when the first hash is written.
    package mutating func reset() {
        files.forget()
        (range, syncedSize, written, isToBeCleared) = (CompactRange(), .empty, [:], true)
    }

    /// Makes room for a new tree. What cannot be removed, such as a folder in a file's place, is set
    /// aside.
    private mutating func clear() throws(FileFailure) {
        let folder = LedgerLayout.tree
        do throws(FileFailure) {
            for name in try volume.list(folder) { try volume.remove("\(folder)/\(name)") }
        } catch {
            let names = try volume.list("")
            let number = (1...).first { !names.contains("\(folder)-aside-\($0)") }!
            try volume.rename(folder, to: "\(folder)-aside-\(number)")
        }
        if try !volume.list("").contains(folder) { try volume.makeFolder(folder) }
        files.forget()
        isToBeCleared = false
    }

    /// The file of a level, made where it is missing.
    private mutating func file(_ level: Int) throws(FileFailure) -> any VolumeFile {
        if isToBeCleared { try clear() }
        if let known = written[level] { return known }
        let (path, names) = (LedgerLayout.treeLevel(level), try volume.list(LedgerLayout.tree))
        let file = try volume.open(path, names.contains(path.lastName) ? .update : .create())
        written[level] = file
        return file
    }

    /// Adds the next entries' hashes. They can be read on return, but are not durable.
    package mutating func append(_ hashes: some Collection<Digest>) throws(FileFailure) {
        var (after, rows) = (range, [Int: [UInt8]]())
        var leaves: [UInt8] = []
        leaves.reserveCapacity(hashes.count * Digest.byteCount)
        for hash in hashes {
            leaves += hash.bytes
            after.append(hash) { place, root in rows[place.level / 8, default: []] += root.bytes }
        }
        rows[0] = leaves
        for (level, bytes) in rows {
            let count = Tile.countOfLevel(.hashes(level: level), size)
            try file(level).write(bytes.span, at: Int(count) * Digest.byteCount)
        }
        range = after
    }

    /// Makes it durable where enough has come since the last time, or `atOnce`.
    package mutating func sync(atOnce: Bool = false) throws(FileFailure) {
        let due = atOnce ? 1 : StorageLimits.treeSyncEntries
        guard size.entries - syncedSize.entries >= due else { return }
        for level in Tile.levels where Tile.countOfLevel(.hashes(level: level), size) > 0 {
            try file(level).syncData()
        }
        let state = TreeState(size: size)
        try volume.replaceDerived(LedgerLayout.treeState, with: state.fileContent)
        syncedSize = size
    }
}
