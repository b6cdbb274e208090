internal import Glibc
internal import LedgerFormat
internal import LedgerStorage
internal import Platform
internal import StardustCore

/// The ledger's own files.
extension Examination {
    mutating func checkFolder() {
        var found = stat()
        guard unsafe stat(ledger, &found) == 0 else {
            return add(
                .failure(
                    .ledger, "\(ledger): \(errorName(errno))",
                    errno == EACCES
                        ? "run this as root or as the daemon's user"
                        : "name another folder, or make a ledger: runuser -u stardust -- stardust init "
                            + "\(ledger) --origin NAME"))
        }
        do throws(OpenFailure) {
            do throws(FileFailure) { volume = try PosixVolume(root: ledger) } catch {
                throw .file(error)
            }
            identity = try Ledger.identity(volume!)
            add(.ok(.ledger, "\(ledger): \(identity!.origin)"))
        } catch {
            volume = nil
            let isClosed = unsafe access(ledger, R_OK | X_OK) != 0
            return add(
                .failure(
                    .ledger, "\(error)",
                    isClosed
                        ? "run this as root or as the daemon's user"
                        : "see whether this is the right folder"))
        }
        if found.st_mode & 0o002 != 0 {
            add(
                .failure(
                    .ledgerMode, "everybody may write to \(ledger)",
                    "chmod -R go= \(ledger), and run `stardust verify \(ledger)`"))
        } else if found.st_mode & 0o077 != 0 {
            add(
                .warning(
                    .ledgerMode, "users other than its owner can reach \(ledger)",
                    "chmod -R go= \(ledger)"))
        } else if let strange = firstFile(notOf: found.st_uid) {
            add(
                .failure(
                    .ledgerMode, "\(strange) belongs to another user than \(ledger)",
                    "chown -R --reference=\(ledger) \(ledger)"))
        } else {
            add(.ok(.ledgerMode, "only its owner can reach it"))
        }
        checkFormat()
        checkForkAlarm()
    }

    private func firstFile(notOf owner: UInt32) -> String? {
        let names = (try? volume?.list("")) ?? []
        let segments = ((try? volume?.list(LedgerLayout.segments)) ?? []).map {
            LedgerLayout.segments + "/" + $0
        }
        return (names + segments).map { ledger + "/" + $0 }.first { path in
            var found = stat()
            return unsafe stat(path, &found) == 0 && found.st_uid != owner
        }
    }

    /// Whether this program understands what is there.
    private mutating func checkFormat() {
        let names = LedgerLayout.SegmentNames((try? volume?.list(LedgerLayout.segments)) ?? [])
        if let problem = names.problem {
            return add(.failure(.format, "\(problem)", "run `stardust verify \(ledger)`"))
        }
        for first in [names.firsts.first, names.firsts.last].compactMap(\.self) {
            let path = LedgerLayout.segment(first)
            guard let file = try? volume?.open(path, .read) else {
                return add(.failure(.format, "\(path) cannot be read", "look at the disk"))
            }
            var bytes = [UInt8](repeating: 0, count: SegmentHeader.byteCount)
            let count = (try? file.read(into: &bytes, 0..<bytes.count, at: 0)) ?? 0
            guard count == bytes.count, (try? SegmentHeader(bytes.span)) != nil else {
                return add(
                    .failure(
                        .format, "\(path) does not begin as this version writes segments",
                        "run `stardust verify \(ledger)`; a later version may have written it"))
            }
        }
        add(
            .ok(
                .format,
                "segments \(SegmentHeader.formatVersion), entries \(Entry.formatVersion), "
                    + "as this version writes them"))
    }

    private mutating func checkForkAlarm() {
        let path = "\(ledger)/\(LedgerLayout.forkAlarm)"
        guard unsafe access(path, F_OK) == 0 else { return add(.ok(.forkAlarm, "none")) }
        add(
            .failure(
                .forkAlarm, "a witness says that there is another history: \(path)",
                "find out which one is right before anything else: \(DoctorCommand.page), StardustForkAlarm"
            ))
    }

    mutating func checkKeys() {
        guard volume != nil else { return }
        let folder = configuration?.settings.keysFolder ?? ledger
        guard let names = try? PosixVolume(root: folder).list("") else {
            return add(.failure(.keyMode, "\(folder) cannot be listed", "see its owner and mode"))
        }
        let keys = names.filter {
            $0 == LedgerLayout.key || $0.hasPrefix("key-") && !$0.hasSuffix(".tmp")
        }
        guard !keys.isEmpty else {
            return add(
                .warning(
                    .keyMode, "there is no private key in \(folder)",
                    "without one nothing is published; set keys, or bring the file key back"))
        }
        for name in keys {
            var found = stat()
            let path = "\(folder)/\(name)"
            guard unsafe stat(path, &found) == 0 else { continue }
            if found.st_mode & 0o077 != 0 {
                return add(
                    .failure(
                        .keyMode,
                        "\(path) has mode \(String(found.st_mode & 0o777, radix: 8)): others may read "
                            + "the private key",
                        "chmod 400 \(path); if somebody may have read it, also `stardust rotate-key "
                            + "\(ledger) --overlap-days 0`"))
            }
        }
        add(.ok(.keyMode, "only their owner reads the keys in \(folder)"))
    }

    /// Whether the newest checkpoint is of the tree that is here.
    mutating func checkCheckpoint() {
        guard let volume else { return }
        guard let bytes = try? volume.content(of: LedgerLayout.checkpoint),
            let checkpoint = try? SignedCheckpoint(bytes).checkpoint
        else { return add(.ok(.checkpoint, "none yet")) }
        let size = checkpoint.size
        let root = size.entries == 0 ? nil : try? TreeFiles(volume).hash(0..<size.entries)
        guard size.entries == 0 || root == checkpoint.root else {
            return add(
                .failure(
                    .checkpoint,
                    root == nil
                        ? "the tree's files do not cover the newest checkpoint, of \(size) entries"
                        : "the tree's files have another root than the newest checkpoint, of \(size) entries",
                    "run `stardust verify \(ledger)`; the daemon rebuilds the tree from the entries"
                ))
        }
        let entries = status?["ledger_size"].number ?? Int(size.entries)
        add(
            .ok(
                .checkpoint,
                "covers \(size) of \(max(entries, Int(size.entries))) entries, and the tree has its root"
            ))
    }
}
