internal import Glibc
internal import Synchronization

/// A folder that is only read, with whatever is written beside it in another: what is there hides what
/// is below. Nothing in the lower folder is changed or made.
package final class OverlayVolume: Volume {
    private let lower: any Volume
    private let upper: any Volume
    /// Paths of the lower folder that were removed.
    private let removed = Mutex<Set<String>>([])

    package init(lower: any Volume, upper: any Volume) {
        (self.lower, self.upper) = (lower, upper)
    }

    package func open(_ path: String, _ access: FileAccess) throws(FileFailure) -> any VolumeFile {
        switch access {
        case .create:
            try makeFolderAbove(path)
            return try upper.open(path, access)
        case .read, .update:
            do throws(FileFailure) { return try upper.open(path, access) } catch {
                guard error.isMissing else { throw error }
            }
            guard access == .read, !isRemoved(path) else {
                throw FileFailure(.open, path, errorNumber: access == .read ? ENOENT : EROFS)
            }
            return try lower.open(path, .read)
        }
    }

    private func isRemoved(_ path: String) -> Bool { removed.withLock { $0.contains(path) } }

    private func makeFolderAbove(_ path: String) throws(FileFailure) {
        guard !path.folder.isEmpty, try !upper.list("").contains(path.folder) else { return }
        try upper.makeFolder(path.folder)
    }

    package func list(_ folder: String) throws(FileFailure) -> [String] {
        let prefix = folder.isEmpty ? "" : folder + "/"
        let below = try lower.list(folder).filter { !isRemoved(prefix + $0) }
        return Array(Set(below).union(try upper.list(folder)))
    }

    package func makeFolder(_ path: String) throws(FileFailure) { try upper.makeFolder(path) }

    package func rename(_ old: String, to new: String) throws(FileFailure) {
        try upper.rename(old, to: new)
    }

    package func renameNew(_ old: String, to new: String) throws(FileFailure) {
        guard try !list(new.folder).contains(new.lastName) else {
            throw FileFailure(.rename, old, errorNumber: EEXIST)
        }
        try upper.renameNew(old, to: new)
    }

    package func remove(_ path: String) throws(FileFailure) {
        let below = try lower.list(path.folder)
        let isBelow = below.contains(path.lastName) && !isRemoved(path)
        do throws(FileFailure) { try upper.remove(path) } catch {
            guard error.isMissing, isBelow else { throw error }
        }
        if isBelow { removed.withLock { _ = $0.insert(path) } }
    }

    package func requireInPlace() throws(FileFailure) { try lower.requireInPlace() }

    package func syncFolder(_ folder: String) throws(FileFailure) {
        let isThere = try upper.list("").contains(folder)
        if folder.isEmpty || isThere { try upper.syncFolder(folder) }
    }
}
