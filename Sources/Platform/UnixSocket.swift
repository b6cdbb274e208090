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

    /// The path that a socket is bound to; nil if it has none.
    package static func path(of descriptor: Int32) -> String? {
        var (address, size) = (sockaddr_un(), socklen_t(MemoryLayout<sockaddr_un>.size))
        // Safety: the address is a sockaddr_un for the duration of the call, which writes no more.
        let status = unsafe withUnsafeMutablePointer(to: &address) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe getsockname(descriptor, $0, &size)
            }
        }
        guard status == 0, address.sun_family == sa_family_t(AF_UNIX) else { return nil }
        let bytes = unsafe withUnsafeBytes(of: &address.sun_path) { path in
            unsafe Array(path.prefix { $0 != 0 })
        }
        return bytes.isEmpty ? nil : String(decoding: bytes, as: UTF8.self)
    }

    /// Sends a datagram to a path, or to an abstract name that begins with `@` (unix(7)). Nobody may be there, or
    /// nobody may read: it is not waited for.
    static func send(_ bytes: [UInt8], to name: String) {
        guard name.utf8.count <= pathBytesMax else { return }
        let kind = Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue)
        let descriptor = socket(AF_UNIX, kind, 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { path in
            unsafe path.copyBytes(from: name.utf8)
            if name.hasPrefix("@") { unsafe path[0] = 0 }
        }
        // An abstract name ends with the address, a path with a zero byte.
        let head = MemoryLayout<sockaddr_un>.size - MemoryLayout.size(ofValue: address.sun_path)
        let size = socklen_t(head + name.utf8.count + (name.hasPrefix("@") ? 0 : 1))
        // Safety: the address is a sockaddr_un for the duration of the call.
        _ = unsafe withUnsafePointer(to: &address) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                unsafe bytes.withUnsafeBytes {
                    unsafe sendto(
                        descriptor, $0.baseAddress, $0.count,
                        Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT), address,
                        size)
                }
            }
        }
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
