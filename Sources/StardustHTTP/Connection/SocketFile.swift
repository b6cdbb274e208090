internal import CPlatform
internal import Glibc
internal import Platform

/// The file system's side of a Unix socket that a program of ours serves.
package struct SocketFile: Sendable {
    package struct Refused: Error, CustomStringConvertible {
        package var description: String
    }

    private let path: String
    private let identity: Identity

    /// Tells the file that we made from one that somebody put in its place. While the socket is
    /// open, no other file has its inode's number.
    private struct Identity: Equatable, Sendable {
        var device: UInt64
        var inode: UInt64

        init?(_ path: String) {
            var status = stat()
            guard unsafe lstat(path, &status) == 0 else { return nil }
            (device, inode) = (UInt64(status.st_dev), UInt64(status.st_ino))
        }
    }

    /// Listens at `path`, for the owner and the group. Creates the folder if it is missing, refuses
    /// a folder in which others could replace the socket, and removes a socket that nobody serves
    /// any more. `group` owns the socket; nil for the process's own.
    static func listen(
        at path: String, group: UInt32? = nil
    ) throws(Refused) -> (descriptor: Int32, file: SocketFile) {
        try checkFolder(of: path)
        try removeStale(path)
        let descriptor: Int32
        var made: Identity?
        do throws(UnixSocket.Failure) {
            descriptor = try UnixSocket.listening(at: path, backlog: queueLength) {
                made = Identity(path)
            }
        } catch { throw Refused(description: error.description) }
        do throws(Refused) {
            if let group, unsafe chown(path, uid_t.max, group) != 0 {
                throw Refused(
                    description: "giving \(path) to group \(group): \(errorName(errno)); the "
                        + "daemon's user must be a member of the group")
            }
            guard unsafe chmod(path, 0o660) == 0 else {
                throw Refused(description: "permissions of \(path): \(errorName(errno))")
            }
            // Before it listened, another daemon may have taken it for one that nobody serves.
            guard let made, Identity(path) == made else {
                throw Refused(description: "another daemon took over \(path) at the same time")
            }
            return (descriptor, SocketFile(path: path, identity: made))
        } catch {
            close(descriptor)
            if made == Identity(path) { _ = unsafe unlink(path) }
            throw error
        }
    }

    /// Clients that may wait to be accepted; the system may allow fewer.
    private static let queueLength: Int32 = 4096

    /// Whether the path still leads to our socket: otherwise no client reaches it.
    var isInPlace: Bool { Identity(path) == identity }

    /// Somebody removed or replaced the socket that a daemon served.
    package struct Lost: Error, CustomStringConvertible {
        package var description: String
    }

    /// Removes the socket if it is still ours. Called before it is closed.
    func remove() {
        guard Identity(path) == identity else { return }
        _ = unsafe unlink(path)
    }

    // MARK: What is there before

    private static func checkFolder(of path: String) throws(Refused) {
        let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
        var status = stat()
        if unsafe stat(folder, &status) != 0 {
            guard errno == ENOENT, unsafe mkdir(folder, 0o750) == 0,
                unsafe stat(folder, &status) == 0
            else {
                throw Refused(description: "the socket's folder \(folder): \(errorName(errno))")
            }
        }
        let isOthers = status.st_mode & 0o002 != 0
        let isForeignGroups = status.st_mode & 0o020 != 0 && status.st_gid != getegid()
        let isForeignUsers = ![0, geteuid()].contains(status.st_uid)
        guard isOthers || isForeignGroups || isForeignUsers else { return }
        let who =
            isOthers
            ? "everybody"
            : isForeignGroups ? "group \(status.st_gid)" : "user \(status.st_uid)"
        throw Refused(
            description: "\(who) may write to \(folder), and so could replace the socket; choose a "
                + "folder of the daemon's own with --socket, such as /run/stardust")
    }

    private static func removeStale(_ path: String) throws(Refused) {
        var status = stat()
        guard unsafe lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK, let found = Identity(path) else {
            throw Refused(description: "\(path) exists and is not a socket")
        }
        do throws(UnixSocket.Failure) { close(try UnixSocket.connected(to: path)) } catch {
            switch error.errorNumber {
            // Only this means that nobody serves it.
            case ECONNREFUSED: return try removeStale(path, found)
            case EAGAIN:
                throw Refused(
                    description: "another program serves on \(path), and many clients wait for it")
            case EPROTOTYPE:
                throw Refused(description: "\(path) is the socket of another kind of program")
            default: throw Refused(description: error.description)
            }
        }
        throw Refused(description: "another daemon is already serving on \(path)")
    }

    /// Removes the socket that nobody serves. If another daemon has put its own there since, that one
    /// is put back: only what was moved away can be looked at without anybody changing it.
    private static func removeStale(_ path: String, _ stale: Identity) throws(Refused) {
        let aside = path + ".\(getpid())"
        guard unsafe rename(path, aside) == 0 else {
            if errno == ENOENT { return }
            throw Refused(description: "the unused socket \(path): \(errorName(errno))")
        }
        guard Identity(aside) == stale, isUnused(aside) else {
            _ = unsafe stardust_rename_new(aside, path)
            throw Refused(description: "another daemon is already serving on \(path)")
        }
        _ = unsafe unlink(aside)
    }

    private static func isUnused(_ path: String) -> Bool {
        do throws(UnixSocket.Failure) {
            close(try UnixSocket.connected(to: path))
            return false
        } catch { return error.errorNumber == ECONNREFUSED }
    }
}
