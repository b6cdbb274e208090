/// What a packet may be at most. Each bound is there so that reading takes time and memory linear
/// in the bytes that came, whatever they are.
package enum PacketLimits {
    /// Nesting of objects and arrays. The deepest packet that the engine's workers make has 7.
    package static let depthMax = 64
    /// Members of one object.
    package static let membersMax = 10_000
    /// Characters of a number: more than any decimal type of a database keeps.
    package static let numberCharactersMax = 64
    /// Magnitude of the exponent as written: beyond every double, so that no reader must guess.
    package static let exponentMagnitudeMax = 400
    /// Elements of `_meta_parents`, `evidence` and a decision chain, as the schema says.
    package static let elementsMax = 4096
    /// Bytes of one packet unless the operator says otherwise.
    package static let packetBytes = 1 << 20
    /// The largest packet that an operator may allow. Offsets in a packet are 32-bit.
    package static let packetBytesMax = 16 << 20

    package static func checkRelations() {
        precondition(packetBytes <= packetBytesMax)
        precondition(packetBytesMax < Int(UInt32.max))
    }
}
