package import LedgerFormat

/// A place of assets, as far as a clean-up looks at it.
package protocol AssetStore: Sendable {
    /// The store's URL, for messages; without secrets.
    var name: String { get }

    /// Passes every object to `take`, by the bytes of their names.
    func assets(
        _ patience: Patience, _ take: (StoredAsset) throws(StoreFailure) -> Void
    ) throws(StoreFailure)
}

package struct StoredAsset: Hashable, Sendable {
    package var key: String
    package var bytes: Int
    /// Tells this state of the object from any other: an etag, with Google the generation.
    package var tag: String
    /// When the object got its bytes.
    package var changed: Timestamp

    package init(key: String, bytes: Int, tag: String, changed: Timestamp) {
        (self.key, self.bytes, self.tag, self.changed) = (key, bytes, tag, changed)
    }
}
