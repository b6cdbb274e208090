internal import CPlatform
internal import Glibc
internal import Synchronization

/// Folders stay open once they have been synced, so that a process that has run out of descriptors
/// can still make a new file durable.
final class FolderHandles: Sendable {
    private let open = Mutex<[String: Int32]>([:])

    deinit { open.withLock { for descriptor in $0.values { close(descriptor) } } }

    /// Makes the names in a folder durable.
    func sync(_ path: String) throws(FileFailure) {
        let number: Int32 = open.withLock { open in
            if let known = open[path], !Self.isAt(path, known) {
                close(known)
                open[path] = nil
            }
            let descriptor =
                unsafe open[path] ?? stardust_open(path, O_RDONLY | O_DIRECTORY, 0)
            guard descriptor >= 0 else { return -descriptor }
            open[path] = descriptor
            return fsync(descriptor) == 0 ? 0 : errno
        }
        guard number == 0 else { throw FileFailure(.sync, path, errorNumber: number) }
    }

    /// Whether the path still names the folder that is open.
    private static func isAt(_ path: String, _ descriptor: Int32) -> Bool {
        var (named, held) = (stat(), stat())
        return unsafe stat(path, &named) == 0 && fstat(descriptor, &held) == 0
            && named.st_ino == held.st_ino && named.st_dev == held.st_dev
    }
}
