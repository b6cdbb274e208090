/// Subtrees and proofs in the tree of RFC 6962 section 2.1.
extension Merkle {
    /// A perfect subtree. `index` counts the subtrees of its level from the left; level 0 holds the
    /// leaves.
    package struct Subtree: Hashable, Sendable {
        package var level: Int
        package var index: UInt64

        package init(level: Int, index: UInt64) { (self.level, self.index) = (level, index) }
    }

    /// The perfect subtrees that tile the leaves of a range, left to right. Its start must be a
    /// multiple of the largest power of two not above its length, as it is in the ranges of proofs.
    package static func subtrees(_ range: Range<UInt64>) -> [Subtree] {
        var (result, start) = ([Subtree](), range.lowerBound)
        while start < range.upperBound {
            let level = 63 - (range.upperBound - start).leadingZeroBitCount
            result.append(Subtree(level: level, index: start >> UInt64(level)))
            start += 1 << UInt64(level)
        }
        return result
    }

    /// The ranges whose hashes prove that a leaf is in the tree of this size, the leaf's sibling
    /// first (RFC 6962 section 2.1.1).
    package static func inclusionRanges(of leaf: UInt64, in size: UInt64) -> [Range<UInt64>] {
        precondition(leaf < size)
        var (ranges, within) = ([Range<UInt64>](), 0..<size)
        while within.count > 1 {
            let middle = within.split
            if leaf < middle {
                ranges.append(middle..<within.upperBound)
                within = within.lowerBound..<middle
            } else {
                ranges.append(within.lowerBound..<middle)
                within = middle..<within.upperBound
            }
        }
        return ranges.reversed()
    }

    /// The ranges whose hashes prove that the tree of size `to` extends the one of size `from` (RFC
    /// 6962 section 2.1.2). Empty if the sizes are equal or `from` is 0.
    package static func consistencyRanges(from: UInt64, to: UInt64) -> [Range<UInt64>] {
        precondition(from <= to)
        guard from > 0, from < to else { return [] }
        var (ranges, within) = ([Range<UInt64>](), 0..<to)
        while within.upperBound != from {
            let middle = within.split
            if from <= middle {
                ranges.append(middle..<within.upperBound)
                within = within.lowerBound..<middle
            } else {
                ranges.append(within.lowerBound..<middle)
                within = middle..<within.upperBound
            }
        }
        // If this range is the whole first tree, the verifier already knows its root.
        if within.lowerBound > 0 { ranges.append(within) }
        return ranges.reversed()
    }

    /// The hash of a range, computed from the hashes of the subtrees that tile it.
    package static func hash(of subtrees: [Digest]) -> Digest {
        guard var hash = subtrees.last else { return emptyRoot }
        for left in subtrees.dropLast().reversed() { hash = node(left, hash) }
        return hash
    }

    /// The root that a leaf and its path lead to; nil if the leaf is outside the tree or the path
    /// has the wrong length (RFC 9162 section 2.1.3.2).
    package static func root(
        from leaf: Digest, at index: UInt64, in size: UInt64, _ path: [Digest]
    ) -> Digest? {
        guard index < size else { return nil }
        var (fn, sn, hash) = (index, size - 1, leaf)
        for sibling in path {
            guard sn > 0 else { return nil }
            if fn & 1 == 1 || fn == sn {
                hash = node(sibling, hash)
                while fn & 1 == 0, fn != 0 { (fn, sn) = (fn >> 1, sn >> 1) }
            } else {
                hash = node(hash, sibling)
            }
            (fn, sn) = (fn >> 1, sn >> 1)
        }
        return sn == 0 ? hash : nil
    }

    /// Whether the hashes prove that a tree extends an earlier one (RFC 9162 section 2.1.4.2).
    package static func isConsistent(
        from: UInt64, _ fromRoot: Digest, to: UInt64, _ toRoot: Digest, _ hashes: [Digest]
    ) -> Bool {
        guard from <= to else { return false }
        if from == to { return hashes.isEmpty && fromRoot == toRoot }
        if from == 0 { return hashes.isEmpty && fromRoot == emptyRoot }
        // A perfect earlier tree is a node of the later one, so the proof omits its known root.
        var path = hashes[...]
        if from & (from - 1) == 0 { path = [fromRoot] + path }
        guard let first = path.popFirst() else { return false }
        var (fn, sn) = (from - 1, to - 1)
        while fn & 1 == 1 { (fn, sn) = (fn >> 1, sn >> 1) }
        var (old, new) = (first, first)
        for hash in path {
            guard sn > 0 else { return false }
            if fn & 1 == 1 || fn == sn {
                (old, new) = (node(hash, old), node(hash, new))
                while fn & 1 == 0, fn != 0 { (fn, sn) = (fn >> 1, sn >> 1) }
            } else {
                new = node(new, hash)
            }
            (fn, sn) = (fn >> 1, sn >> 1)
        }
        return sn == 0 && old == fromRoot && new == toRoot
    }
}

extension Range<UInt64> {
    /// Where RFC 6962 splits a tree over these leaves: the left part has as many leaves as the
    /// largest power of two below the tree's size.
    fileprivate var split: UInt64 {
        let size = upperBound - lowerBound
        return lowerBound + 1 << UInt64(63 - (size - 1).leadingZeroBitCount)
    }
}
