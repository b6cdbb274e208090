internal import Cleanup
internal import LedgerFormat
internal import Packets

/// What a person calls an entity.
enum EntityName {
    /// The entity's id; for an asset also by its URI, as rows spell it. Throws if no clean-up knows that.
    static func id(_ type: String, _ name: String, _ client: DaemonClient) async throws(Failure)
        -> String
    {
        guard type == CleanupRecord.assets, let uri = AssetURI(name) else { return name }
        let decoded = String(percentEncoded: name).flatMap { AssetURI($0) }
        for id in [uri, decoded].compactMap({ $0?.id.description }) {
            let answer = try JSONDocument(
                answer: try await client.get("/v1/entities/\(type)/\(id)/packets", [("limit", "1")])
            )
            let list = answer.member("packets", of: 0)
            if let list, answer.tokens[list].kind == .array,
                !Array(JSONChildren(answer.tokens, of: list)).isEmpty
            {
                return id
            }
        }
        throw Failure(.no, "no clean-up has decided anything about \(name)")
    }
}
