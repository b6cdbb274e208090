internal import LedgerFormat
internal import LedgerStorage
internal import Platform

/// Compares the tree's files, as far as they are durable, with the hashes computed from the
/// entries. The first difference is enough, because the files are derived.
struct TreeComparison: ~Copyable {
    private let files: TreeFiles
    private let size: LedgerSize
    /// Leaves read ahead, starting at `bufferStart`.
    private var buffer: [UInt8] = []
    private var bufferStart: UInt64 = 0
    private(set) var finding: Finding?

    init(_ files: TreeFiles, _ size: LedgerSize) { (self.files, self.size) = (files, size) }

    mutating func compareLeaf(_ position: Position, _ hash: Digest) {
        guard finding == nil, size.contains(position) else { return }
        let place = position.value
        let count = UInt64(buffer.count / Digest.byteCount)
        if place < bufferStart || place >= bufferStart + count {
            guard let read = read(0, place..<min(place + UInt64(Tile.width), size.entries)) else {
                return
            }
            (buffer, bufferStart) = (read, place)
        }
        let found = Digest(buffer.span, at: Int(place - bufferStart) * Digest.byteCount)
        if found != hash { note(0, position, "has \(found.tagged), but the entry \(hash.tagged)") }
    }

    /// Compares a hash of a tile level above the leaves.
    mutating func compare(_ subtree: Merkle.Subtree, _ hash: Digest) {
        let last = (subtree.index + 1) << UInt64(subtree.level)
        guard finding == nil, last <= size.entries,
            let read = read(subtree.level / 8, subtree.index..<subtree.index + 1)
        else { return }
        let found = Digest(read.span)
        if found != hash {
            note(
                subtree.level / 8, Position(last - 1),
                "has \(found.tagged) at index \(subtree.index), but the entries yield "
                    + hash.tagged)
        }
    }

    private mutating func read(_ level: Int, _ range: Range<UInt64>) -> [UInt8]? {
        do throws(FileFailure) { return try files.hashes(level: level, range) } catch {
            note(level, Position(range.lowerBound), "cannot be read: \(error)")
            return nil
        }
    }

    private mutating func note(_ level: Int, _ position: Position, _ detail: String) {
        finding = Finding(
            .treeDisagrees, file: LedgerLayout.treeLevel(level), position: position,
            "the tree's level \(level) \(detail)")
    }
}
