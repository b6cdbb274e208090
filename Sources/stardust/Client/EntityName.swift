internal import Cleanup
internal import LedgerFormat

/// What a person calls an entity.
enum EntityName {
    /// The entity's id; for an asset also by its URI.
    static func id(_ type: String, _ name: String) -> String {
        guard type == CleanupRecord.assets, let uri = AssetURI(name) else { return name }
        return uri.id.description
    }
}
