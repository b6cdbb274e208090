internal import Glibc

/// Unix stream sockets by path. Nothing here waits: a descriptor it returns does not block.
package enum UnixSocket {
    /// The longest path that the kernel takes with the zero byte that other programs expect.
    package static let pathBytesMax = MemoryLayout.size(ofValue: sockaddr_un().sun_path) - 1

    package enum Failure: Error, Hashable, Sendable, CustomStringConvertible {
        case pathTooLong(String)
        case system(path: String, errorNumber: Int32)

        package var description: String {
            switch self {
            case .pathTooLong(let path):
                "the socket's path has \(path.utf8.count) bytes, but the system takes at most "
                    + "\(pathBytesMax): \(path)"
            case .system(let path, let number): "\(path): \(errorName(number))"
            }
        }

        /// 0 if the path is too long.
        package var errorNumber: Int32 {
            if case .system(_, let number) = self { number } else { 0 }
        }
    }

    /// A socket connected to the one at `path`. `EAGAIN` means that its backlog is full.
    package static func connected(to path: String) throws(Failure) -> Int32 {
        try unsafe descriptor(path) { unsafe connect($0, $1, $2) }
    }

    /// A socket that listens at `path`, where nothing may be. Until `chmod` widens it, only this
    /// user can connect. Calls `made` once the file is there, before anybody can connect.
    package static func listening(
        at path: String, backlog: Int32, made look: () -> Void = {}
    ) throws(Failure) -> Int32 {
        let made = try unsafe descriptor(path) { descriptor, address, size in
            guard fchmod(descriptor, 0o600) == 0 else { return -1 }
            return unsafe bind(descriptor, address, size)
        }
        look()
        guard listen(made, backlog) == 0 else {
            let number = errno
            close(made)
            throw .system(path: path, errorNumber: number)
        }
        return made
    }

    private static func descriptor(
        _ path: String, _ use: (Int32, UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) throws(Failure) -> Int32 {
        guard path.utf8.count <= pathBytesMax else { throw .pathTooLong(path) }
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        let descriptor = socket(AF_UNIX, kind, 0)
        guard descriptor >= 0 else { throw .system(path: path, errorNumber: errno) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) {
            unsafe $0.copyBytes(from: path.utf8)
        }
        let size = socklen_t(MemoryLayout<sockaddr_un>.size)
        // Safety: the address is a sockaddr_un for the duration of the call.
        let status = unsafe withUnsafePointer(to: &address) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe use(descriptor, $0, size)
            }
        }
        guard status == 0 else {
            let number = errno
            close(descriptor)
            throw .system(path: path, errorNumber: number)
        }
        return descriptor
    }
}
