package import LedgerFormat

/// A ledger as it stood at a size, for whoever walks it. There are two: the ledger's files with
/// their index, and in the tests plain memory. Positions are below `size`.
package protocol ChainSource {
    associatedtype Failure: Error

    var size: LedgerSize { get }

    /// Whether packets may be missing from the look-ups below.
    var isPartlyUnindexed: Bool { get }

    /// Hears of work that is done in memory, in units of a few hash look-ups, and throws where the
    /// time for all of it is over.
    func spend(_ work: Int) throws(Failure)

    /// Nil for an entry that is no packet.
    func packet(at position: Position) throws(Failure) -> ChainPacket?

    func position(of id: UUID128) throws(Failure) -> Position?

    /// The lowest position with a payload of this digest.
    func position(ofPayload digest: Digest) throws(Failure) -> Position?

    /// The newest packet of an entity before a position.
    func position(
        ofEntity type: String, _ id: UUID128, before: Position
    ) throws(Failure) -> Position?

    /// What a packet's references name, one edge for each. There is one way to find them, `resolved`;
    /// a source may remember what it found.
    func edges(of packet: ChainPacket) throws(Failure) -> [ChainEdge]

    /// Lends the positions of a target in order, until `body` returns false.
    func each(
        of target: ChainTarget, _ body: (Position) throws(Failure) -> Bool
    ) throws(Failure)

    /// Lends positions, in order, among which are all whose packets name this one as a parent.
    func eachChild(
        of packet: ChainPacket, _ body: (Position) throws(Failure) -> Bool
    ) throws(Failure)

    /// The same for those that retract, supersede or revise it.
    func eachAmendment(
        of packet: ChainPacket, _ body: (Position) throws(Failure) -> Bool
    ) throws(Failure)
}
