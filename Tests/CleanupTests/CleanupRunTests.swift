import Cleanup
import LedgerFormat
import PipelineWorkload
import TestSupport
import Testing

/// Runs of a plan, against a world in memory that does its worst.
struct CleanupRunTests {
    /// Lives of a run over ten days, then calm ones until nothing is left to do.
    private static func simulate(
        _ seed: UInt64, _ mistake: SimulatedCleanup.Mistake? = nil
    ) async -> SimulatedCleanup {
        let world = SimulatedCleanup(seed: seed, assets: 6)
        world.mistake = mistake
        world.add(.planned, by: SimulatedCleanup.planner)
        world.add(.approved, by: SimulatedCleanup.approver)
        var generator = SeededGenerator(seed: seed ^ 0xABCD)
        for _ in 0..<14 {
            _ = await world.live()
            world.pass(.seconds(Int.random(in: 60...43_200, using: &generator)))
        }
        world.isWild = false
        for _ in 0..<4 {
            _ = await world.live()
            world.pass(.seconds(3601))
        }
        return world
    }

    /// What must be true in the end.
    private static func problems(_ world: SimulatedCleanup) -> [String] {
        var problems = world.problems
        // Then nothing more is done by the plan, what is half done included.
        if world.isForged { return problems }
        for item in world.plan.items {
            let records = world.ledger.map(\.record).filter { $0.entity == item.assetID }
            let ends = records.filter { $0.event != .decided }
            if records.count - ends.count > 1 { problems.append("\(item.uri): two decisions") }
            if ends.count > 1 { problems.append("\(item.uri): two ends") }
            if let end = ends.first {
                let log = world.logs[item.records.log]
                if log?.record != end.id {
                    problems.append("\(item.uri): no log row")
                }
            } else if world.deletedByUs[item.uri] != nil, !world.remade.contains(item.uri) {
                problems.append("\(item.uri): deleted without a record")
            }
        }
        return problems
    }

    @Test func `nothing is deleted that is named at that moment, and everything once`() async {
        var (deleted, kept) = (0, 0)
        let runs = await Soak.waitingSeeds("clean-ups", 400, soak: 10_000) { seed in
            let world = await Self.simulate(seed)
            let problems = Self.problems(world)
            #expect(problems.isEmpty, "seed \(seed)")
            deleted += world.deletedByUs.count
            kept += world.ledger.count { $0.record.event == .kept }
            return problems.isEmpty
        }
        #expect(runs == 0 || (deleted > 0 && kept > 0))
    }

    @Test(arguments: SimulatedCleanup.Mistake.allCases)
    func `a wrong program is caught`(_ mistake: SimulatedCleanup.Mistake) async {
        for seed in 1...400 as ClosedRange<UInt64> {
            let world = await Self.simulate(seed, mistake)
            if !Self.problems(world).isEmpty { return }
        }
        Issue.record("\(mistake) is not noticed")
    }
}
