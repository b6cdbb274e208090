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
        try readPackets(&inventory)
    }

    /// A packet that cannot be read may name anything, so there is no plan then.
    private func readPackets(_ inventory: inout AssetInventory) throws(Failure) {
        var unreadable: Position?
        do throws(ReadFailure) {
            try ledger.walk(from: Position(0)) { record, payload in
                guard record.entry.kind == .packet else { return true }
                var parser = JSONParser()
                guard Digest.sha256(payload) == record.entry.payloadDigest,
                    (try? parser.parse(payload)) != nil
                else {
                    unreadable = record.entry.position
                    return false
                }
                scanner.scan(payload, parser.tokens) { uri in
                    inventory.note(uri, .packet(record.entry.position))
                }
                return true
            }
        } catch { throw .packets(error) }
        guard let unreadable else { return }
        throw .unlikely(
            "the packet at position \(unreadable) is damaged, and might name anything; `stardust verify` "
                + "says more")
    }

    // MARK: The plan

    /// `wanted` are derived assets that a person named; `allowsLarge` accepts a plan over a fifth of everything.
    package mutating func plan(
        ledgerID: UUID128, lsn: String, wanted: [AssetURI], allowsLarge: Bool,
        using generator: inout some RandomNumberGenerator
    ) throws(Failure) -> CleanupPlan {
        let wanted = Set(wanted.map(\.loose))
        var (items, kept): ([CleanupPlan.Item], KeptAssets) = ([], KeptAssets())
        for index in 0..<inventory.count {
            let entry = inventory[index]
            let (kind, uri) = (inventory.classes[entry.of].kind, inventory.uri(index))
            switch rules.verdict(
                on: entry, kind, now: now, isWanted: wanted.contains(uri.loose))
            {
            case .stays(let reason):
                kept.add(reason, entry.bytes, uri.description)
            case .goes(let finding, let daysOver):
                items.append(
                    CleanupPlan.Item(
                        uri: uri.description, kind: kind, finding: finding, bytes: entry.bytes,
                        tag: inventory.tag(index), changed: entry.changed, daysOver: daysOver,
                        owner: entry.owner.map { "\($0.table)/\($0.id)" },
                        records: CleanupPlan.Records(using: &generator)))
            }
        }
        items.sort { $0.uri < $1.uri }
        let bytes = items.reduce(0) { $0 + $1.bytes }
        let isLarge = items.count * 5 > inventory.count || bytes * 5 > inventory.bytes
        guard allowsLarge || !isLarge else {
            throw .unlikely(
                "\(items.count) of \(inventory.count) assets and \(bytes) of \(inventory.bytes) bytes would "
                    + "go, more than a fifth; if that is meant, use --allow-large")
        }
        return CleanupPlan(
            ledgerID: ledgerID, lsn: lsn, ledgerSize: ledger.head.size.entries, made: now,
            objects: inventory.count, bytes: inventory.bytes, kept: kept.groups, items: items)
    }
}
