package import LedgerFormat

/// What the ledger needs to know of an admitted packet.
package struct PacketFacts: Hashable, Sendable {
    /// Nil where the daemon is to assign one.
    package var stardustID: UUID128?
    /// Nil where the time of receipt stands for it.
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

/// Parses and validates packets, one after the other, without allocating for each.
package struct PacketReader: ~Copyable {
    private var parser = JSONParser()

    package init() {}

    /// What is known of a packet, or why it is none. `bytes` is the payload without white space
    /// around it; a wrong packet changes nothing here.
    package mutating func read(_ bytes: Span<UInt8>) throws(PacketError) -> PacketFacts {
        do throws(JSONError) { try parser.parse(bytes) } catch { throw .json(error) }
        do throws(SchemaViolation) {
            return try PacketSchema(tokens: parser.tokens).facts(bytes)
        } catch { throw .schema(error) }
    }
}
