internal import Glibc
internal import LedgerFormat
internal import LedgerStorage
internal import Logging
internal import Packets
internal import Platform
internal import Replication
internal import StardustCore
internal import StardustHTTP

/// The daemon's settings: JSON objects, read by the strict parser used for packets.
struct Configuration {
    var socket: String?
    /// The group that may connect; nil for the process's own.
    var socketGroup: UInt32?
    var settings = RunningLedger.Settings()
    /// The PostgreSQL the read model follows.
    var source: SyncSettings?
    /// Where the archive process ships the ledger to.
    var archive: ArchiveSettings?
    /// Where assets are that may be cleaned up.
    var cleanup: CleanupSettings?
    /// Where a copy of the private key is, for people.
    var keyEscrow: String?
    /// The main file; nil for the defaults.
    private(set) var path: String?
    /// Where reads are logged: a path, or the log.
    var accessLog: String?
    /// Which lines the log has.
    var logLevel = Logger.Level.info
    /// What names this machine among a ledger's writers; nil for a hash of its machine-id.
    var machine: String?

    /// Each member that a file has, by its name: where, and what it is.
    private(set) var origins: [String: (place: String, source: String)] = [:]
    /// The same of the members of `archive`.
    private(set) var archiveOrigins: [String: String] = [:]

    /// Reads all files of a configuration; uses the defaults if there is no path. A member of a later file
    /// replaces that of an earlier one; rules of `access` add up. Without `resolves` nothing is looked up, neither
    /// users nor other files.
    init(path: String?, resolves: Bool = true) throws(Failure) {
        self.path = path
        guard let path else { return }
        for file in try ConfigurationFile.all(path, resolves: resolves) {
            try read(try ConfigurationObject(file))
        }
        try check(path)
        if resolves { try checkFolders() }
    }

    /// Refuses places that are not there.
    private func checkFolders() throws(Failure) {
        let log = accessLog.flatMap { $0 == AccessLog.journal ? nil : $0.givenFolder }
        for case (let name, let folder?) in [
            ("access_log", log), ("records", settings.recordsFolder),
        ] {
            var status = stat()
            guard unsafe stat(folder, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
                throw Failure(
                    .badConfiguration,
                    "\(origins[name]?.place ?? name): the folder \(folder) does not exist")
            }
        }
    }

    private mutating func read(_ object: ConfigurationObject) throws(Failure) {
        for member in object.members {
            origins[member.name] = (member.place, member.source)
            switch member.name {
            case "socket": socket = try member.string()
            case "socket_group": socketGroup = try member.groupID()
            case "segment_bytes":
                settings.segmentBytes = try member.bytes(
                    in: 1 << 16...StorageLimits.segmentBytesMax)
            case "packet_bytes_max":
                settings.packetBytes = try member.bytes(in: 1024...PacketLimits.packetBytesMax)
            case "in_flight_bytes_max":
                settings.bytesInFlight = try member.bytes(in: 1 << 20...1 << 32)
            case "query_ms_max":
                settings.queryTime = .milliseconds(
                    try member.time(.milliseconds, in: 10...600_000))
            case "clock_step_days_max":
                settings.clockStepMax = .seconds(try member.time(.days, in: 1...36_500) * 86_400)
            case "witness_policy":
                let path = try member.string()
                if member.resolves { settings.witnessPolicy = try witnessPolicy(path) }
            case "keys": settings.keysFolder = try member.string()
            case "model": source = try source(try member.object())
            case "archive":
                archive = try ArchiveSettings(try member.object())
                archiveOrigins = try member.object().sources
            case "cleanup": cleanup = try CleanupSettings(try member.object())
            case "forbidden":
                for text in try member.strings() {
                    guard let path = Self.pointer(text) else {
                        throw member.wrong(
                            "\(text) is not a JSON Pointer to a member, as in /lineage/username")
                    }
                    settings.forbidden.append(path)
                }
            case "log_level":
                let text = try member.string()
                guard let level = Self.logLevels[text] else {
                    throw member.wrong("\(text) is not one of debug, info, notice, warning, error")
                }
                logLevel = level
            case "access_log": accessLog = try accessLog(member)
            case "key_escrow": keyEscrow = try member.string()
            case "records": settings.recordsFolder = try member.absolutePath()
            case "machine":
                let text = try member.string()
                guard EpochNote.isMachine(text) else {
                    throw member.wrong(
                        "\(text) is not a name of at most 100 letters, digits, dots, dashes and "
                            + "underscores")
                }
                machine = text
            case "access":
                for element in try member.elements() {
                    settings.access.rules.append(try rule(element))
                }
            default: throw member.unknown(Setting.allCases.map(\.rawValue))
            }
        }
    }

    private func accessLog(_ member: ConfigurationObject.Member) throws(Failure) -> String {
        let text = try member.string()
        guard text == AccessLog.journal || text.hasPrefix("/") else {
            throw member.wrong("\(text) is neither an absolute path nor \(AccessLog.journal)")
        }
        return text
    }

    /// Opens what the daemon writes to. It is nothing that the daemon reads: neither in the folder of the ledger or
    /// of its keys, nor a file of the configuration.
    mutating func openAccessLog(beside ledger: String) throws(Failure) {
        guard let accessLog else { return }
        if accessLog != AccessLog.journal {
            let folder = accessLog.givenFolder.resolved
            let kept = [ledger, settings.keysFolder].compactMap { $0?.resolved }
            let files =
                (try path.map { (path) throws(Failure) in
                    try ConfigurationFile.all(path, resolves: false).map(\.path.resolved)
                }) ?? []
            guard !kept.contains(where: { folder == $0 || folder.hasPrefix($0 + "/") }),
                !files.contains(accessLog.resolved)
            else {
                throw Failure(
                    .badConfiguration,
                    "access_log: \(accessLog) is a file, or in a folder, that the daemon reads; choose "
                        + "another place, such as /var/log/stardust/access.log")
            }
        }
        do throws(FileFailure) { settings.accessLog = try AccessLog(target: accessLog) } catch {
            let reason =
                error.errorNumber == EINVAL ? "\(accessLog) is not a regular file" : "\(error)"
            throw Failure(.cannotCreate, "access_log: \(reason)")
        }
    }

