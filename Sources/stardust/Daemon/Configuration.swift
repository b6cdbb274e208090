internal import Glibc
internal import LedgerFormat
internal import LedgerStorage
internal import Packets
internal import Platform
internal import Replication
internal import StardustCore
internal import StardustHTTP

/// The daemon's configuration file: one JSON object, read by the strict parser used for packets.
struct Configuration {
    var socket: String?
    /// The group that may connect; nil for the process's own.
    var socketGroup: UInt32?
    var settings = RunningLedger.Settings()
    var policy = AccessPolicy(ownUser: geteuid())
    /// The PostgreSQL the read model follows.
    var source: SyncSettings?
    /// Where the archive process ships the ledger to.
    var archive: ArchiveSettings?
    /// Where assets are that may be cleaned up.
    var cleanup: CleanupSettings?
    /// What names this machine among a ledger's writers; nil for a hash of its machine-id.
    var machine: String?

    /// Uses the defaults if there is no path.
    init(path: String?) throws(Failure) {
        guard let path else { return }
        let content: [UInt8]
        try Self.checkOwner(path)
        do throws(FileFailure) {
            content = try PosixVolume(root: path.givenFolder)
                .content(of: path.lastName)
        } catch { throw Failure(.cannotOpenInput, error.description) }
        let document: JSONDocument
        do throws(JSONError) { document = try JSONDocument(content) } catch {
            throw Failure(.badConfiguration, "\(path): \(error)")
        }
        try read(ConfigurationObject(document, path: path))
    }

    /// Refuses a file that others could change: it decides who may do what.
    private static func checkOwner(_ path: String) throws(Failure) {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw Failure(.badConfiguration, "\(path) is not a regular file")
        }
        let isOurs = status.st_uid == 0 || status.st_uid == geteuid()
        guard isOurs, status.st_mode & 0o022 == 0 else {
            throw Failure(
                .badConfiguration,
                "\(path) can be changed by others: it must belong to root or to the daemon's user, "
                    + "and neither group nor others may write to it; "
                    + "run `\(isOurs ? "chmod go-w" : "chown root") \(path)`")
        }
        let folder = path.givenFolder
        guard unsafe stat(folder, &status) == 0, status.st_mode & 0o002 != 0,
            status.st_mode & UInt32(S_ISVTX) == 0
        else { return }
        throw Failure(
            .badConfiguration,
            "\(path) can be replaced by others, because everybody may write to \(folder); move it to "
                + "a folder that only root or the daemon's user may write to, such as /etc/stardust"
        )
    }

    private mutating func read(_ object: ConfigurationObject) throws(Failure) {
        for member in object.members {
            switch member.name {
            case "socket": socket = try member.string()
            case "socket_group": socketGroup = try member.groupID()
            case "segment_bytes":
                settings.segmentBytes = try member.integer(
                    in: 1 << 16...StorageLimits.segmentBytesMax)
            case "packet_bytes_max":
                settings.packetBytes = try member.integer(in: 1024...PacketLimits.packetBytesMax)
            case "in_flight_bytes_max":
                settings.bytesInFlight = try member.integer(in: 1 << 20...1 << 32)
            case "query_ms_max":
                settings.queryTime = .milliseconds(try member.integer(in: 10...600_000))
            case "clock_step_days_max":
                settings.clockStepMax = .seconds(try member.integer(in: 1...36_500) * 86_400)
            case "witness_policy": settings.witnessPolicy = try witnessPolicy(try member.string())
            case "keys": settings.keysFolder = try member.string()
            case "model": source = try source(try member.object())
            case "archive": archive = try ArchiveSettings(try member.object())
            case "cleanup": cleanup = try CleanupSettings(try member.object())
            case "forbidden":
                for text in try member.strings() {
                    guard let path = Self.pointer(text) else {
                        throw member.wrong(
                            "\(text) is not a JSON Pointer to a member, as in /lineage/username")
                    }
                    settings.forbidden.append(path)
                }
            case "machine":
                let text = try member.string()
                guard EpochNote.isMachine(text) else {
                    throw member.wrong(
                        "\(text) is not a name of at most 100 letters, digits, dots, dashes and "
                            + "underscores")
                }
                machine = text
            case "access":
                for element in try member.elements() { policy.rules.append(try rule(element)) }
            default: throw member.unknown
            }
        }
        let least = StorageLimits.segmentBytesMin(payloadBytes: settings.packetBytes)
        guard settings.segmentBytes >= least else {
            throw Failure(
                .badConfiguration,
                "\(object.path): segment_bytes must be at least \(least) to hold a packet of "
                    + "packet_bytes_max")
        }
        guard settings.bytesInFlight >= settings.packetBytes else {
            throw Failure(
                .badConfiguration,
                "\(object.path): in_flight_bytes_max must be at least packet_bytes_max")
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
        try Self.checkOwner(path)
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

    private func source(_ object: ConfigurationObject) throws(Failure) -> SyncSettings {
        #if !PostgreSQL
            throw Failure(
                .badConfiguration, "\(object.path): this program was built without PostgreSQL")
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
                        try member.integer(in: 1 << 20...1 << 50))
                case "create": settings.creates = try member.boolean()
                default: throw member.unknown
                }
            }
            guard !settings.source.isEmpty else {
                throw Failure(
                    .badConfiguration, "\(object.path): from must name the PostgreSQL to follow")
            }
            if let obstacle = settings.obstacle {
                throw Failure(.badConfiguration, "\(object.path): \(obstacle)")
            }
            do throws(SourceAddress.Malformed) { _ = try SourceAddress(settings.source) } catch {
                throw Failure(.badConfiguration, "\(object.path): from: \(error)")
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
            default: throw member.unknown
            }
        }
        guard let subject = subjects.first, subjects.count == 1 else {
            throw Failure(
                .badConfiguration, "\(object.path): an access rule needs one user or group")
        }
        guard !roles.isEmpty else {
            throw Failure(.badConfiguration, "\(object.path): an access rule needs roles")
        }
        if let types {
            guard roles.contains(.append), !roles.contains(.admin) else {
                throw Failure(
                    .badConfiguration,
                    "\(object.path): entity_types limits what append may emit; a rule that has it "
                        + "needs the role append, and cannot have admin, which may emit everything")
            }
            guard !types.isEmpty else {
                throw Failure(
                    .badConfiguration,
                    "\(object.path): entity_types is empty, so nothing could be appended; leave it "
                        + "out to allow all types")
            }
        }
        return AccessPolicy.Rule(subject, roles, entityTypes: types)
    }
}
