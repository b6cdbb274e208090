package import LedgerFormat
package import Reconstruction
internal import Synchronization

/// Packets that chains read lately, parsed: chains that are asked for together share most of theirs,
/// and packets never change.
///
/// Two generations: what is found in the old one moves to the young one, and when that is full the
/// old one is forgotten. So what is in use stays, at a constant cost.
package final class PacketCache: Sendable {
    private let state = Mutex(State())
    private let bytesMax: Int

    private struct State {
        var young: [Position: ChainPacket] = [:]
        var old: [Position: ChainPacket] = [:]
        var youngBytes = 0
    }

    /// Takes about as much memory as `bytesMax` says.
    package init(bytesMax: Int = LedgerLimits.packetCacheBytes) { self.bytesMax = bytesMax }

    package subscript(position: Position) -> ChainPacket? {
        state.withLock { state in
            if let packet = state.young[position] { return packet }
            guard let packet = state.old[position] else { return nil }
            insert(packet, &state)
            return packet
        }
    }

    package func insert(_ packet: ChainPacket) { state.withLock { insert(packet, &$0) } }

    private func insert(_ packet: ChainPacket, _ state: inout State) {
        // The payload itself, and what is made of it.
        let bytes = 3 * packet.payload.count + 1024
        guard bytes <= bytesMax / 8 else { return }
        if state.youngBytes + bytes > bytesMax / 2 {
            (state.old, state.young, state.youngBytes) = (state.young, [:], 0)
        }
        if state.young.updateValue(packet, forKey: packet.position) == nil {
            state.youngBytes += bytes
        }
    }
}
