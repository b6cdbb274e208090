/// Bounds of the term index, each with its reason.
package enum IndexLimits {
    /// Packets of one buffer: a position within it fits 16 bits beside a term.
    package static let bufferPackets = 1 << 16
    /// Terms of one buffer, so that large packets do not take the memory: 64 MiB, three times what
    /// the workload's packets need.
    package static let bufferTerms = 1 << 23
    /// The unit that is read and checked: small, since most look-ups want a few bytes of it.
    package static let blockBytes = 1024
    /// Runs of a size that are merged into one.
    package static let mergeWidth = 4
    /// Terms of the smallest runs, which are merged first.
    package static let smallRunTerms = 1 << 23
    /// Packets whose times of creation are summed up together.
    package static let zonePackets = 256

    package static func checkRelations() {
        precondition(bufferPackets <= 1 << 16)
        precondition(bufferPackets.isMultiple(of: zonePackets))
    }
}
