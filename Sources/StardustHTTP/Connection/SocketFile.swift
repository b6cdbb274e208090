internal import Glibc
internal import Platform

/// The socket's file.
package enum SocketFile {
    package struct Refused: Error, CustomStringConvertible {
        package var description: String
    }

    /// Creates the folder if it is missing, refuses a folder in which others could replace the
    /// socket, and removes a socket that is no longer served, such as one left by a crash.
    static func prepare(_ path: String) throws(Refused) {
        let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
        var status = stat()
        if unsafe stat(folder, &status) != 0 {
            guard errno == ENOENT, unsafe mkdir(folder, 0o750) == 0,
                unsafe stat(folder, &status) == 0
            else {
                throw Refused(description: "the socket's folder \(folder): \(errorName(errno))")
            }
        }
        if status.st_mode & 0o002 != 0 {
            throw Refused(
                description: "others may write to \(folder), so they could replace the socket; run "
                    + "`chmod o-w` on it or choose another folder with --socket")
        }
        if unsafe lstat(path, &status) == 0 {
            guard status.st_mode & S_IFMT == S_IFSOCK else {
                throw Refused(description: "\(path) exists and is not a socket")
            }
            guard !isServed(path) else {
                throw Refused(description: "another daemon is already serving on \(path)")
            }
            _ = unsafe unlink(path)
        }
    }

    /// Whether a process accepts connections there.
    private static func isServed(_ path: String) -> Bool {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        defer { Glibc.close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        guard path.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else { return false }
        unsafe withUnsafeMutableBytes(of: &address.sun_path) {
            unsafe $0.copyBytes(from: path.utf8)
        }
        let size = socklen_t(MemoryLayout<sockaddr_un>.size)
        // Safety: the address is a sockaddr_un for the duration of the call.
        return unsafe withUnsafePointer(to: &address) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe connect(descriptor, $0, size) == 0
            }
        }
    }

    /// Identifies the socket's file, so that no other file is removed in its place.
    struct Place: Sendable {
        var device: UInt64
        var inode: UInt64
    }

    private static func place(of path: String) -> Place? {
        var status = stat()
        guard unsafe lstat(path, &status) == 0 else { return nil }
        return Place(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
    }

    static func restrict(_ path: String) throws(Refused) -> Place {
        guard unsafe chmod(path, 0o660) == 0 else {
            throw Refused(description: "permissions of \(path): \(errorName(errno))")
        }
        guard let place = place(of: path) else {
            throw Refused(description: "\(path) has disappeared: \(errorName(errno))")
        }
        return place
    }

    /// Removes the socket if it is still ours.
    static func remove(_ path: String, at place: Place) {
        let found = Self.place(of: path)
        guard found?.device == place.device, found?.inode == place.inode else { return }
        _ = unsafe unlink(path)
    }
}
