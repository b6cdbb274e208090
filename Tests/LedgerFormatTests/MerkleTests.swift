import LedgerFormat
import Testing

@Suite struct MerkleTests {
    /// The leaves that RFC 6962 implementations are commonly tried with.
    private static let leaves = [
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ].map { [UInt8](hexadecimal: $0.utf8)! }

    @Test(arguments: [
        (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
        (2, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
        (3, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
        (4, "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"),
        (5, "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"),
        (6, "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"),
        (7, "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"),
        (8, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"),
    ])
    func `M-01 the reference leaves give the reference roots`(size: Int, root: String) {
        var range = CompactRange()
        for leaf in Self.leaves.prefix(size) { range.append(Merkle.leaf(leaf.span)) }
        #expect(range.root.hex == root)
    }

    @Test func `runs joined at any place give the same root`() {
        let hashes = (0..<70).map { Merkle.leaf([UInt8($0)].span) }
        for size in 0...70 {
            var whole = CompactRange()
            for hash in hashes.prefix(size) { whole.append(hash) }
            for cut in 0...size {
                var left = CompactRange()
                var right = CompactRange(from: Position(UInt64(cut)))
                for hash in hashes[0..<cut] { left.append(hash) }
                for hash in hashes[cut..<size] { right.append(hash) }
                left.append(right)
                #expect(left.root == whole.root, "\(size) cut at \(cut)")
            }
        }
    }
}
