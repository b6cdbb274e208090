package import LedgerFormat

/// What a chain is asked for. With the ledger's size it determines the document, byte for byte.
package struct ChainRequest: Hashable, Sendable {
    package var target: ChainTarget
    package var direction: Direction
    package var limits: ChainLimits

    package enum Direction: String, CaseIterable, Sendable {
        case upstream, downstream, both
    }

    package init(
        _ target: ChainTarget, direction: Direction = .upstream, limits: ChainLimits = .init()
    ) {
        self.target = target
        self.direction = direction
        self.limits = limits
    }
}

/// Where a walk begins.
package enum ChainTarget: Hashable, Sendable {
    case packet(UUID128)
    /// An entity's whole history.
    case entity(String, UUID128)
    case trace(UUID128)
}

/// How far a walk goes.
package struct ChainLimits: Hashable, Sendable {
    /// Edges from a root.
    package var depth = 64
    package var packets = 10_000

    package init() {}

    /// What may be asked for: a document of so many packets still fits the memory.
    package static let depthMax = 1_000_000
    package static let packetsMax = 100_000
    /// Payload bytes of the packets that are walked, whatever their number.
    package static let payloadBytesMax = 64 << 20
    /// Packets that retract, supersede or revise one packet and are looked at.
    package static let amendmentsMax = 1_000
    /// Conflicts that are listed: packets can be made to have far more than anybody reads.
    package static let conflictsMax = 10_000
    /// Bytes of a document: implied parents alone can be far more than the packets they come from.
    package static let documentBytesMax = 128 << 20

    package static func checkRelations() {
        // What packets say themselves is repeated with some more around it.
        precondition(documentBytesMax >= 2 * payloadBytesMax)
    }
}
