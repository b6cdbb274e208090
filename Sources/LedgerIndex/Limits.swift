/// Limits of the term index, each with its reason.
package enum IndexLimits {
    /// Packets per buffer: a position within it fits in 16 bits next to a term.
    package static let bufferPackets = 1 << 16
    /// Terms per buffer, which limits the memory for large packets: 64 MiB, three times what the
    /// workload's packets need.
    package static let bufferTerms = 1 << 23
    /// The unit that is read and checked: small, because most look-ups need only a few bytes of it.
    package static let blockBytes = 1024
    /// Runs of one size class that are merged into one run.
    package static let mergeWidth = 4
    /// Upper limit of the smallest size class, which is merged first, in terms.
    package static let smallRunTerms = 1 << 23
    /// Packets that share one earliest and one latest time of creation.
    package static let zonePackets = 256

    package static func checkRelations() {
        precondition(bufferPackets <= 1 << 16)
        precondition(bufferPackets.isMultiple(of: zonePackets))
    }
}
