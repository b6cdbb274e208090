package import LedgerFormat
package import LedgerStorage
package import ObjectStore
package import ReadModel

/// Judges the assets of a plan again, by rows, packets and stores of a later moment.
package struct AssetJudge: ~Copyable {
    private let rules: RetentionRules
    private let endpoints: Set<String>
    private var inventory: AssetInventory
    private var packets = PacketNames()
    /// Of those that were asked of their store: whether each is there, as the plan saw it.
    private var states: [Int: RetentionRules.Reason] = [:]

    package init(
        _ plan: CleanupPlan, _ classes: [AssetInventory.AssetClass], _ rules: RetentionRules,
        endpoints: Set<String>
    ) throws(CleanupStop) {
        (self.rules, self.endpoints) = (rules, endpoints)
        inventory = try Self.inventory(plan, classes, rules)
    }

    private static func inventory(
        _ plan: CleanupPlan, _ classes: [AssetInventory.AssetClass], _ rules: RetentionRules
    ) throws(CleanupStop) -> AssetInventory {
        guard rules == plan.rules, classes == plan.places else {
            throw CleanupStop(
                .refused,
                "cleanup.assets or cleanup.days changed since the plan was made; make a new plan")
        }
        var inventory = AssetInventory(classes)
        for item in plan.items { try inventory.add(item) }
        inventory.seal()
        return inventory
    }

    /// Takes an asset's state in its store, which a plan only claims to know; nil if it is gone.
    package mutating func take(
        _ item: CleanupPlan.Item, _ asset: StoredAsset?
    ) throws(CleanupStop) {
        let index = try index(of: item)
        guard let asset else {
            states[index] = .gone
            return
        }
        states[index] = asset.isTagged(item.tag) ? nil : .changed
        inventory.update(index, asset)
    }

    /// Reads what is new in the ledger. Done before the rows: a name that goes from a packet to a row is then seen
    /// twice, and never missed.
    package mutating func read(_ ledger: LedgerMap) throws(CleanupPlanner.Failure) {
        try packets.read(ledger, &inventory)
    }

    /// Reads all rows, at the connection's one moment.
    package mutating func read(_ connection: SQLiteConnection) throws(CleanupPlanner.Failure) {
        inventory.forgetRows()
        let scan = ModelScan(connection, endpoints: endpoints)
        do throws(SQLiteFailure) {
            for column in Set(inventory.classes.map(\.column)) {
                _ = try scan.readOwners(of: column, &inventory)
            }
            try scan.readMentions(&inventory)
        } catch { throw .model(error) }
    }

    /// What promotes an asset now, by the row that was known to be its own; nil if nothing does.
    package func promotion(
        of item: CleanupPlan.Item, _ connection: SQLiteConnection
    ) throws(CleanupStop) -> RetentionRules.Reason? {
        guard let owner = inventory.owner(try index(of: item)) else { return nil }
        do throws(SQLiteFailure) {
            return try ModelScan(connection, endpoints: endpoints).promotion(of: owner)
                .map(RetentionRules.Reason.promoted)
        } catch { throw CleanupStop(.inputOutput, "\(error)") }
    }

    package func verdict(
        on item: CleanupPlan.Item, now: Timestamp
    ) throws(CleanupStop) -> RetentionRules.Verdict {
        let index = try index(of: item)
        if let reason = states[index] { return .stays(reason) }
        let verdict = rules.verdict(on: index, of: inventory, now: now, isWanted: item.isWanted)
        if case .goes(let finding, _) = verdict, finding != item.finding {
            return .stays(.judgedOtherwise(finding))
        }
        return verdict
    }

    private func index(of item: CleanupPlan.Item) throws(CleanupStop) -> Int {
        guard let uri = AssetURI(item.uri), let index = inventory.index(of: uri) else {
            throw .elsewhere(item.uri)
        }
        return index
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
            .refused, "\(uri) is in none of the places that cleanup.assets names; make a new plan")
    }
}
