package import LedgerFormat
package import Platform
internal import Synchronization

/// Extends the tree as the ledger grows. Used by one thread.
///
/// Invariants:
///  1. The files hold every hash below `range.end`. Those below `syncedSize` are durable.
///  2. A failed append leaves bytes only beyond `range.end`. The next append overwrites them.
package struct TreeWriter: ~Copyable {
    package let files: TreeFiles
    private let volume: any Volume
    private var written: [Int: any VolumeFile] = [:]
    /// The tree over all entries so far.
    package private(set) var range: CompactRange
    private var syncedSize: LedgerSize
    /// The folder contains something other than this tree.
    private var isToBeCleared: Bool
    /// A level's name is not yet durable.
    private var hasNewNames = false

    /// Resumes the tree as far as it is durable, but no further than `signed`, where its root can
    /// be checked. The rest is read from the entries. Starts over if any of it cannot be read, or
    /// if its last leaf is not the `entryHash` at that position: then it is another ledger's tree.
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

    /// Starts over. The folder's contents are removed when the first hash is written.
    package mutating func reset() {
        files.forget()
        (range, syncedSize, written, isToBeCleared) = (CompactRange(), .empty, [:], true)
    }

    /// Clears the folder for a new tree. If something cannot be removed, such as a folder in a
    /// file's place, the whole folder is set aside. Nothing is synced: a crash may leave parts of
    /// the old tree, and opening checks the last leaf and the signed root before it relies on them.
    private mutating func clear() throws(FileFailure) {
        let folder = LedgerLayout.tree
        do throws(FileFailure) {
            for name in try volume.list(folder) { try volume.remove("\(folder)/\(name)") }
        } catch {
            let names = try volume.list("")
            let number = (1...).first { !names.contains("\(folder)-aside-\($0)") }!
            try volume.rename(folder, to: "\(folder)-aside-\(number)")
        }
        if try !volume.list("").contains(folder) {
            try volume.makeFolder(folder)
            try volume.syncFolder("")
        }
        files.forget()
        isToBeCleared = false
    }

    /// The file of a level, created if it is missing, and never one that a copy by hard links
    /// shares. Its name is durable after the next sync: if a crash loses it before, opening starts
    /// the tree over.
    private mutating func file(_ level: Int) throws(FileFailure) -> any VolumeFile {
        if isToBeCleared { try clear() }
        if let known = written[level], try known.linkCount() <= 1 { return known }
        let (path, names) = (LedgerLayout.treeLevel(level), try volume.list(LedgerLayout.tree))
        let file: any VolumeFile
        if names.contains(path.lastName) {
            file = try volume.openUnshared(path)
            files.forget()
        } else {
            file = try volume.open(path, .create())
            hasNewNames = true
        }
        written[level] = file
        return file
    }

    /// Adds the next entries' hashes. On return they can be read but are not durable. A crash
    /// leaves them beyond the size in `tree/complete`, where opening ignores them.
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

    /// Makes the tree durable if it has grown enough since the last sync, or if `atOnce`.
    package mutating func sync(atOnce: Bool = false) throws(FileFailure) {
        let due = atOnce ? 1 : StorageLimits.treeSyncEntries
        guard size.entries - syncedSize.entries >= due else { return }
        // The levels come first: a crash before the state is replaced leaves the old, smaller size,
        // which still holds.
        for level in Tile.levels where Tile.countOfLevel(.hashes(level: level), size) > 0 {
            try file(level).syncData()
        }
        if hasNewNames {
            // A state that outlived the names of its levels would look like a damaged tree.
            try volume.syncFolder(LedgerLayout.tree)
            hasNewNames = false
        }
        let state = TreeState(size: size)
        // Not synced: a crash may leave the old state or a damaged one. Then opening reads more of
        // the tree from the entries.
        try volume.replaceDerived(LedgerLayout.treeState, with: state.fileContent)
        syncedSize = size
    }
}
