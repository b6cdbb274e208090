internal import LedgerFormat
package import ObjectStore

extension CleanupPlanner {
    /// Lists the assets of a class. A part of a ledger among them ends everything.
    package mutating func list(
        _ store: any AssetStore, _ number: Int, _ patience: Patience
    ) throws(Failure) {
        var inventory = AssetInventory([])
        swap(&inventory, &self.inventory)
        defer { swap(&inventory, &self.inventory) }
        var ledgers: String?
        do throws(StoreFailure) {
            try store.assets(patience) { asset in
                if ledgers == nil, Self.isOfLedger(asset.key) { ledgers = asset.key }
                inventory.add(asset, of: number)
            }
        } catch { throw .store(error) }
        guard let ledgers else { return }
        throw .unlikely(
            "\(store.name)/\(ledgers) is a part of a ledger or its archive, and nothing in one is an asset; "
                + "correct cleanup.assets")
    }

    /// `identity` of a ledger or archive, or a segment.
    private static func isOfLedger(_ key: String) -> Bool {
        let steps = key.split(separator: "/")
        guard let last = steps.last else { return false }
        if last == "identity" { return steps.count < 2 || UUID128(steps[steps.count - 2]) != nil }
        return last.utf8.count == 24 && last.hasSuffix(".seg")
            && last.utf8.prefix(20).allSatisfy { (0x30...0x39).contains($0) }
    }
}
