import LedgerFormat
import LedgerStorage
import LedgerTestSupport
import PipelineWorkload
import TestSupport
import Testing

/// The ledger on a disk that loses, tears and reorders what was not synced.
@Suite struct PowerCutTests {
    @Test func `no acknowledged packet is lost or doubled by power cuts at any call`() throws {
        try Soak.seeds("power cuts", 400, soak: 20_000) { seed in
            let problems = try Self.life(seed: seed, skipping: nil)
            #expect(problems == [], "seed \(seed)")
            return problems.isEmpty
        }
    }

    @Test func `a build that skips the sync of segments is caught`() throws {
        var caught = 0
        for seed in UInt64(1)...40 where try !Self.life(seed: seed, skipping: ".seg").isEmpty {
            caught += 1
        }
        #expect(caught > 10, "the simulator must see what a missing fdatasync loses")
    }

    @Test func `a build that skips the sync of a prepared segment is caught`() throws {
        var caught = 0
        for seed in UInt64(1)...400 where try !Self.life(seed: seed, skipping: "next.tmp").isEmpty {
            caught += 1
        }
        #expect(caught > 0, "the header of a new segment must be durable before its name is")
    }

    /// Several lives of a ledger, each ended by a power cut at a random call, some within recovery.
    private static func life(seed: UInt64, skipping suffix: String?) throws -> [String] {
        var generator = SeededGenerator(seed: seed &* 31)
        var fixture = try LedgerFixture.make(seed: seed)
        var (volume, acknowledged) = (fixture.volume, fixture.acknowledged)
        for _ in 0..<4 {
            if let suffix { volume.skipSyncs(ofPathsEnding: suffix) }
            volume.cutPower(after: Int.random(in: 1...120, using: &generator))
            do {
                while true {
                    try fixture.appendRandom(Int.random(in: 1...5, using: &generator))
                    if Int.random(in: 0..<8, using: &generator) == 0 {
                        try fixture.writer.writeCloseMarker()
                    }
                }
            } catch {}
            acknowledged = fixture.acknowledged
            volume = volume.afterPowerCut()
            // The power may fail again while the ledger recovers.
            if Bool.random(using: &generator) {
                volume.cutPower(after: Int.random(in: 1...30, using: &generator))
                _ = try? LedgerFixture(opening: volume)
                volume = volume.afterPowerCut()
            }
            do {
                fixture = try LedgerFixture(
                    opening: volume, acknowledged: acknowledged, 8192,
                    SeededGenerator(seed: generator.next()))
            } catch { return ["\(error)"] }
            do {
                let problems = try fixture.problems()
                if !problems.isEmpty { return problems }
            } catch { return ["\(error)"] }
        }
        return []
    }
}
