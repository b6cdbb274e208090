package import LedgerFormat

/// A request for a chain. Together with the ledger size, it determines the document byte for byte.
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

/// Where a walk starts.
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

    /// The highest limits a request may set: a document of that many packets still fits in memory.
    package static let depthMax = 1_000_000
    package static let packetsMax = 100_000
    /// Total payload bytes of the walked packets, however many there are.
    package static let payloadBytesMax = 64 << 20
    /// How many packets that retract, supersede or revise one packet are examined.
    package static let amendmentsMax = 1_000
    /// Conflicts listed: crafted packets can cause far more than anybody would read.
    package static let conflictsMax = 10_000
    /// Bytes of a document: implied parents alone can far exceed the packets they come from.
    package static let documentBytesMax = 128 << 20

    package static func checkRelations() {
        // The document repeats what the packets state and adds some structure around it.
        precondition(documentBytesMax >= 2 * payloadBytesMax)
    }
}
