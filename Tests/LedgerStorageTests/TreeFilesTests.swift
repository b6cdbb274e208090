import LedgerFormat
import LedgerStorage
import LedgerTestSupport
import PipelineWorkload
import Testing

/// The levels of the Merkle tree as files.
@Suite struct TreeFilesTests {
    private static func root(_ leaves: ArraySlice<Digest>) -> Digest {
        if leaves.count <= 1 { return leaves.first ?? Merkle.emptyRoot }
        var split = 1
        while split * 2 < leaves.count { split *= 2 }
        return Merkle.node(root(leaves.prefix(split)), root(leaves.dropFirst(split)))
    }

    @Test func `M-02 the tree's files give every hash, in whatever pieces they came`() throws {
        var generator = SeededGenerator(seed: 5)
        let leaves = (0..<1500).map { Merkle.leaf([UInt8($0 & 255), UInt8($0 >> 8)].span) }
        for _ in 0..<10 {
            let volume = SimulatedVolume(seed: 1)
            var tree = try TreeWriter.open(volume, upTo: LedgerSize(.max)) { _ in nil }
            while tree.size.entries < 1500 {
                let start = Int(tree.size.entries)
                let end = min(1500, start + Int.random(in: 1...400, using: &generator))
                try tree.append(leaves[start..<end])
                // Left and taken up again.
                if Bool.random(using: &generator) {
                    try tree.sync(atOnce: true)
                    tree = try TreeWriter.open(volume, upTo: LedgerSize(.max)) {
                        leaves[Int($0.value)]
                    }
                    #expect(tree.size.entries == UInt64(end))
                }
            }
            for _ in 0..<40 {
                let size = UInt64.random(in: 1...1500, using: &generator)
                let root = Self.root(leaves.prefix(Int(size)))
                #expect(try tree.files.hash(0..<size) == root)
                let index = UInt64.random(in: 0..<size, using: &generator)
                let path = try tree.files.hashes(Merkle.inclusionRanges(of: index, in: size))
                #expect(
                    Merkle.root(from: leaves[Int(index)], at: index, in: size, path) == root)
            }
        }
    }

    @Test func `a tree that is another ledger's, or cut, is begun anew`() throws {
        let leaves = (0..<600).map { Merkle.leaf([UInt8($0 & 255), UInt8($0 >> 8)].span) }
        func written() throws -> SimulatedVolume {
            let volume = SimulatedVolume(seed: 1)
            var tree = try TreeWriter.open(volume, upTo: LedgerSize(.max)) { _ in nil }
            try tree.append(leaves)
            try tree.sync(atOnce: true)
            return volume
        }
        #expect(
            try TreeWriter.open(written(), upTo: LedgerSize(.max)) { leaves[Int($0.value)] }.size
                .entries == 600)
        #expect(
            try TreeWriter.open(written(), upTo: LedgerSize(.max)) { _ in .sha256([1]) }.size
                == .empty)
        for path in ["tree/0", "tree/1", "tree/complete"] {
            let volume = try written()
            volume.damage(path) { $0.removeLast() }
            #expect(
                try TreeWriter.open(volume, upTo: LedgerSize(.max)) { leaves[Int($0.value)] }.size
                    == .empty, "\(path)")
            let without = try written()
            without.put(path, nil)
            #expect(
                try TreeWriter.open(without, upTo: LedgerSize(.max)) { leaves[Int($0.value)] }.size
                    == .empty)
        }
    }
}
