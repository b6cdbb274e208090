internal import Glibc
internal import StardustCore
internal import StardustHTTP

extension ArchiveSettings {
    /// How the daemon reaches the archive process; nil if that serves no socket.
    var access: ArchiveAccess? {
        guard let socket else { return nil }
        let users = Set([0, geteuid(), user].compactMap(\.self))
        var access = ArchiveAccess(ArchiveTransport.over(socket: socket, users: users))
        access.cacheFolder = cacheFolder
        access.cacheBytes = cacheBytes
        access.retention = retention
        return access
    }
}
