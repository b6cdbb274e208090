package import LedgerFormat
package import LedgerStorage
package import Platform

/// A ledger's Merkle tree and the checkpoints signed over it. Uses no threads and no clock.
///
/// Invariants:
///  1. A checkpoint is durable in the log before anybody else sees it.
///  2. Each checkpoint's tree extends the previous one's: both come from one range that only grows,
///     and that matched the newest checkpoint's root at opening.
package struct TreePublisher: ~Copyable {
    private let map: LedgerMap
    private let identity: LedgerIdentity
    package private(set) var tree: TreeWriter
    private var log: CheckpointLog
    package let history: KeyHistory
    private let signers: Result<[NoteSigner], SigningKeys.Failure>
    /// Repairs made at opening, for the log.
    package let repairs: [String]

    private init(
        _ map: LedgerMap, _ identity: LedgerIdentity, _ tree: consuming TreeWriter,
        _ log: consuming CheckpointLog, _ history: KeyHistory, keys: any Volume
    ) {
        self.map = map
        self.identity = identity
        self.tree = tree
        repairs = [log.repair].compactMap { $0 }
        self.log = log
        self.history = history
        signers = Self.signers(history, keys)
    }

    /// Resumes from what a ledger has published. The failure is damage if the entries do not yield
    /// the newest checkpoint's root: then the ledger was rolled back or changed, and nothing may be
    /// signed. Reads the entries between the tree's last sync and the newest checkpoint, or the
    /// whole ledger if the tree is lost.
    package static func open(
        _ map: LedgerMap, _ identity: LedgerIdentity, keys: (any Volume)? = nil
    ) throws(OpenFailure) -> TreePublisher {
        let log = try CheckpointLog.open(map.volume)
        let newest = log.newest
        let history = try history(map, identity, newest)
        let tree: TreeWriter
        do throws(FileFailure) {
            tree = try TreeWriter.open(
                map.volume, upTo: newest?.checkpoint.size ?? .empty
            ) { (position) throws(FileFailure) in
                try map.entryHash(position)
            }
        } catch { throw .file(error) }
        var publisher = TreePublisher(
            map, identity, tree, log, history, keys: keys ?? map.volume)
        if let newest { try publisher.compare(with: newest.checkpoint) }
        return publisher
    }

    /// Why nothing can be signed; nil if the key is there.
    package var keyProblem: SigningKeys.Failure? {
        if case .failure(let failure) = signers { failure } else { nil }
    }

    /// Signs an epoch with the ledger's key; nil if the key is not there.
    package func signed(_ epoch: EpochNote) -> [UInt8]? {
        guard case .success(let signers) = signers else { return nil }
        return epoch.content(signedBy: signers[0])
    }

    private mutating func compare(with newest: Checkpoint) throws(OpenFailure) {
        do throws(ReadFailure) {
            if try root(at: newest.size) == newest.root { return }
            // The tree's files are only derived; the entries are authoritative.
            tree.reset()
            guard try root(at: newest.size) == newest.root else {
                throw .damaged(Self.mismatch(newest))
            }
        } catch { throw OpenFailure(error) }
    }

    private static func mismatch(_ newest: Checkpoint) -> Finding {
        Finding(
            .checkpointRootMismatch, file: LedgerLayout.checkpoints,
            position: newest.size.nextPosition,
            "the checkpoint of \(newest.size) entries covers entries that the ledger does not have")
    }

    private static func history(
        _ map: LedgerMap, _ identity: LedgerIdentity, _ newest: SignedCheckpoint?
    ) throws(OpenFailure) -> KeyHistory {
        do throws(ReadFailure) {
            let history = try map.keyHistory(first: identity.verifierKey)
            if let newest {
                let last = newest.checkpoint.size.entries
                let time = try last > 0 ? map.entry(Position(last - 1))?.receivedAt : nil
                if let problem = problem(newest, identity, history, lastReceivedAt: time) {
                    throw .damaged(problem)
                }
            }
            return history
        } catch { throw OpenFailure(error) }
    }

    /// Why the newest checkpoint is not this ledger's; nil if it is.
    private static func problem(
        _ newest: SignedCheckpoint, _ identity: LedgerIdentity, _ history: KeyHistory,
        lastReceivedAt: Timestamp?
    ) -> Finding? {
        let key = history.required(at: newest.checkpoint.size)
        do throws(SignedNote.Failure) {
            guard newest.checkpoint.isOf(identity.verifierKey) else {
                return Finding(
                    .checkpointForeign, file: LedgerLayout.checkpoints,
                    "the newest checkpoint belongs to \(newest.checkpoint.origin)")
            }
            let signers = try newest.note.signers(
                among: history.known(at: newest.checkpoint.size))
            guard signers.contains(key) else { throw SignedNote.Failure.noKnownKey }
            if let lastReceivedAt {
                let permitted = history.permitted(
                    at: newest.checkpoint.size, lastReceivedAt: lastReceivedAt)
                if let revoked = signers.first(where: { !permitted.contains($0) }) {
                    return Finding(
                        .checkpointKeyRevoked, file: LedgerLayout.checkpoints,
                        "\(revoked.keyName) signed the newest checkpoint, but was not the "
                            + "ledger's key at that size")
                }
            }
            guard newest.checkpoint.extensions.isEmpty else {
                return Finding(
                    .checkpointDamaged, file: LedgerLayout.checkpoints,
                    "the newest checkpoint has more lines than a ledger writes")
            }
            return nil
        } catch {
            let code: Finding.Code =
                error == .noKnownKey ? .checkpointUnsigned : .checkpointSignatureBad
            return Finding(
                code, file: LedgerLayout.checkpoints,
                "the newest checkpoint, of \(newest.checkpoint.size) entries: \(error)")
        }
    }

    private static func signers(
        _ history: KeyHistory, _ keys: any Volume
    ) -> Result<[NoteSigner], SigningKeys.Failure> {
        Result { () throws(SigningKeys.Failure) in
            var signers = [try SigningKeys.read(history.current, of: history, keys)]
            // Without an old key, only verifiers that know no newer key are unable to check.
            for rotation in history.rotations where rotation.oldKey != history.current {
                if let old = try? SigningKeys.read(rotation.oldKey, of: history, keys) {
                    signers.append(old)
                }
            }
            return signers
        }
    }

    /// The root at the newest checkpoint's size, which the tree does not yet exceed.
    private mutating func root(at size: LedgerSize) throws(ReadFailure) -> Digest {
        guard size <= map.head.size else {
            throw .damaged(
                Finding(
                    .truncated, file: LedgerLayout.checkpoints, position: size.nextPosition,
                    "the checkpoint of \(size) entries covers more than the ledger has"))
        }
        do throws(ReadFailure) {
            while tree.size < size {
                let missing = size.entries - tree.size.entries
                try read(atMost: Int(min(missing, UInt64(PublishingLimits.treePending))))
            }
            return tree.range.root
        } catch {
            // A full disk does not prevent opening: compute the root without writing files.
            guard case .file(let failure) = error, failure.isNoSpace else { throw error }
            return try rootOfEntries(size)
        }
    }

    private func rootOfEntries(_ size: LedgerSize) throws(ReadFailure) -> Digest {
        var range = tree.range
        try map.walkEntries(from: tree.size.nextPosition) { entry, hash in
            guard size.contains(entry.position) else { return false }
            range.append(hash)
            return true
        }
        return range.root
    }

    // MARK: Growing

    package var newest: SignedCheckpoint? { log.newest }

    /// Bytes of the file of checkpoints that are durable.
    package var checkpointBytes: Int { log.end }

    /// The last checkpoints in the log at the time of opening, in order.
    package var recent: [SignedCheckpoint] { log.recent }

    /// Adds the hashes of the entries that follow the tree. They may not be durable yet: after a
    /// crash, opening reads the missing ones from the entries.
    package mutating func extend(_ hashes: some Collection<Digest>) throws(FileFailure) {
        try tree.append(hashes)
        try tree.sync()
    }

    /// Reads up to `limit` entries that the tree lacks from the segments. When a rebuilt tree
    /// reaches the newest checkpoint's size, it must have that checkpoint's root: nothing is signed
    /// on top of a different one.
    package mutating func catchUp(atMost limit: Int) throws(ReadFailure) {
        guard let newest = newest?.checkpoint, tree.size < newest.size else {
            return try read(atMost: limit)
        }
        let missing = newest.size.entries - tree.size.entries
        try read(atMost: Int(min(UInt64(limit), missing)))
        if tree.size == newest.size, tree.range.root != newest.root {
            throw .damaged(Self.mismatch(newest))
        }
        if missing < UInt64(limit) { try read(atMost: limit - Int(missing)) }
    }

    private mutating func read(atMost limit: Int) throws(ReadFailure) {
        var hashes: [Digest] = []
        try map.walkEntries(from: tree.size.nextPosition) { _, hash in
            hashes.append(hash)
            return hashes.count < limit
        }
        do throws(FileFailure) { try extend(hashes) } catch { throw .file(error) }
    }

    /// Starts the tree over.
    package mutating func rebuild() { tree.reset() }

    /// Makes the tree durable, so that the next opening need not read entries.
    package mutating func close() throws(FileFailure) { try tree.sync(atOnce: true) }

    // MARK: Signing

    package enum Failure: Error, Sendable {
        case key(SigningKeys.Failure)
        case file(FileFailure)
    }

    /// Signs the current tree and stores the checkpoint. `lastReceivedAt` is the time its last
    /// entry was received. On return the checkpoint is durable and may be shown.
    package mutating func sign(
        lastReceivedAt: Timestamp
    ) throws(Failure) -> SignedCheckpoint {
        let all: [NoteSigner]
        do throws(SigningKeys.Failure) { all = try signers.get() } catch { throw .key(error) }
        let checkpoint = Checkpoint(
            origin: identity.origin, size: tree.size, root: tree.range.root)
        let permitted = history.permitted(at: tree.size, lastReceivedAt: lastReceivedAt)
        let signatures = all.filter { permitted.contains($0.verifier) }
            .map { $0.signature(of: checkpoint.text) }
        let published = SignedCheckpoint(checkpoint, signatures: signatures)
        try keep(published)
        return published
    }

    /// Stores a new checkpoint, or the newest one with more signatures. A crash during this leaves
    /// part of the record, which opening cuts, or all of it, which opening keeps.
    package mutating func keep(_ published: SignedCheckpoint) throws(Failure) {
        do throws(FileFailure) { try log.append(published) } catch { throw .file(error) }
    }
}
