package import LedgerFormat
package import LedgerStorage
package import ObjectStore
internal import Packets
package import ReadModel

/// Judges every asset: lists the stores, then asks rows and packets who names what.
package struct CleanupPlanner: ~Copyable {
    private let ledger: LedgerMap
    private let rules: RetentionRules
    private let now: Timestamp
    var inventory: AssetInventory
    private let scanner: NameScanner

    /// Why there is no plan.
    package enum Failure: Error, CustomStringConvertible {
        case store(StoreFailure)
        case model(SQLiteFailure)
        case packets(ReadFailure)
        /// The listing, or the plan, looks like a mistake in the settings.
        case unlikely(String)

        package var description: String {
            switch self {
            case .store(let failure): failure.description
            case .model(let failure): failure.description
            case .packets(let failure): failure.description
            case .unlikely(let detail): detail
            }
        }
    }

    package init(
        _ classes: [AssetInventory.AssetClass], _ ledger: LedgerMap, _ rules: RetentionRules,
        endpoints: Set<String>, now: Timestamp
    ) {
        (self.ledger, self.rules, self.now) = (ledger, rules, now)
        inventory = AssetInventory(classes)
        scanner = NameScanner(endpoints: endpoints)
    }

    // MARK: Looking

    /// Asks the rows, at the read model's one moment, and then the packets.
    package mutating func readNames(_ connection: SQLiteConnection) throws(Failure) {
        var inventory = AssetInventory([])
        swap(&inventory, &self.inventory)
        defer { swap(&inventory, &self.inventory) }
        inventory.seal()
        var scan = ModelScan(connection, scanner, classes: inventory.classes.count)
        do throws(SQLiteFailure) {
            for number in inventory.classes.indices { try scan.readOwners(number, &inventory) }
            try scan.readNames(&inventory)
        } catch { throw .model(error) }
        for (number, assets) in inventory.classes.enumerated() {
            let (found, expected) = (scan.found[number], scan.expected[number])
            guard found * 2 < expected else { continue }
            throw .unlikely(
                "\(assets.url): \(expected) rows name an asset below it in \(assets.column), and only "
                    + "\(found) of those are listed; is it the right url, and does the listing show "
                    + "everything?")
        }
        _ = try PacketNames(ledger, scanner).note(in: &inventory, from: Position(0))
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
            throw .unlikely(
                "\(indices.count) of \(all) assets and \(bytes) of \(allBytes) bytes would go, more than a "
                    + "fifth; if that is meant, use --allow-large")
        }
        let plan = CleanupPlan(
            ledgerID: ledgerID, lsn: lsn, model: model, ledgerSize: ledger.head.size.entries,
            made: now, objects: all, bytes: allBytes, kept: kept.groups, items: [])
        return Judged(plan: plan, findings: findings, indices: indices, wanted: wanted)
    }

    private func verdict(on index: Int, _ wanted: Set<String>) -> RetentionRules.Verdict {
        rules.verdict(
            on: index, of: inventory, now: now,
            isWanted: !wanted.isEmpty && wanted.contains(inventory.uri(index).loose))
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
