package import LedgerFormat

/// A ledger at a given size, as a walk sees it. There are two implementations: the ledger's files
/// with their index and, in the tests, plain memory. Positions are below `size`.
package protocol ChainSource {
    associatedtype Failure: Error

    var size: LedgerSize { get }

    /// Whether packets may be missing from the look-ups below.
    var isPartlyUnindexed: Bool { get }

    /// Accounts for work done in memory, in units of a few hash look-ups. Throws once the time
    /// allowed for the whole walk has passed.
    func spend(_ work: Int) throws(Failure)

    /// Nil if the entry is not a packet.
    func packet(at position: Position) throws(Failure) -> ChainPacket?

    func position(of id: UUID128) throws(Failure) -> Position?

    /// The lowest position with a payload of this digest.
    func position(ofPayload digest: Digest) throws(Failure) -> Position?

    /// The newest packet of an entity before a position.
    func position(
        ofEntity type: String, _ id: UUID128, before: Position
    ) throws(Failure) -> Position?

    /// One edge for each of a packet's references. They are only ever found by `resolved`; a source
    /// may cache the result.
    func edges(of packet: ChainPacket) throws(Failure) -> [ChainEdge]

    /// Passes the positions of a target to `body` in order, until it returns false.
    func each(
        of target: ChainTarget, _ body: (Position) throws(Failure) -> Bool
    ) throws(Failure)

    /// Passes positions to `body` in order. They include every packet that names this one as a
    /// parent, and possibly others.
    func eachChild(
        of packet: ChainPacket, _ body: (Position) throws(Failure) -> Bool
    ) throws(Failure)

    /// The same for packets that retract, supersede or revise this one.
    func eachAmendment(
        of packet: ChainPacket, _ body: (Position) throws(Failure) -> Bool
    ) throws(Failure)

    /// Whether any packet may retract another.
    func mayRetract() throws(Failure) -> Bool
}
