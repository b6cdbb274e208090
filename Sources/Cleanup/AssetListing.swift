internal import LedgerFormat
package import ObjectStore

extension CleanupPlanner {
    /// Lists the assets of a class. A ledger's archive among them ends everything.
    package mutating func list(
        _ store: any AssetStore, _ number: Int, _ patience: Patience
    ) throws(Failure) {
        var inventory = AssetInventory([])
        swap(&inventory, &self.inventory)
        defer { swap(&inventory, &self.inventory) }
        var ledgers: String?
        do throws(StoreFailure) {
            try store.assets(patience) { asset in
                if ledgers == nil, Self.isIdentity(asset.key) { ledgers = asset.key }
                inventory.add(asset, of: number)
            }
        } catch { throw .store(error) }
        guard let ledgers else { return }
        throw .unlikely(
            "\(store.name)/\(ledgers) is the identity of a ledger: this is an archive, and nothing in "
                + "it is an asset")
    }

    private static func isIdentity(_ key: String) -> Bool {
        let steps = key.split(separator: "/")
        return steps.last == "identity" && steps.count > 1
            && UUID128(steps[steps.count - 2]) != nil
    }
}
