internal import Cleanup
internal import Glibc
internal import ObjectStore
internal import Platform
internal import StardustCore
internal import StardustHTTP

/// The part of the configuration that the clean-up uses.
struct CleanupSettings {
    /// Where assets are, and whose.
    var stores: [StoreSettings] = []
    var classes: [AssetInventory.AssetClass] = []
    var rules = RetentionRules()
    /// Who may approve a plan.
    var approvers: [AccessPolicy.Subject] = []

    init(_ object: ConfigurationObject) throws(Failure) {
        for member in object.members {
            switch member.name {
            case "assets":
                for element in try member.elements() { try add(element) }
            case "days": try readDays(try member.object())
            case "approvers":
                for element in try member.elements() {
                    approvers.append(try Self.approver(element))
                }
            default: throw member.unknown(["assets", "days", "approvers"])
            }
        }
        guard !stores.isEmpty else {
            throw object.wrong("a clean-up needs assets")
        }
    }

    /// Those of a configuration, if they can be used.
    static func required(
        _ configuration: Configuration, _ path: String
    ) throws(Failure) -> CleanupSettings {
        guard let cleanup = configuration.cleanup else {
            throw Failure(
                .badConfiguration, "\(path): cleanup is missing; Docs/Retention.md describes it")
        }
        if let overlap = cleanup.overlap(with: configuration.archive) {
            throw Failure(.badConfiguration, "\(path): \(overlap)")
        }
        return cleanup
    }

    private static func approver(
        _ object: ConfigurationObject
    ) throws(Failure) -> AccessPolicy.Subject {
        var subjects: [AccessPolicy.Subject] = []
        for member in object.members {
            switch member.name {
            case "user": subjects.append(.user(try member.userID()))
            case "group": subjects.append(.group(try member.groupID()))
            default: throw member.unknown(["user", "group"])
            }
        }
        guard subjects.count == 1 else {
            throw object.wrong("an approver is one user or one group")
        }
        return subjects[0]
    }

    private mutating func readDays(_ object: ConfigurationObject) throws(Failure) {
        for member in object.members {
            let days = try member.time(.days, in: 1...36_500)
            switch member.name {
            case "orphan": rules.orphanDays = days
            case "raw": rules.rawDays = days
            case "derived": rules.derivedDays = days
            default: throw member.unknown(["orphan", "raw", "derived"])
            }
        }
    }

    private mutating func add(_ object: ConfigurationObject) throws(Failure) {
        var (kind, column): (AssetInventory.AssetClass.Kind?, AssetColumn?)
        let store = try ArchiveSettings.store(object) { (member) throws(Failure) in
            switch member.name {
            case "class":
                let text = try member.string()
                kind = AssetInventory.AssetClass.Kind(rawValue: text)
                if kind == nil { throw member.wrong("\(text) is neither raw nor derived") }
            case "column":
                let text = try member.string()
                guard let found = AssetColumn(text) else {
                    throw member.wrong(
                        "\(text) is not a table and a column, as in videos.file_path or "
                            + "clips.metadata/file")
                }
                if let problem = ModelScan.problem(found) { throw member.wrong(problem) }
                column = found
            default: throw member.unknown(ArchiveSettings.storeMembers + ["class", "column"])
            }
        }
        guard let kind, let column else {
            throw object.wrong("assets need url, class and column")
        }
        guard store.objectLock == nil else {
            throw object.wrong("assets are not locked")
        }
        stores.append(store)
        classes.append(AssetInventory.AssetClass(url: store.url, kind: kind, column: column))
    }

    /// Servers whose URLs name buckets in their paths.
    var endpoints: Set<String> {
        Set(
            stores.compactMap { store in
                store.endpoint.map { $0.lowercased().split(separator: "/").last.map(String.init)! }
            })
    }

    /// Refuses assets that contain, or lie within, what Stardust itself needs: the ledger, its keys, the
    /// configuration, the socket, and `more`.
    func requireApart(
        from ledger: String, _ configuration: Configuration, _ more: [String]
    ) throws(Failure) {
        let own =
            [ledger, configuration.settings.keysFolder, configuration.socket].compactMap(\.self)
            + more
        for store in stores {
            guard case .folder(let path) = store.url.place else { continue }
            let root = Self.resolved(path)
            for other in own.map(Self.resolved) where Self.overlap(root, other) {
                throw Failure(
                    .badConfiguration,
                    "cleanup: the assets of \(store.url) and \(other) overlap: nothing that Stardust "
                        + "itself needs is an asset; give them places of their own")
            }
        }
    }

    private static func overlap(_ one: String, _ other: String) -> Bool {
        "\(one)/".hasPrefix("\(other)/") || "\(other)/".hasPrefix("\(one)/")
    }

    /// Without links; of a file that is not there, in its folder's.
    private static func resolved(_ path: String) -> String {
        // Safety: the system allocates the text; it is copied and freed.
        guard let resolved = unsafe realpath(path, nil) else {
            let folder = path.givenFolder
            return folder == path ? path : "\(Self.resolved(folder))/\(path.lastName)"
        }
        defer { unsafe free(resolved) }
        let text = unsafe String(cString: resolved)
        return text == "/" ? "" : text
    }

    /// Why nothing may be cleaned: assets and an archive in one place. Nil if they are apart.
    func overlap(with archive: ArchiveSettings?) -> String? {
        for (number, asset) in stores.enumerated() {
            for other in stores[..<number] where asset.overlaps(other) {
                return
                    "cleanup: the assets of \(asset.url) and \(other.url) overlap, so that one asset would be "
                    + "judged twice; name each place once"
            }
            for store in archive?.stores ?? [] where asset.overlaps(store) {
                return
                    "cleanup: the assets of \(asset.url) and the archive \(store.url) overlap: nothing "
                    + "of an archive is ever deleted; give them places of their own"
            }
        }
        return nil
    }
}

extension StoreSettings {
    /// Whether one of two places is in the other.
    fileprivate func overlaps(_ other: StoreSettings) -> Bool {
        func root(_ settings: StoreSettings) -> String {
            AssetURI(settings.url, key: "").loose.drop { $0 == "/" } + ""
        }
        guard (endpoint ?? "").lowercased() == (other.endpoint ?? "").lowercased() else {
            return false
        }
        let (one, two) = (root(self), root(other))
        return one.hasPrefix(two) || two.hasPrefix(one)
    }
}
