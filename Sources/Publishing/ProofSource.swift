package import LedgerFormat
package import LedgerStorage
internal import Platform

/// Proofs and tiles under one published checkpoint. Blocks on the disk.
package struct ProofSource: Sendable {
    private let map: LedgerMap
    private let files: TreeFiles
    private let publisher: Publisher
    package let published: SignedCheckpoint

    package init(_ publisher: Publisher, _ published: SignedCheckpoint) {
        map = publisher.map
        files = publisher.files
        self.publisher = publisher
        self.published = published
    }

    private var size: UInt64 { published.checkpoint.size.entries }

    package enum Failure: Error, Sendable {
        case read(ReadFailure)
        /// The tree's files differ from what was signed; they are being rebuilt.
        case treeDamaged
    }

    /// The path from an entry to the checkpoint's root, checked before it is returned.
    package func inclusion(
        of position: Position, _ leaf: Digest
    ) throws(Failure) -> [Digest] {
        let checkpoint = published.checkpoint
        return try inclusions(of: [(position, leaf)], in: checkpoint.size, checkpoint.root)[0]
    }

    /// The root at a size that the checkpoint covers, and the paths of entries to it.
    package func inclusions(
        of entries: [(position: Position, hash: Digest)], in size: LedgerSize
    ) throws(Failure) -> (root: Digest, paths: [[Digest]]) {
        // `consistency` also checks that the signed tree extends this root.
        let root = try consistency(from: size.entries, to: self.size).fromRoot
        return (root, try inclusions(of: entries, in: size, root))
    }

    private func inclusions(
        of entries: [(position: Position, hash: Digest)], in size: LedgerSize, _ root: Digest
    ) throws(Failure) -> [[Digest]] {
        var paths: [[Digest]] = []
        for (position, hash) in entries {
            precondition(size.contains(position))
            let path: [Digest]
            do throws(FileFailure) {
                let place = position.value
                path = try files.hashes(Merkle.inclusionRanges(of: place, in: size.entries))
            } catch { throw failure(error) }
            guard Merkle.root(from: hash, at: position.value, in: size.entries, path) == root
            else { throw treeDamaged() }
            paths.append(path)
        }
        return paths
    }

    /// A truncated or missing file means that the tree is damaged. Other failures may be temporary.
    private func failure(_ failure: FileFailure) -> Failure {
        failure.isInputOutput || failure.isOutOfPlace ? treeDamaged() : .read(.file(failure))
    }

    private func treeDamaged() -> Failure {
        publisher.distrustTree()
        return .treeDamaged
    }

    /// The file that proves an entry, with the entry itself as its extra data.
    package func proof(of entry: Entry) throws(Failure) -> TLogProof {
        let bytes = entry.bytes
        return TLogProof(
            extra: bytes, index: entry.position.value,
            path: try inclusion(of: entry.position, Merkle.leaf(bytes.span)),
            checkpoint: published.note.bytes)
    }

    package struct Consistency: Sendable {
        package var fromRoot: Digest
        package var toRoot: Digest
        package var hashes: [Digest]
    }

    /// The proof that the tree of one size extends that of another. Neither size may exceed the
    /// checkpoint's.
    package func consistency(from: UInt64, to: UInt64) throws(Failure) -> Consistency {
        precondition(from <= to && to <= size)
        let proof: Consistency
        do throws(FileFailure) {
            proof = Consistency(
                fromRoot: try files.hash(0..<from), toRoot: try files.hash(0..<to),
                hashes: try files.hashes(Merkle.consistencyRanges(from: from, to: to)))
        } catch { throw failure(error) }
        guard
            Merkle.isConsistent(from: from, proof.fromRoot, to: to, proof.toRoot, proof.hashes),
            to < size || proof.toRoot == published.checkpoint.root
        else { throw treeDamaged() }
        return proof
    }

    /// The bytes of a tile that the checkpoint covers. Entry bundles are read from the segments.
    package func content(of tile: Tile) throws(Failure) -> [UInt8] {
        precondition(tile.isCovered(by: published.checkpoint.size))
        let start = tile.index * UInt64(Tile.width)
        do throws(FileFailure) {
            switch tile.content {
            case .hashes(let level):
                return try files.hashes(level: level, start..<start + UInt64(tile.count))
            case .entries: return try bundle(start..<start + UInt64(tile.count))
            }
        } catch { throw failure(error) }
    }

    private func bundle(_ positions: Range<UInt64>) throws(FileFailure) -> [UInt8] {
        var bundle: [UInt8] = []
        bundle.reserveCapacity(positions.count * (2 + Entry.byteCount))
        for position in positions {
            guard let entry = try map.entryBytes(Position(position), .blocking) else {
                throw FileFailure(
                    .read, "position \(position)", errorNumber: FileFailure.missingNumber)
            }
            Tile.append(entry, toBundle: &bundle)
        }
        return bundle
    }
}
