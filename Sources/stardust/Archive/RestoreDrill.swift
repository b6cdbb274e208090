internal import Archive
internal import LedgerFormat
internal import LedgerStorage
internal import Platform
internal import Verification

/// Restores a ledger to see that it can be restored: to its newest checkpoint and to a random older one,
/// into a temporary folder that is removed.
struct RestoreDrill {
    let stores: StoreList
    let ledgerID: String?
    /// A ledger's folder that must have the same checkpoints.
    let against: String?
    /// A file that gets the time, once the drill has passed.
    let record: String?
    let options: Verifier.Options

    func run() throws {
        do throws(FileFailure) { if let record { try RunRecord.check(.drill, record) } } catch {
            throw Failure(.cannotCreate, "--record: \(error)")
        }
        let newest = try drill()
        guard let record else { return }
        do throws(FileFailure) {
            try RunRecord(.drill, of: nil, at: .systemNow(), size: newest).write(to: record)
        } catch { throw Failure(.cannotCreate, "\(error)") }
    }

    /// Returns the size of the newest checkpoint.
    private func drill() throws -> LedgerSize {
        let scratch: ScratchFolder
        do throws(FileFailure) {
            scratch = try ScratchFolder(
                in: String.environment("TMPDIR") ?? "/tmp", "stardust-drill")
        } catch { throw Failure(.cannotCreate, "\(error)") }
        defer { withExtendedLifetime(scratch) {} }
        let (whole, checkpoints) = try restoreWhole(scratch)
        guard let newest = checkpoints.last else {
            throw Failure(.no, "no checkpoint covers anything that was shipped yet")
        }
        let own = try against.map { try Self.checkpoints(of: $0) }
        try compare(newest, own)
        try Output.line(
            "the newest checkpoint, of \(newest.checkpoint.size) entries, comes back: "
                + "\(newest.checkpoint.root.tagged), with \(whole.size) entries in all")
        let older = checkpoints.dropLast().filter { $0.checkpoint.size > .empty }
        guard let chosen = older.randomElement() else { return newest.checkpoint.size }
        try compare(chosen, own)
        try restore(chosen, scratch)
        try Output.line(
            "an older one, of \(chosen.checkpoint.size) entries, comes back: "
                + chosen.checkpoint.root.tagged)
        return newest.checkpoint.size
    }

    /// Everything that was shipped, and the checkpoints in it.
    private func restoreWhole(
        _ scratch: ScratchFolder
    ) throws -> (Verification, [SignedCheckpoint]) {
        let folder = try makeFolder(scratch, "newest")
        let result = try RestoreCommand.restore(stores, ledgerID, to: folder, .all, options)
        let found = try Self.checkpoints(of: folder.root)
        try remove(folder)
        return (result, found)
    }

    private func restore(_ chosen: SignedCheckpoint, _ scratch: ScratchFolder) throws {
        let folder = try makeFolder(scratch, "older")
        var options = options
        options.anchors = [(chosen, "the older checkpoint")]
        // The verification compares the root at the checkpoint's size with the checkpoint.
        let result = try RestoreCommand.restore(
            stores, ledgerID, to: folder, .size(chosen.checkpoint.size), options)
        try remove(folder)
        guard result.root == chosen.checkpoint.root else {
            throw Failure(
                .no,
                "restored to \(chosen.checkpoint.size) entries the root is "
                    + "\(result.root?.tagged ?? "none"), and the checkpoint says "
                    + chosen.checkpoint.root.tagged)
        }
    }

    private func compare(_ found: SignedCheckpoint, _ own: [SignedCheckpoint]?) throws(Failure) {
        guard let own else { return }
        guard own.contains(where: { $0.checkpoint == found.checkpoint }) else {
            throw Failure(
                .no,
                "\(against!) lacks the checkpoint of \(found.checkpoint.size) entries that came back, "
                    + found.checkpoint.root.tagged)
        }
    }

    private static func checkpoints(of folder: String) throws(Failure) -> [SignedCheckpoint] {
        var found: [SignedCheckpoint] = []
        do throws(FileFailure) {
            let volume = try PosixVolume(root: folder)
            guard try volume.list("").contains(LedgerLayout.checkpoints) else { return [] }
            var cursor = try CheckpointCursor(volume.open(LedgerLayout.checkpoints, .read))
            while case .record(let record) = try cursor.next() { found.append(record.published) }
        } catch { throw Failure(.cannotOpenInput, "\(error)") }
        return found
    }

    private func makeFolder(
        _ scratch: ScratchFolder, _ name: String
    ) throws(Failure) -> PosixVolume {
        do throws(FileFailure) {
            try PosixVolume(root: scratch.path).makeFolder(name)
            return try PosixVolume(root: scratch.path + "/" + name)
        } catch { throw Failure(.cannotCreate, "\(error)") }
    }

    /// Two restored ledgers at once may need more room than there is.
    private func remove(_ folder: PosixVolume) throws(Failure) {
        do throws(FileFailure) { try FolderRemoval.removeRestoring(folder.root) } catch {
            throw Failure(.inputOutput, "\(error)")
        }
    }
}