    private static let logLevels: [String: Logger.Level] = [
        "debug": .debug, "info": .info, "notice": .notice, "warning": .warning, "error": .error,
    ]

    /// What several settings together must be.
    private func check(_ path: String) throws(Failure) {
        let least = StorageLimits.segmentBytesMin(payloadBytes: settings.packetBytes)
        guard settings.segmentBytes >= least else {
            throw Failure(
                .badConfiguration,
                "\(path): segment_bytes must be at least \(least) to hold a packet of "
                    + "packet_bytes_max")
        }
        guard settings.bytesInFlight >= settings.packetBytes else {
            throw Failure(
                .badConfiguration,
                "\(path): in_flight_bytes_max must be at least packet_bytes_max")
        }
    }

    /// The names in a JSON Pointer (RFC 6901); nil if it is none, or of the whole packet.
    private static func pointer(_ text: String) -> [String]? {
        let unescaped = text.replacing("~0", with: "").replacing("~1", with: "")
        guard text.hasPrefix("/"), text.count > 1, !unescaped.contains("~") else { return nil }
        return text.dropFirst().split(separator: "/", omittingEmptySubsequences: false).map {
            String($0.replacing("~1", with: "/").replacing("~0", with: "~"))
        }
    }

    /// Refuses addresses that the daemon cannot ask, and a quorum that can never be reached.
    private func witnessPolicy(_ path: String) throws(Failure) -> WitnessPolicy {
        try ConfigurationFile.checkOwner(path)
        let policy = try InputFile.policy(path, .badConfiguration)
        for witness in policy.witnesses {
            guard let url = witness.url, WitnessAddress(url) == nil else { continue }
            throw Failure(
                .badConfiguration,
                "\(path): \(witness.name): \(url) is neither http://host:port nor unix:/path")
        }
        guard policy.canBeSatisfied else {
            throw Failure(
                .badConfiguration,
                "\(path): the quorum needs witnesses that have no address, so nothing would ever "
                    + "be published")
        }
        return policy
    }

    /// Refuses another ledger's policy.
    func checkPolicy(_ origin: String) throws(Failure) {
        let logs = settings.witnessPolicy.logs
        guard !logs.isEmpty,
            !logs.contains(where: { $0.keyName.name.elementsEqual(origin.utf8) })
        else { return }
        throw Failure(
            .badConfiguration,
            "witness_policy: none of its log lines names this ledger, \(origin)")
    }

    private func source(_ object: ConfigurationObject) throws(Failure) -> SyncSettings {
        #if !PostgreSQL
            throw object.wrong("this program was built without PostgreSQL")
        #else
            var settings = SyncSettings(source: "")
            for member in object.members {
                switch member.name {
                case "from": settings.source = try member.string()
                case "slot": settings.slot = try member.string()
                case "publication": settings.publication = try member.string()
                case "schema": settings.schema = try member.string()
                case "retained_bytes_warning":
                    settings.retainedBytesWarning = Int64(
                        try member.bytes(in: 1 << 20...1 << 50))
                case "create": settings.creates = try member.boolean()
                default:
                    throw member.unknown([
                        "from", "slot", "publication", "schema", "retained_bytes_warning", "create",
                    ])
                }
            }
            guard !settings.source.isEmpty else {
                throw object.wrong("from must name the PostgreSQL to follow")
            }
            if let obstacle = settings.obstacle {
                throw object.wrong(obstacle)
            }
            do throws(SourceAddress.Malformed) { _ = try SourceAddress(settings.source) } catch {
                throw object.wrong("from: \(error)")
            }
            return settings
        #endif
    }

    private func rule(_ object: ConfigurationObject) throws(Failure) -> AccessPolicy.Rule {
        var subjects: [AccessPolicy.Subject] = []
        var roles: Set<Role> = []
        var types: Set<String>?
        for member in object.members {
            switch member.name {
            case "user": subjects.append(.user(try member.userID()))
            case "group": subjects.append(.group(try member.groupID()))
            case "roles":
                for name in try member.strings() {
                    guard let role = Role(rawValue: name) else {
                        throw member.wrong("\(name) is not one of append, read, audit, admin")
                    }
                    roles.insert(role)
                }
            case "entity_types":
                types = Set(try member.strings())
                for type in types! where !EntityTypes.mayBe(type) {
                    throw member.wrong(
                        "no packet can have the entity type \(type): it is not one of "
                            + EntityTypes.known.joined(separator: ", ")
                            + ", nor x_ and a name of its own")
                }
            default: throw member.unknown(["user", "group", "roles", "entity_types"])
            }
        }
        guard let subject = subjects.first, subjects.count == 1 else {
            throw object.wrong("an access rule needs one user or group")
        }
        guard !roles.isEmpty else {
            throw object.wrong("an access rule needs roles")
        }
        if let types {
            guard roles.contains(.append), !roles.contains(.admin) else {
                throw object.wrong(
                    "entity_types limits what append may emit; a rule that has it "
                        + "needs the role append, and cannot have admin, which may emit everything")
            }
            guard !types.isEmpty else {
                throw object.wrong(
                    "entity_types is empty, so nothing could be appended; leave it "
                        + "out to allow all types")
            }
        }
        return AccessPolicy.Rule(subject, roles, entityTypes: types)
    }
}
