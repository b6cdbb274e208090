/// Merkle tree hashing of RFC 6962 section 2.1 with SHA-256.
package enum Merkle {
    /// SHA-256(0x00 ‖ entry): the entry hash, both the link of the chain and the leaf of the tree.
    package static func leaf(_ entry: Span<UInt8>) -> Digest {
        var hasher = SHA256Hasher()
        hasher.update(0x00)
        hasher.update(entry)
        return hasher.finish()
    }

    /// SHA-256(0x01 ‖ left ‖ right).
    package static func node(_ left: Digest, _ right: Digest) -> Digest {
        var hasher = SHA256Hasher()
        hasher.update(0x01)
        hasher.update(left)
        hasher.update(right)
        return hasher.finish()
    }

    /// The root of the empty tree: SHA-256 of no bytes.
    package static let emptyRoot = Digest.sha256([])
}

/// The state needed to continue hashing a run of leaves: the roots of the largest perfect subtrees
/// that tile it, left to right. At most two per level, so under 4 KiB for any ledger.
///
/// Adjacent runs can be joined, so parts of a ledger can be hashed in parallel.
package struct CompactRange: Hashable, Sendable {
    private struct Subtree: Hashable, Sendable {
        var level: UInt8
        /// Its place among the subtrees of its level.
        var index: UInt64
        var root: Digest
    }

    private var subtrees: [Subtree] = []
    private let start: Position
    /// The position after the last leaf.
    package private(set) var end: Position

    package init(from start: Position = Position(0)) {
        self.start = start
        end = start
    }

    /// Continues from a tree stored elsewhere. `roots` are the roots of the `Merkle.subtrees` that
    /// tile its leaves.
    package init(size: LedgerSize, roots: [Digest]) {
        start = Position(0)
        end = size.nextPosition
        for (place, root) in zip(Merkle.subtrees(0..<size.entries), roots) {
            subtrees.append(Subtree(level: UInt8(place.level), index: place.index, root: root))
        }
    }

    /// Adds the next leaf, at an amortised cost of one node hash. `completed` is called for each
    /// newly known hash on a tile level above the leaves.
    package mutating func append(
        _ leaf: Digest, completed: (Merkle.Subtree, Digest) -> Void = { _, _ in }
    ) {
        push(Subtree(level: 0, index: end.value, root: leaf), completed)
        end = end.next
    }

    /// Adds a run that begins where this one ends. `completed` is called for each hash on a tile
    /// level that neither run had.
    package mutating func append(
        _ run: CompactRange, completed: (Merkle.Subtree, Digest) -> Void = { _, _ in }
    ) {
        precondition(run.start == end, "the runs are not adjacent")
        for subtree in run.subtrees { push(subtree, completed) }
        end = run.end
    }

    private mutating func push(
        _ subtree: Subtree, _ completed: (Merkle.Subtree, Digest) -> Void
    ) {
        var subtree = subtree
        while let left = subtrees.last, left.level == subtree.level, left.index.isMultiple(of: 2) {
            subtrees.removeLast()
            subtree = Subtree(
                level: left.level + 1, index: left.index / 2,
                root: Merkle.node(left.root, subtree.root))
            if subtree.level.isMultiple(of: 8) {
                completed(
                    Merkle.Subtree(level: Int(subtree.level), index: subtree.index), subtree.root)
            }
        }
        subtrees.append(subtree)
    }

    /// The root of the tree over all leaves. The run must begin at position 0.
    package var root: Digest {
        precondition(start == Position(0), "only a run from position 0 has the ledger's root")
        guard var root = subtrees.last?.root else { return Merkle.emptyRoot }
        for subtree in subtrees.dropLast().reversed() { root = Merkle.node(subtree.root, root) }
        return root
    }
}
