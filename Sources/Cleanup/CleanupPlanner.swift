package import LedgerFormat
package import LedgerStorage
package import ObjectStore
package import ReadModel

/// Judges every asset: lists the stores, then asks rows and packets who names what.
package struct CleanupPlanner: ~Copyable {
    private let ledger: LedgerMap
    private let rules: RetentionRules
    private let now: Timestamp
    var inventory: AssetInventory
    private let endpoints: Set<String>
    private var packets = PacketNames()

    /// Why there is no plan.
    package enum Failure: Error, CustomStringConvertible {
        case store(StoreFailure)
        case model(SQLiteFailure)
        case packets(ReadFailure)
        /// The listing, or the plan, looks like a mistake in the settings.
        case unlikely(String)
        /// The settings cannot be right.
        case settings(String)

        package var description: String {
            switch self {
            case .store(let failure): failure.description
            case .model(let failure): failure.description
            case .packets(let failure): failure.description
            case .unlikely(let detail), .settings(let detail): detail
            }
        }
    }

    package init(
        _ classes: [AssetInventory.AssetClass], _ ledger: LedgerMap, _ rules: RetentionRules,
        endpoints: Set<String>, now: Timestamp
    ) {
        (self.ledger, self.rules, self.now) = (ledger, rules, now)
        inventory = AssetInventory(classes)
        self.endpoints = endpoints
    }

    // MARK: Looking

    /// Asks the packets, and then the rows, at the read model's one moment.
    package mutating func read(_ connection: SQLiteConnection) throws(Failure) {
        var inventory = AssetInventory([])
        swap(&inventory, &self.inventory)
        defer { swap(&inventory, &self.inventory) }
        inventory.seal()
        try packets.read(ledger, &inventory)
        let scan = ModelScan(connection, endpoints: endpoints)
        let packets = packets
        for column in Set(inventory.classes.map(\.column)).sorted(by: { "\($0)" < "\($1)" }) {
            var (absence, counts): (String?, (names: Int, listed: Int)) = (nil, (0, 0))
            do throws(SQLiteFailure) {
                absence = try scan.absence(of: column)
                if absence == nil {
                    counts = try scan.readOwners(of: column, &inventory) { packets.isDeleted($0) }
                }
            } catch { throw .model(error) }
            if let absence { throw .settings(absence) }
            try Self.check(column, counts, inventory)
        }
        do throws(SQLiteFailure) { try scan.readMentions(&inventory) } catch { throw .model(error) }
    }

    /// What a wrong place or column looks like: the rows' assets are not where the listing looks.
    private static func check(
        _ column: AssetColumn, _ counts: (names: Int, listed: Int), _ inventory: AssetInventory
    ) throws(Failure) {
        let urls = inventory.classes.filter { $0.column == column }.map { "\($0.url)" }
            .joined(separator: ", ")
        let listed = inventory.count(of: column)
        if listed > 0, counts.listed == 0 {
            throw .unlikely(
                "\(urls): \(listed) assets are listed, but no row's \(column) names one of them "
                    + "(\(counts.names) rows name something); correct url or column")
        }
        guard counts.listed * 2 < counts.names else { return }
        throw .unlikely(
            "\(urls): \(counts.names) rows name an asset in \(column), and only \(counts.listed) of those "
                + "are listed; is it the right url, is the disk mounted, and does the listing show "
                + "everything?")
    }

    // MARK: The plan

    /// What may go: the plan but for its items, and how many of those there are.
    package struct Judged {
        package var plan: CleanupPlan
        package var assets: Int { indices.count }
        package var bytes: Int { findings.values.reduce(0) { $0 + $1.bytes } }
        /// How many of each finding.
        package var findings: [RetentionRules.Finding: (assets: Int, bytes: Int)]
        fileprivate var indices: [Int]
        fileprivate var wanted: Set<String>
    }

    /// Judges every asset. `wanted` are derived assets that a person named; `allowsLarge` accepts a plan over a
    /// fifth of everything.
    package mutating func judge(
        ledgerID: UUID128, lsn: String, model: Int, wanted: [AssetURI], allowsLarge: Bool
    ) throws(Failure) -> Judged {
        let wanted = Set(wanted.map(\.loose))
        var kept = KeptAssets()
        var findings: [RetentionRules.Finding: (assets: Int, bytes: Int)] = [:]
        let indices = inventory.listed { index in
            switch verdict(on: index, wanted) {
            case .goes(let finding, _):
                let known = findings[finding] ?? (0, 0)
                findings[finding] = (known.assets + 1, known.bytes + inventory[index].bytes)
                return true
            case .stays(let reason):
                kept.add(reason, inventory[index].bytes) { inventory.uri(index).description }
                return false
            }
        }
        let bytes = findings.values.reduce(0) { $0 + $1.bytes }
        let (all, allBytes) = (inventory.count, inventory.bytes)
        guard allowsLarge || (indices.count * 5 <= all && bytes * 5 <= allBytes) else {
            let parts = RetentionRules.Finding.allCases.compactMap { finding in
                findings[finding].map { "\(finding.rawValue): \($0.assets)" }
            }
            throw .unlikely(
                "\(indices.count) of \(all) assets (\(parts.joined(separator: ", "))) and \(bytes) of "
                    + "\(allBytes) bytes would go, more than a fifth. Look at cleanup.assets and "
                    + "cleanup.days first; if all of them are meant, use --allow-large")
        }
        let plan = CleanupPlan(
            ledgerID: ledgerID, lsn: lsn, model: model, ledgerSize: ledger.head.size.entries,
            made: now, objects: all, bytes: allBytes, kept: kept.groups, items: [],
            rules: rules, places: inventory.classes)
        return Judged(plan: plan, findings: findings, indices: indices, wanted: wanted)
    }

    private func verdict(on index: Int, _ wanted: Set<String>) -> RetentionRules.Verdict {
        let verdict = rules.verdict(
            on: index, of: inventory, now: now,
            isWanted: !wanted.isEmpty && wanted.contains(inventory.uri(index).loose))
        guard case .goes = verdict, packets.isDecided(inventory.uri(index), now: now) else {
            return verdict
        }
        return .stays(.decided)
    }

    /// Why an asset that a person named does not go; nil if it does.
    package func obstacle(to wanted: AssetURI) -> String? {
        let found = inventory.indices(of: wanted)
        guard let index = found.first else { return "it is not listed" }
        guard inventory.classes[inventory[index].of].kind == .derived else {
            return "it is a download, and only derived assets go by name"
        }
        guard case .stays(let reason) = verdict(on: index, [wanted.loose]) else { return nil }
        return reason.words
    }

    /// Passes what may go to `take`, as the stores list it.
    package func items<Problem: Error>(
        of judged: Judged, using generator: inout some RandomNumberGenerator,
        _ take: (CleanupPlan.Item) throws(Problem) -> Void
    ) throws(Problem) {
        for index in judged.indices {
            guard case .goes(let finding, let daysOver) = verdict(on: index, judged.wanted) else {
                continue
            }
            let (entry, uri) = (inventory[index], inventory.uri(index))
            try take(
                CleanupPlan.Item(
                    uri: uri.description, kind: inventory.classes[entry.of].kind,
                    finding: finding, bytes: entry.bytes, tag: inventory.tag(index),
                    changed: entry.changed, daysOver: daysOver,
                    owner: inventory.owner(index).map { "\($0.table)/\($0.id)" },
                    isWanted: !judged.wanted.isEmpty && judged.wanted.contains(uri.loose),
                    records: CleanupPlan.Records(using: &generator)))
        }
    }
}
