import Foundation
import LedgerFormat
import LedgerStorage
import LedgerTestSupport
import TestSupport
import Testing

/// What six other implementations agree on: written byte for byte, accepted, and refused after any
/// change.
@Suite struct VectorTests {
    let vectors: LogVectors

    init() throws { vectors = try LogVectors.read() }

    /// The tree that our writer makes of the leaves.
    private func tree() throws -> TreeFiles {
        var tree = try TreeWriter.open(SimulatedVolume(seed: 1), upTo: LedgerSize(.max)) { _ in nil
        }
        var next = 0
        // In pieces of all sizes, as batches are.
        for piece in [1, 254, 1, 1, 4000, 61_279, 1, 4463] {
            try tree.append((next..<next + piece).map { Merkle.leaf(vectors.leaf($0).span) })
            next += piece
            if let root = vectors.roots[String(next)] { #expect(tree.range.root.base64 == root) }
        }
        #expect(next == vectors.treeSize && tree.size == vectors.size)
        return tree.files
    }

    @Test func `roots, proofs of consistency and inclusion, and tiles are written byte for byte`()
        throws
    {
        let files = try tree()
        #expect(vectors.roots.count == 26)
        for (size, root) in vectors.roots {
            #expect(try files.hash(0..<UInt64(size)!).base64 == root, "size \(size)")
        }
        let size = vectors.size.entries
        #expect(vectors.consistencyTo70000.count == 11)
        for (from, hashes) in vectors.consistencyTo70000 {
            let ranges = Merkle.consistencyRanges(from: UInt64(from)!, to: size)
            #expect(try files.hashes(ranges).map(\.base64) == hashes, "from \(from)")
        }
        #expect(vectors.tlogProofs.count == 7)
        for (text, proof) in vectors.tlogProofs {
            let index = UInt64(text)!
            let path = try files.hashes(Merkle.inclusionRanges(of: index, in: size))
            let made = TLogProof(
                extra: nil, index: index, path: path,
                checkpoint: Array(vectors.cosignedCheckpoint.utf8))
            #expect(made.bytes == Array(proof.utf8), "index \(index)")
        }
    }

    @Test func `the SHA-256 of all tiles are those that others serve`() throws {
        let files = try tree()
        let tiles = Tile.all(vectors.size)
        #expect(tiles.count == vectors.tileCount)
        for tile in tiles {
            let places = tile.index * 256..<tile.index * 256 + UInt64(tile.count)
            var bytes: [UInt8] = []
            switch tile.content {
            case .hashes(let level): bytes = try files.hashes(level: level, places)
            case .entries:
                for place in places { Tile.append(vectors.leaf(Int(place)), toBundle: &bytes) }
            }
            #expect(Digest.sha256(bytes).hex == vectors.tilesSha256[tile.path], "\(tile.path)")
            #expect(Tile(path: tile.path.split(separator: "/").dropFirst()) == tile)
        }
    }

    @Test func `checkpoint and cosignature are signed byte for byte`() throws {
        let checkpoint = Checkpoint(
            origin: vectors.origin, size: vectors.size,
            root: Base64.digest(vectors.roots["70000"]!.utf8)!)
        var note = SignedNote(text: checkpoint.text)
        note.add(vectors.logKey.signature(of: note.text))
        #expect(note.bytes == Array(vectors.checkpoint.utf8))
        let cosignature = vectors.witnessKey.signature(of: note.text, time: vectors.witnessTime)
        #expect(cosignature.line == Array(vectors.cosignatureLine.utf8))
        note.add(cosignature)
        #expect(note.bytes == Array(vectors.cosignedCheckpoint.utf8))
        let message = Cosignature.message(note.text, time: vectors.witnessTime)
        #expect(message == Array(vectors.cosignatureMessage.utf8))
        #expect("\(vectors.logKey.verifier)" == vectors.logVkey)
        #expect("\(vectors.logKey)" == vectors.logSkey)
        #expect("\(vectors.witnessKey.verifier)" == vectors.witnessVkey)
    }

    // MARK: Readers

    /// Whether a reader who knows both keys takes a cosigned checkpoint.
    private func accepts(_ note: [UInt8]) -> Bool {
        let keys = [vectors.logKey.verifier, vectors.witnessKey.verifier]
        guard let published = try? SignedCheckpoint(note) else { return false }
        return (try? published.note.signers(among: keys)) == keys
    }

    @Test func `a cosigned checkpoint is taken, and refused after every change of a byte`() {
        let note = Array(vectors.cosignedCheckpoint.utf8)
        #expect(accepts(note))
        for place in note.indices {
            for change in [1, 2, 4, 8, 16, 32, 64, 128, 255] as [UInt8] {
                var changed = note
                changed[place] ^= change
                #expect(!accepts(changed), "byte \(place) by \(change)")
            }
            #expect(!accepts(Array(note[..<place])), "cut to \(place)")
        }
    }

    /// Whether a reader who knows the log's key and the leaf takes a proof.
    private func accepts(_ bytes: [UInt8], of leaf: Digest) -> Bool {
        guard let proof = try? TLogProof(bytes), proof.extra == nil,
            let checkpoint = try? SignedCheckpoint(proof.checkpoint).checkpoint
        else { return false }
        let size = checkpoint.size.entries
        return Merkle.root(from: leaf, at: proof.index, in: size, proof.path) == checkpoint.root
            && checkpoint.origin == vectors.origin && accepts(proof.checkpoint)
    }

    @Test func `proofs of inclusion are taken, and refused after every change of a byte`() {
        for (index, text) in vectors.tlogProofs {
            let (proof, leaf) = (Array(text.utf8), Merkle.leaf(vectors.leaf(Int(index)!).span))
            #expect(accepts(proof, of: leaf))
            #expect(!accepts(proof, of: Merkle.leaf([UInt8]().span)))
            for place in proof.indices {
                for change in [1, 4, 16, 128] as [UInt8] {
                    var changed = proof
                    changed[place] ^= change
                    #expect(!accepts(changed, of: leaf), "\(index): byte \(place) by \(change)")
                }
            }
        }
    }

    @Test func `proofs of consistency are taken, and refused after every change`() {
        let (size, root) = (vectors.size.entries, Base64.digest(vectors.roots["70000"]!.utf8)!)
        for (text, lines) in vectors.consistencyTo70000 {
            let from = UInt64(text)!
            guard let known = vectors.roots[text] else { continue }
            let fromRoot = Base64.digest(known.utf8)!
            let hashes = lines.map { Base64.digest($0.utf8)! }
            func holds(
                _ from: UInt64, _ fromRoot: Digest, _ to: UInt64, _ root: Digest, _ hashes: [Digest]
            ) -> Bool { Merkle.isConsistent(from: from, fromRoot, to: to, root, hashes) }
            #expect(holds(from, fromRoot, size, root, hashes))
            for number in hashes.indices {
                for place in 0..<Digest.byteCount {
                    var bytes = hashes[number].bytes
                    bytes[place] ^= 1
                    var changed = hashes
                    changed[number] = Digest(bytes.span)
                    #expect(!holds(from, fromRoot, size, root, changed))
                }
                var without = hashes
                without.remove(at: number)
                #expect(!holds(from, fromRoot, size, root, without))
                #expect(!holds(from, fromRoot, size, root, hashes + [hashes[number]]))
            }
            #expect(!holds(from, root, size, root, hashes) || from == size)
            #expect(!holds(from, fromRoot, size, fromRoot, hashes) || from == size)
            #expect(!holds(from + 1, fromRoot, size, root, hashes))
        }
    }
}
