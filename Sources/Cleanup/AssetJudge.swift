package import LedgerFormat
package import LedgerStorage
internal import ObjectStore
package import ReadModel

/// Judges the assets of a plan again, by rows and packets of a later moment.
package struct AssetJudge: ~Copyable {
    private let rules: RetentionRules
    private let scanner: NameScanner
    private var inventory: AssetInventory
    /// What packets before this one say is known.
    private var next = Position(0)
    /// Whether any asset has to be asked of packets at all: those of rows are not protected by them.
    private let hasOrphans: Bool

    package init(
        _ plan: CleanupPlan, _ classes: [AssetInventory.AssetClass], _ rules: RetentionRules,
        endpoints: Set<String>
    ) throws(CleanupStop) {
        (self.rules, scanner) = (rules, NameScanner(endpoints: endpoints))
        inventory = AssetInventory(classes)
        hasOrphans = plan.items.contains { $0.finding == .orphan }
        for item in plan.items { try inventory.add(item) }
        inventory.seal()
    }

    /// Reads all rows, at the connection's one moment, and what is new in the ledger. The `ledger` may be nil
    /// if nothing has been added to it since.
    package mutating func read(
        _ connection: SQLiteConnection, _ ledger: LedgerMap?
    ) throws(CleanupPlanner.Failure) {
        // Packets first: a name that a row takes over from a packet is then seen twice, and never missed.
        if hasOrphans, let ledger {
            next = try PacketNames(ledger, scanner).note(in: &inventory, from: next)
        }
        inventory.forgetRows()
        var scan = ModelScan(connection, scanner, classes: inventory.classes.count)
        do throws(SQLiteFailure) {
            for number in inventory.classes.indices { try scan.readOwners(number, &inventory) }
            try scan.readNames(&inventory)
        } catch { throw .model(error) }
    }

    /// Whether packets matter, so that the ledger has to be read again when it has grown.
    package var asksPackets: Bool { hasOrphans }

    package func verdict(
        on item: CleanupPlan.Item, now: Timestamp
    ) throws(CleanupStop) -> RetentionRules.Verdict {
        guard let uri = AssetURI(item.uri),
            let index = inventory.indices(of: uri).first(where: {
                inventory.uri($0).description == item.uri
            })
        else { throw .elsewhere(item.uri) }
        return rules.verdict(on: index, of: inventory, now: now, isWanted: item.isWanted)
    }
}

extension AssetInventory {
    /// Adds an asset in the state in which a plan saw it.
    fileprivate mutating func add(_ item: CleanupPlan.Item) throws(CleanupStop) {
        guard let uri = AssetURI(item.uri),
            let number = classes.firstIndex(where: {
                $0.kind == item.kind && $0.key(of: uri) != nil
            }),
            let key = classes[number].key(of: uri)
        else { throw .elsewhere(item.uri) }
        add(
            StoredAsset(key: key, bytes: item.bytes, tag: item.tag, changed: item.changed),
            of: number)
    }
}

extension CleanupStop {
    package static func elsewhere(_ uri: String) -> CleanupStop {
        CleanupStop(
            .refused,
            "\(uri) is in none of the places that cleanup.assets names; were the settings changed? Make a "
                + "new plan")
    }
}
