package import LedgerFormat
package import Reconstruction
internal import Synchronization

/// Parsed packets that chains read recently, with their edges. Chains requested around the same
/// time share most of their packets, and packets never change.
///
/// There are two generations. A packet found in the old one moves to the young one. When the young
/// one is full it becomes the old one, and the previous old one is dropped. Packets in use stay
/// cached, at a constant cost.
package final class PacketCache: Sendable {
    private let state = Mutex(State())
    private let bytesMax: Int

    private struct State {
        var young: [Position: Kept] = [:]
        var old: [Position: Kept] = [:]
        var youngBytes = 0
    }

    private struct Kept {
        var packet: ChainPacket
        /// Nil if they are unknown or may still change.
        var edges: [ChainEdge]?
    }

    /// Uses about `bytesMax` bytes of memory.
    package init(bytesMax: Int = LedgerLimits.packetCacheBytes) { self.bytesMax = bytesMax }

    package subscript(position: Position) -> ChainPacket? {
        state.withLock { kept(position, &$0)?.packet }
    }

    /// The edges of a packet; nil if they are unknown.
    func edges(of position: Position) -> [ChainEdge]? {
        state.withLock { kept(position, &$0)?.edges }
    }

    private func kept(_ position: Position, _ state: inout State) -> Kept? {
        if let kept = state.young[position] { return kept }
        guard let kept = state.old[position] else { return nil }
        insert(kept, &state)
        return kept
    }

    package func insert(_ packet: ChainPacket) {
        state.withLock { insert(Kept(packet: packet), &$0) }
    }

    /// Keeps the edges of a cached packet, unless they may change as the ledger grows.
    func insert(_ edges: [ChainEdge], of position: Position) {
        guard edges.allSatisfy(\.isSettled) else { return }
        state.withLock { $0.young[position]?.edges = edges }
    }

    private func insert(_ kept: Kept, _ state: inout State) {
        let bytes = kept.packet.memoryBytes
        guard bytes <= bytesMax / 8 else { return }
        if state.youngBytes + bytes > bytesMax / 2 {
            (state.old, state.young, state.youngBytes) = (state.young, [:], 0)
        }
        if state.young.updateValue(kept, forKey: kept.packet.position) == nil {
            state.youngBytes += bytes
        }
    }
}
