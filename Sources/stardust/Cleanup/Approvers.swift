internal import Cleanup
internal import Glibc
internal import StardustCore

/// Who may approve a plan, by the users and groups of this machine.
struct Approvers {
    private let subjects: [AccessPolicy.Subject]

    init(_ subjects: [AccessPolicy.Subject]) { self.subjects = subjects }

    func contain(_ record: CleanupRecord) -> Bool { contain(record.uid, record.gid) }

    func contain(_ uid: UInt32, _ gid: UInt32) -> Bool {
        let groups = Self.groups(of: uid, gid)
        return subjects.contains { subject in
            switch subject {
            case .user(let user): user == uid
            case .group(let group): groups.contains(group)
            }
        }
    }

    /// All groups that the user is in now.
    private static func groups(of uid: UInt32, _ gid: UInt32) -> Set<UInt32> {
        // Safety: the entry is read at once, before another lookup can reuse its memory.
        guard let entry = unsafe getpwuid(uid) else { return [gid] }
        let own = unsafe entry.pointee.pw_gid
        var (count, groups): (Int32, [gid_t]) = (64, Array(repeating: 0, count: 64))
        guard let name = unsafe strdup(entry.pointee.pw_name) else { return [gid] }
        defer { unsafe free(name) }
        // With too little room the call says how much it needs.
        while unsafe getgrouplist(name, own, &groups, &count) < 0 {
            guard count > groups.count else { return [gid] }
            groups = Array(repeating: 0, count: Int(count))
        }
        return Set(groups.prefix(Int(count))).union([gid])
    }
}
