import LedgerFormat
import LedgerStorage
import LedgerTestSupport
import PipelineWorkload
import Publishing
import TestSupport
import Testing

/// Checkpoints on a disk that loses, tears and reorders what was not synced.
@Suite struct PublishingPowerCutTests {
    @Test func `no checkpoint that was shown is lost or contradicted by power cuts at any call`()
        throws
    {
        var shown = 0
        let lives = try Soak.seeds("power cuts while signing", 300, soak: 10_000) { seed in
            let (problems, count) = try Self.life(seed: seed, skipping: nil)
            #expect(problems == [], "seed \(seed)")
            shown += count
            return problems.isEmpty
        }
        #expect(shown > 1000 || lives < 300)
    }

    @Test func `a build that shows checkpoints before they are synced is caught`() throws {
        var caught = 0
        for seed in UInt64(1)...120
        where try !Self.life(seed: seed, skipping: "checkpoints").problems.isEmpty {
            caught += 1
        }
        #expect(caught > 0, "the simulator must see what a missing fsync loses")
    }

    /// Several lives of a ledger that publishes, each ended by a power cut at a random call, some
    /// within opening. What is wrong, and how many checkpoints were shown.
    private static func life(
        seed: UInt64, skipping suffix: String?
    ) throws -> (problems: [String], shown: Int) {
        var generator = SeededGenerator(seed: seed &* 37)
        var fixture = try LedgerFixture.make(seed: seed)
        var volume = fixture.volume
        let identity = try Ledger.identity(volume)
        var shown: [Checkpoint] = []
        for _ in 0..<4 {
            var problems: [String] = []
            do {
                var publisher = try open(fixture, identity, shown, &problems)
                if !problems.isEmpty { return (problems, shown.count) }
                live(&fixture, &publisher, volume, suffix, &shown, &generator)
            } catch { return (["\(error)"], shown.count) }
            let acknowledged = fixture.acknowledged
            volume = volume.afterPowerCut()
            // The power may fail again while what was published is taken up.
            if Bool.random(using: &generator) {
                volume.cutPower(after: Int.random(in: 1...30, using: &generator))
                if let again = try? LedgerFixture(opening: volume) {
                    _ = try? TreePublisher.open(again.map, identity)
                }
                volume = volume.afterPowerCut()
            }
            do {
                fixture = try LedgerFixture(
                    opening: volume, acknowledged: acknowledged, 8192,
                    SeededGenerator(seed: generator.next()))
                problems = try fixture.problems()
            } catch { problems = ["\(error)"] }
            if !problems.isEmpty { return (problems, shown.count) }
        }
        var problems: [String] = []
        do { _ = try open(fixture, identity, shown, &problems) } catch { problems = ["\(error)"] }
        return (problems, shown.count)
    }

    /// Appends and signs until the power fails.
    private static func live(
        _ fixture: inout LedgerFixture, _ publisher: inout TreePublisher, _ volume: SimulatedVolume,
        _ suffix: String?, _ shown: inout [Checkpoint], _ generator: inout SeededGenerator
    ) {
        if let suffix { volume.skipSyncs(ofPathsEnding: suffix) }
        volume.cutPower(after: Int.random(in: 1...90, using: &generator))
        do {
            while true {
                try fixture.appendRandom(Int.random(in: 1...5, using: &generator))
                try publisher.catchUp(atMost: .max)
                let time = fixture.map.head.lastReceivedAt!
                shown.append(try publisher.sign(lastReceivedAt: time).checkpoint)
                if Int.random(in: 0..<6, using: &generator) == 0 { try publisher.close() }
            }
        } catch {}
    }

    /// Takes up publishing, and checks what was shown against it.
    private static func open(
        _ fixture: borrowing LedgerFixture, _ identity: LedgerIdentity, _ shown: [Checkpoint],
        _ problems: inout [String]
    ) throws -> TreePublisher {
        var publisher = try TreePublisher.open(fixture.map, identity)
        try publisher.catchUp(atMost: .max)
        if let last = shown.last, publisher.newest.map({ $0.checkpoint.size < last.size }) ?? true {
            problems.append("the checkpoint of \(last.size) was shown and is gone")
        }
        for checkpoint in shown {
            let root = try publisher.tree.files.hash(0..<checkpoint.size.entries)
            if root != checkpoint.root { problems.append("\(checkpoint.size) has another root") }
        }
        return publisher
    }
}
