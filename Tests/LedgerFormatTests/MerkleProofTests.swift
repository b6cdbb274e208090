import LedgerFormat
import TestSupport
import Testing

/// Proofs between all sizes of small trees, against the definitions in RFC 6962.
@Suite struct MerkleProofTests {
    private static let leaves = (0..<70).map { Merkle.leaf([UInt8($0)].span) }

    /// The root by the definition, without any cleverness.
    private static func root(_ leaves: ArraySlice<Digest>) -> Digest {
        if leaves.count <= 1 { return leaves.first ?? Merkle.emptyRoot }
        var split = 1
        while split * 2 < leaves.count { split *= 2 }
        return Merkle.node(root(leaves.prefix(split)), root(leaves.dropFirst(split)))
    }

    private static func hashes(_ ranges: [Range<UInt64>]) -> [Digest] {
        ranges.map { root(leaves[Int($0.lowerBound)..<Int($0.upperBound)]) }
    }

    @Test func `every entry is proved in every size, at its own place only`() {
        for size in 1...Self.leaves.count {
            let root = Self.root(Self.leaves.prefix(size))
            for index in 0..<size {
                let path = Self.hashes(
                    Merkle.inclusionRanges(of: UInt64(index), in: UInt64(size)))
                for place in 0...size {
                    let found = Merkle.root(
                        from: Self.leaves[index], at: UInt64(place), in: UInt64(size), path)
                    #expect((found == root) == (place == index), "\(index) of \(size) at \(place)")
                }
                #expect(
                    Merkle.root(
                        from: Self.leaves[index], at: UInt64(index), in: UInt64(size),
                        path + [root]) != root)
            }
        }
    }

    @Test func `every size goes on from every smaller one, and from no other tree`() {
        for to in 0...Self.leaves.count {
            let toRoot = Self.root(Self.leaves.prefix(to))
            for from in 0...to {
                let fromRoot = Self.root(Self.leaves.prefix(from))
                let proof = Self.hashes(
                    Merkle.consistencyRanges(from: UInt64(from), to: UInt64(to)))
                func holds(_ fromRoot: Digest, _ toRoot: Digest, _ proof: [Digest]) -> Bool {
                    Merkle.isConsistent(
                        from: UInt64(from), fromRoot, to: UInt64(to), toRoot, proof)
                }
                #expect(holds(fromRoot, toRoot, proof), "\(from) to \(to)")
                #expect(!holds(.sha256([1]), toRoot, proof))
                #expect(!holds(fromRoot, .sha256([1]), proof) || from == 0 && to > 0)
                #expect(!holds(fromRoot, toRoot, proof + [toRoot]))
                if !proof.isEmpty { #expect(!holds(fromRoot, toRoot, Array(proof.dropLast()))) }
            }
        }
    }
}
