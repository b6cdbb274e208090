package import LedgerFormat

/// A place of assets, as far as a clean-up looks at it. The only store whose objects are ever deleted.
package protocol AssetStore: Sendable {
    /// The store's URL, for messages; without secrets.
    var name: String { get }

    /// Passes every object to `take`, in any order.
    func assets(
        _ patience: Patience, _ take: (StoredAsset) throws(StoreFailure) -> Void
    ) throws(StoreFailure)

    /// The state of one object; nil if there is none.
    func asset(_ key: String, _ patience: Patience) throws(StoreFailure) -> StoredAsset?

    /// Whether there is nothing at all, as where a disk is not mounted.
    func isEmpty(_ patience: Patience) throws(StoreFailure) -> Bool

    /// Files that deletions have hidden which were cut short, and which nobody has finished.
    func leftovers(_ patience: Patience) throws(StoreFailure) -> [String]

    /// Deletes an object if it is still in the state that `tag` tells. `mark` names this deletion, so that
    /// one that was cut short is finished by the next. Of a versioned object only the current version goes,
    /// by a marker. A server that knows no conditions of deletions is asked just before, so there a new
    /// version of that moment may go.
    func delete(
        _ key: String, tag: String, mark: UUID128, _ patience: Patience
    ) throws(StoreFailure) -> AssetDeletion

    /// Undoes a deletion that was cut short, if that can be, and tells whether there is an object of the name.
    func settle(
        _ key: String, mark: UUID128, _ patience: Patience
    ) throws(StoreFailure) -> Bool
}

package enum AssetDeletion: Hashable, Sendable {
    case deleted
    /// There was none.
    case gone
    /// It is another object than the one that was judged; it stays.
    case changed
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
