internal import Archive
internal import ArgumentParser
internal import ObjectStore
internal import Platform
internal import StardustCore

/// The part of the configuration that the archive process uses.
struct ArchiveSettings {
    var stores: [StoreSettings] = []
    var shipping = ArchiveProcess.Settings()
    /// Where the archive process serves the daemon; nil if nothing leaves the disk.
    var socket: String?
    /// The archive process's user; nil for the daemon's own.
    var user: UInt32?
    var cacheFolder: String?
    var cacheBytes = 1 << 30
    var retention = SegmentLeaver.Retention()
    var segmentAge = LedgerLimits.segmentAge
    private var stopAfterLag: Duration?

    init(_ object: ConfigurationObject) throws(Failure) {
        for member in object.members {
            switch member.name {
            case "stores":
                for element in try member.elements() { stores.append(try Self.store(element)) }
            case "ship_after_ms":
                shipping.shipTime = .milliseconds(
                    try member.time(.milliseconds, in: 100...3_600_000))
            case "ship_after_bytes":
                shipping.shipBytes = try member.bytes(in: 1 << 10...1 << 30)
            case "socket": socket = try member.absolutePath()
            case "drill": shipping.drill = try member.absolutePath()
            case "user": user = try member.userID()
            case "seal_after_s":
                segmentAge = .seconds(try member.time(.seconds, in: 10...30 * 86_400))
            case "stop_after_lag_s":
                stopAfterLag = .seconds(try member.time(.seconds, in: 10...30 * 86_400))
            case "cache": try readCache(try member.object())
            case "retain_local": retention = try Self.retention(try member.object())
            default:
                throw member.unknown([
                    "stores", "ship_after_ms", "ship_after_bytes", "socket", "drill", "user",
                    "seal_after_s", "stop_after_lag_s", "cache", "retain_local",
                ])
            }
        }
        retention.stopAfterLag = stopAfterLag
        guard stopAfterLag == nil || socket != nil else {
            throw object.wrong(
                "stop_after_lag_s needs socket, where the archive process says its lag")
        }
        guard !stores.isEmpty else {
            throw object.wrong("an archive needs stores")
        }
        guard Set(stores.map { "\($0.endpoint ?? "") \($0.url)" }).count == stores.count else {
            throw object.wrong("a store stands in it twice")
        }
    }

    private mutating func readCache(_ object: ConfigurationObject) throws(Failure) {
        for member in object.members {
            switch member.name {
            case "folder": cacheFolder = try member.absolutePath()
            case "bytes": cacheBytes = try member.bytes(in: 1 << 20...1 << 50)
            default: throw member.unknown(["folder", "bytes"])
            }
        }
        guard cacheFolder != nil else {
            throw object.wrong("a cache needs a folder")
        }
    }

    private static func retention(
        _ object: ConfigurationObject
    ) throws(Failure) -> SegmentLeaver.Retention {
        var retention = SegmentLeaver.Retention()
        for member in object.members {
            switch member.name {
            case "bytes": retention.bytes = try member.bytes(in: 0...1 << 50)
            case "days":
                retention.time = .seconds(try member.time(.days, in: 0...36_500) * 86_400)
            default: throw member.unknown(["bytes", "days"])
            }
        }
        return retention
    }

    /// Names of what every store may have.
    static let storeMembers = ["url", "endpoint", "region", "profile", "certificates"]

    /// Reads a store. `other` takes the members that not every store has.
    static func store(
        _ object: ConfigurationObject,
        _ other: (ConfigurationObject.Member) throws(Failure) -> Void = {
            (member) throws(Failure) in throw member.unknown(Self.storeMembers + ["object_lock"])
        }
    ) throws(Failure) -> StoreSettings {
        var settings: StoreSettings?
        var (endpoint, region, profile): (String?, String?, String?)
        var (certificates, lock): (String?, StoreSettings.ObjectLock?)
        for member in object.members {
            switch member.name {
            case "url":
                let text = try member.string()
                do throws(StoreURL.Malformed) { settings = StoreSettings(try StoreURL(text)) } catch
                {
                    throw member.wrong("\(error)")
                }
            case "endpoint":
                let text = try member.string()
                guard StoreSettings.isEndpoint(text) else {
                    throw member.wrong(
                        "\(text) is not scheme, host and port, as in https://storage.example:9000")
                }
                endpoint = text
            case "region": region = try member.string()
            case "profile": profile = try member.string()
            case "certificates": certificates = try member.string()
            case "object_lock": lock = try objectLock(try member.object())
            default: try other(member)
            }
        }
        guard var settings else {
            throw object.wrong("a store needs a url")
        }
        (settings.endpoint, settings.region, settings.profile) = (endpoint, region, profile)
        (settings.certificates, settings.objectLock) = (certificates, lock)
        return settings
    }

    private static func objectLock(
        _ object: ConfigurationObject
    ) throws(Failure) -> StoreSettings.ObjectLock {
        var (mode, days): (StoreSettings.ObjectLock.Mode?, Int?)
        for member in object.members {
            switch member.name {
            case "mode":
                let text = try member.string()
                guard let known = StoreSettings.ObjectLock.Mode(rawValue: text.uppercased()) else {
                    throw member.wrong("\(text) is neither governance nor compliance")
                }
                mode = known
            case "days": days = try member.time(.days, in: 1...36_500)
            default: throw member.unknown(["mode", "days"])
            }
        }
        guard let mode, let days else {
            throw object.wrong("a lock needs mode and days")
        }
        return StoreSettings.ObjectLock(mode, days: days)
    }
}

extension StoreSettings {
    /// Opens the store with the credentials of this process.
    func open() throws(Failure) -> any ObjectStore {
        do throws(StoreFailure) { return try open { String.environment($0) } } catch {
            throw Failure(error)
        }
    }
}

extension Failure {
    init(_ failure: StoreFailure) {
        let exit: ExitCode =
            switch failure.kind {
            case .unreachable, .source, .stopped: .unreachable
            case .refused: .badConfiguration
            case .missing, .damaged: .badInput
            }
        self.init(exit, failure.description)
    }

    init(_ failure: ArchiveFailure) {
        switch failure {
        case .store(let failure): self.init(failure)
        case .fork, .ledger: self.init(.badInput, failure.description)
        case .superseded: self.init(.locked, failure.description)
        case .promises: self.init(.badConfiguration, failure.description)
        case .file(let failure): self.init(.inputOutput, failure.description)
        }
    }
}
