internal import Glibc
internal import LedgerFormat
internal import Platform
internal import Synchronization

/// A folder as a store, for another disk or a file system of another machine. An object is a file; a
/// name that begins with a dot is none.
final class FolderStore: ObjectStore, AssetStore {
    let name: String
    let volume: PosixVolume
    /// Folders that this process made durable.
    private let durable = Mutex<Set<String>>([])

    /// The folder must exist, so that a disk that is not mounted is not taken for an empty store.
    init(_ path: String, name: String) throws(StoreFailure) {
        self.name = name
        do throws(FileFailure) { volume = try PosixVolume(root: path) } catch {
            throw StoreFailure(
                .refused, name,
                error.isMissing
                    ? "the folder does not exist; create it, or mount its disk" : "\(error)")
        }
    }

    func failure(_ error: FileFailure, _ key: String) -> StoreFailure {
        let kind: StoreFailure.Kind =
            error.isMissing || error.isNoFolder
            ? .missing
            : error.isMoved
                ? .unreachable : error.isNoSpace || error.isInputOutput ? .unreachable : .refused
        return StoreFailure(kind, "\(name)/\(key)", "\(error)")
    }

    // MARK: Writing

    func put(
        _ key: String, _ body: ObjectBody, _ patience: Patience
    ) throws(StoreFailure) -> PutOutcome {
        do throws(FileFailure) {
            try volume.requireInPlace()
            try makeFolders(key.folder)
            let isNew = try volume.createWhole(key, mode: 0o640) { (file) throws(FileFailure) in
                try write(body, to: file)
            }
            // A crash may have left the name before it was durable.
            try volume.syncFolder(key.folder)
            return isNew ? .created : .exists
        } catch { throw failure(error, key) }
    }

    func path(_ key: String) -> String { "\(volume.root)/\(key)" }

    private func write(_ body: ObjectBody, to file: any VolumeFile) throws(FileFailure) {
        var piece = [UInt8](repeating: 0, count: min(max(body.count, 1), StoreLimits.pieceBytes))
        var offset = 0
        while offset < body.count {
            let count: Int
            do throws(StoreFailure) { count = try body.read(&piece, offset) } catch {
                throw FileFailure(.read, file.path, errorNumber: EIO)
            }
            guard count > 0 else { throw FileFailure(.read, file.path, errorNumber: EIO) }
            try file.write(piece.span.extracting(0..<count), at: offset)
            offset += count
        }
    }

    /// Makes the folders of a path, each durable in the one above.
    private func makeFolders(_ path: String) throws(FileFailure) {
        // One that is there may have been made by a process that crashed before it was durable.
        if path.isEmpty || durable.withLock({ $0.contains(path) }) { return }
        try makeFolders(path.folder)
        if !isFolder(path) {
            do throws(FileFailure) { try volume.makeFolder(path) } catch {
                guard isFolder(path) else { throw error }
            }
        }
        try volume.syncFolder(path.folder)
        durable.withLock { _ = $0.insert(path) }
    }

