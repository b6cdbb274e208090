package import LedgerFormat

/// What a peer may do. Roles are not ordered, except that `audit` includes `read` and `admin`
/// includes everything. `append` never implies `read`.
package enum Role: String, CaseIterable, Sendable {
    case append, read, audit, admin
}

/// Who is connected, as reported by the kernel.
package struct PeerIdentity: Hashable, Sendable {
    package var uid: UInt32
    package var gid: UInt32
    /// Supplementary groups.
    package var groups: [UInt32]

    package init(uid: UInt32, gid: UInt32, groups: [UInt32] = []) {
        self.uid = uid
        self.gid = gid
        self.groups = groups
    }

    package var peer: Entry.Peer { Entry.Peer(uid: uid, gid: gid) }
}

/// Maps peers to roles. Without rules, only the daemon's own user and root may do anything.
package struct AccessPolicy: Hashable, Sendable {
    package var ownUser: UInt32
    package var rules: [Rule] = []

    package struct Rule: Hashable, Sendable {
        package var subject: Subject
        package var roles: Set<Role>
        /// Entity types the subject may append; nil for every type.
        package var entityTypes: Set<String>?

        package init(_ subject: Subject, _ roles: Set<Role>, entityTypes: Set<String>? = nil) {
            self.subject = subject
            self.roles = roles
            self.entityTypes = entityTypes
        }
    }

    package enum Subject: Hashable, Sendable {
        case user(UInt32)
        case group(UInt32)
    }

    package init(ownUser: UInt32, rules: [Rule] = []) {
        self.ownUser = ownUser
        self.rules = rules
    }

    /// What a peer may do.
    package func grant(_ peer: PeerIdentity) -> Grant {
        if peer.uid == ownUser || peer.uid == 0 {
            return Grant(roles: [.admin], entityTypes: nil)
        }
        var grant = Grant(roles: [], entityTypes: [])
        for rule in rules where rule.subject.matches(peer) {
            grant.roles.formUnion(rule.roles)
            guard rule.roles.contains(.append) || rule.roles.contains(.admin) else { continue }
            if let types = rule.entityTypes {
                grant.entityTypes?.formUnion(types)
            } else {
                grant.entityTypes = nil
            }
        }
        return grant
    }

    package struct Grant: Hashable, Sendable {
        package var roles: Set<Role>
        /// Types that may be appended; nil for all.
        package var entityTypes: Set<String>?

        package func allows(_ role: Role) -> Bool {
            if roles.contains(.admin) || roles.contains(role) { return true }
            return role == .read && roles.contains(.audit)
        }

        /// Only packets of some types may be appended.
        package var isLimited: Bool { entityTypes != nil }

        package func allowsAppending(_ entityType: String) -> Bool {
            entityTypes?.contains(entityType) ?? true
        }
    }
}

extension AccessPolicy.Subject {
    fileprivate func matches(_ peer: PeerIdentity) -> Bool {
        switch self {
        case .user(let uid): peer.uid == uid
        case .group(let gid): peer.gid == gid || peer.groups.contains(gid)
        }
    }
}
