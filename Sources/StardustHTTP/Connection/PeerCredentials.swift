internal import Glibc
internal import NIOCore
internal import NIOPosix

/// Credentials of the process at the other end, as reported by the kernel.
enum PeerCredentials {
    private static let groupsMax = 1024
    /// SO_PEERGROUPS from <asm-generic/socket.h>, which Glibc does not import.
    private static let peerGroups: CInt = 59

    /// `struct ucred` of unix(7).
    private struct Credentials {
        var pid: Int32
        var uid: UInt32
        var gid: UInt32
    }

    static func identity(of channel: any Channel) -> EventLoopFuture<PeerIdentity> {
        guard let provider = channel as? any SocketOptionProvider else {
            preconditionFailure("a Unix socket has socket options")
        }
        // Safety: SO_PEERCRED fills the kernel's `struct ucred`, SO_PEERGROUPS an array of group
        // ids; the rest of the array stays zero. Group 0 therefore never counts as supplementary.
        let credentials: EventLoopFuture<Credentials> = provider.unsafeGetSocketOption(
            level: .socket, name: NIOBSDSocket.Option(rawValue: SO_PEERCRED))
        let groups: EventLoopFuture<InlineArray<1024, UInt32>> = provider.unsafeGetSocketOption(
            level: .socket, name: NIOBSDSocket.Option(rawValue: peerGroups))
        return credentials.flatMap { credentials in
            groups.map { groups in
                (0..<groupsMax).map { groups[$0] }.filter { $0 != 0 }
            }
            // If the groups do not fit, none count: default deny.
            .recover { _ in [] }
            .map { PeerIdentity(uid: credentials.uid, gid: credentials.gid, groups: $0) }
        }
    }
}