    private func isFolder(_ path: String) -> Bool {
        var status = stat()
        return unsafe stat(self.path(path), &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    // MARK: Reading

    func get(
        _ key: String, _ range: Range<Int>?, version: String?, _ patience: Patience,
        _ take: (Span<UInt8>) throws(StoreFailure) -> Void
    ) throws(StoreFailure) {
        let file: any VolumeFile
        let size: Int
        do throws(FileFailure) {
            try volume.requireInPlace()
            file = try volume.open(key, .read)
            size = try file.size()
        } catch { throw failure(error, key) }
        let range = range ?? 0..<size
        guard range.upperBound <= size else {
            throw StoreFailure(.damaged, "\(name)/\(key)", "the object ends at byte \(size)")
        }
        var piece = [UInt8](repeating: 0, count: min(range.count, StoreLimits.pieceBytes))
        var offset = range.lowerBound
        while offset < range.upperBound {
            let wanted = min(piece.count, range.upperBound - offset)
            let count: Int
            do throws(FileFailure) {
                count = try file.read(into: &piece, 0..<wanted, at: offset)
            } catch { throw failure(error, key) }
            guard count == wanted else {
                throw StoreFailure(.damaged, "\(name)/\(key)", "the object became shorter")
            }
            try take(piece.span.extracting(0..<count))
            offset += count
        }
    }

    func size(of key: String, _ patience: Patience) throws(StoreFailure) -> Int? {
        do throws(FileFailure) { return try volume.open(key, .read).size() } catch {
            if error.isMissing || error.isNoFolder { return nil }
            throw failure(error, key)
        }
    }

    func list(_ prefix: String, _ patience: Patience) throws(StoreFailure) -> [StoredObject] {
        var found: [StoredObject] = []
        do throws(FileFailure) {
            try volume.requireInPlace()
            try collect(prefix.folder, prefix, &found)
        } catch {
            throw failure(error, prefix)
        }
        return found.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
    }

    func assets(
        _ patience: Patience, _ take: (StoredAsset) throws(StoreFailure) -> Void
    ) throws(StoreFailure) {
        do throws(FileFailure) { try volume.requireInPlace() } catch { throw failure(error, "") }
        try assets(in: "", take)
    }

    /// Links are not followed: what they lead to may be anything.
    private func assets(
        in folder: String, _ take: (StoredAsset) throws(StoreFailure) -> Void
    ) throws(StoreFailure) {
        let names: [String]
        do throws(FileFailure) { names = try volume.list(folder) } catch {
            throw failure(error, folder)
        }
        for name in names where !name.hasPrefix(".") {
            let key = folder.isEmpty ? name : "\(folder)/\(name)"
            let found: stat?
            do throws(FileFailure) { found = try status(of: key) } catch {
                throw failure(error, key)
            }
            // A file that is gone again was not an asset.
            guard let status = found else { continue }
            switch status.st_mode & S_IFMT {
            case S_IFDIR: try assets(in: key, take)
            default:
                if let asset = Self.asset(key, status) { try take(asset) }
            }
        }
    }

    /// What a regular file is; nil for anything else.
    static func asset(_ key: String, _ status: stat) -> StoredAsset? {
        guard status.st_mode & S_IFMT == S_IFREG else { return nil }
        let (seconds, rest) = (Int64(status.st_mtim.tv_sec), Int64(status.st_mtim.tv_nsec))
        return StoredAsset(
            key: key, bytes: Int(status.st_size), tag: tag(status),
            changed: Timestamp(microseconds: seconds * 1_000_000 + rest / 1000))
    }

    func leftovers(_ patience: Patience) throws(StoreFailure) -> [String] {
        var (found, folders) = ([String](), [""])
        while let folder = folders.popLast() {
            do throws(FileFailure) {
                for name in try volume.list(folder) {
                    let key = folder.isEmpty ? name : "\(folder)/\(name)"
                    if name.hasPrefix(Self.hiddenPrefix) { found.append(key) }
                    guard !name.hasPrefix("."), let status = try status(of: key),
                        status.st_mode & S_IFMT == S_IFDIR
                    else { continue }
                    folders.append(key)
                }
            } catch { throw failure(error, folder) }
        }
        return found.sorted()
    }

    /// Of the name itself, not of what a link leads to; nil if there is none.
    func status(of key: String) throws(FileFailure) -> stat? {
        var status = stat()
        guard unsafe lstat(path(key), &status) == 0 else {
            if errno == ENOENT || errno == ENOTDIR { return nil }
            throw FileFailure(.size, path(key), errorNumber: errno)
        }
        return status
    }

    /// Tells a file from any other, and its content from what it was or will be.
    static func tag(_ status: stat) -> String {
        "\(status.st_ino)-\(status.st_size)-\(status.st_mtim.tv_sec).\(status.st_mtim.tv_nsec)"
    }

    private func collect(
        _ folder: String, _ prefix: String, _ found: inout [StoredObject]
    ) throws(FileFailure) {
        for name in try volume.list(folder) where !name.hasPrefix(".") {
            let key = folder.isEmpty ? name : "\(folder)/\(name)"
            if isFolder(key) {
                guard "\(key)/".hasPrefix(prefix) || prefix.hasPrefix("\(key)/") else { continue }
                try collect(key, prefix, &found)
            } else if key.hasPrefix(prefix) {
                // A file that is gone again was not an object.
                guard let file = try? volume.open(key, .read) else { continue }
                found.append(StoredObject(key: key, bytes: try file.size()))
            }
        }
    }

    func hidden(_ prefix: String, _ patience: Patience) throws(StoreFailure) -> [StoredObject] {
        []
    }

    func versions(of key: String, _ patience: Patience) throws(StoreFailure) -> [ObjectVersion] {
        try size(of: key, patience).map { [ObjectVersion(version: nil, bytes: $0)] } ?? []
    }

    /// A folder knows neither secrets nor checksums, and whoever may write may delete.
    func allows(
        _ misuse: StoreMisuse, of key: String, _ patience: Patience
    ) throws(StoreFailure) -> Bool? { nil }
}
