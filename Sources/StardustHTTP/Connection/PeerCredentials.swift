internal import CPlatform
internal import StardustCore

extension PeerIdentity {
    private static let groupsMax = 1024

    /// The process at the other end of a Unix socket, as the kernel reports it; nil if it does not.
    /// If its supplementary groups are too many, none count: default deny.
    init?(descriptor: Int32) {
        var (uid, gid): (UInt32, UInt32) = (0, 0)
        var count = Self.groupsMax
        var status: Int32 = 0
        // Safety: the array has room for `count` groups, and the call says how many it has written.
        let groups = unsafe [UInt32](unsafeUninitializedCapacity: count) { room, used in
            status = unsafe stardust_peer(descriptor, &uid, &gid, room.baseAddress, &count)
            used = status == 0 ? count : 0
        }
        guard status == 0 else { return nil }
        self.init(uid: uid, gid: gid, groups: groups)
    }
}
