package import LedgerFormat

/// What the ledger needs to know about an admitted packet.
package struct PacketFacts: Hashable, Sendable {
    /// Nil if the daemon is to assign one.
    package var stardustID: UUID128?
    /// Nil if the time of receipt is used instead.
    package var createdAt: Timestamp?
    package var entityType: String
    package var entityID: UUID128

    package init(
        stardustID: UUID128?, createdAt: Timestamp?, entityType: String, entityID: UUID128
    ) {
        self.stardustID = stardustID
        self.createdAt = createdAt
        self.entityType = entityType
        self.entityID = entityID
    }
}

/// Parses and validates packets one after the other, without allocating for each.
package struct PacketReader: ~Copyable {
    private var parser = JSONParser()

    package init() {}

    /// Returns the facts of a packet, or throws why it is not one. `bytes` is the payload without
    /// surrounding white space. An invalid packet does not affect the ones after it.
    package mutating func read(_ bytes: Span<UInt8>) throws(PacketError) -> PacketFacts {
        do throws(JSONError) { try parser.parse(bytes) } catch { throw .json(error) }
        do throws(SchemaViolation) {
            return try PacketSchema(tokens: parser.tokens).facts(bytes)
        } catch { throw .schema(error) }
    }
}
