package import LedgerFormat
package import Platform
internal import Synchronization

/// The Merkle tree over all entries, stored as one file for each level of tiles (C2SP tlog-tiles).
/// A file holds hashes from left to right without gaps, so a tile is a range of bytes. Derived from
/// the segments.
///
/// Any thread may read; only `TreeWriter` appends. Callers ask only for hashes below a size that
/// the writer has reported.
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

    /// The root of a perfect subtree, computed from at most 128 hashes of the nearest level of
    /// tiles.
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

    /// The hash over a range of leaves, in the form that proofs contain.
    package func hash(_ leaves: Range<UInt64>) throws(FileFailure) -> Digest {
        var hashes: [Digest] = []
        for subtree in Merkle.subtrees(leaves) { hashes.append(try hash(subtree)) }
        return Merkle.hash(of: hashes)
    }

    /// Roots of the subtrees that together cover a ledger. Also reads the last hash of each level,
    /// so a truncated level is noticed.
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

    /// Drops the open files. The next read opens them again.
    func forget() { files.withLock { $0.removeAll() } }
}
