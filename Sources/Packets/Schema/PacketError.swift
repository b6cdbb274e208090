/// Why bytes are not a packet.
package enum PacketError: Error, Hashable, Sendable {
    /// Not JSON that the ledger admits.
    case json(JSONError)
    /// Valid JSON that does not fit `packet.schema.json`.
    case schema(SchemaViolation)
}

/// Where and how a packet differs from the schema.
package struct SchemaViolation: Error, Hashable, Sendable {
    package var code: Code
    /// JSON Pointer (RFC 6901) of the value; of the object if a member is missing.
    package var pointer: String
    /// Byte offset of that value.
    package var offset: Int
    /// The explanation for people.
    package var detail: String

    package enum Code: String, CaseIterable, Sendable {
        case missingMember = "missing_member"
        case unknownMember = "unknown_member"
        case wrongType = "wrong_type"
        case wrongFormat = "wrong_format"
        case unknownValue = "unknown_value"
        case wrongLength = "wrong_length"
        case outOfRange = "out_of_range"
    }
}
