/// Limits on a packet. They keep the time and memory for reading linear in the bytes received,
/// whatever those are.
package enum PacketLimits {
    /// Nesting of objects and arrays. The deepest packet from the engine's workers nests 7 deep.
    package static let depthMax = 64
    /// Members of one object.
    package static let membersMax = 10_000
    /// Characters of a number: more than any decimal type of a database keeps.
    package static let numberCharactersMax = 64
    /// Magnitude of the exponent as written. Beyond the range of every double, so no reader has to
    /// guess.
    package static let exponentMagnitudeMax = 400
    /// Elements of `_meta_parents`, `evidence` and a decision chain, as in the schema.
    package static let elementsMax = 4096
    /// Bytes of one packet, unless the operator configures another limit.
    package static let packetBytes = 1 << 20
    /// The largest packet that an operator may allow. Offsets in a packet are 32-bit.
    package static let packetBytesMax = 16 << 20

    package static func checkRelations() {
        precondition(packetBytes <= packetBytesMax)
        precondition(packetBytesMax < Int(UInt32.max))
    }
}
