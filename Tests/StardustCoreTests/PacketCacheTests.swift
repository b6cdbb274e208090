import LedgerFormat
import LedgerTestSupport
import PipelineWorkload
import Reconstruction
import StardustCore
import TestSupport
import Testing

@Suite struct PacketCacheTests {
    @Test func `what is in use stays, and the rest goes within the bound`() throws {
        let source = MemorySource()
        var generator = SeededGenerator(seed: 3)
        for _ in 0..<1000 {
            source.append(
                .random(using: &generator), entity: .random(using: &generator), lineage: "\"a\":1")
        }
        // Room for about 40 packets.
        let cache = PacketCache(bytesMax: 40 * source.packets[0].memoryBytes)
        for packet in source.packets {
            cache.insert(packet)
            #expect(cache[packet.position] === packet)
            // Asked for all the time.
            if packet.position > Position(0) {
                #expect(cache[Position(0)] === source.packets[0])
            }
        }
        let kept = source.packets.filter { cache[$0.position] != nil }.count
        #expect((20...60).contains(kept), "\(kept)")
    }

    @Test func `a packet that would take most of the room is not kept`() throws {
        let source = MemorySource()
        let text = String(repeating: "x", count: 200_000)
        source.append(
            UUID128(high: 0, low: 1), entity: UUID128(high: 0, low: 2), lineage: "\"a\":\"\(text)\""
        )
        let cache = PacketCache(bytesMax: 1 << 20)
        cache.insert(source.packets[0])
        #expect(cache[Position(0)] == nil)
    }
}
