import DaemonTestSupport
import Foundation
import PipelineWorkload
import TestSupport
import Testing

/// Runs that die at any of their calls.
@Suite(
    .needs(
        CleanupAssets.needs && Repository.has("strace"),
        "a second person needs root, a day a compiler of C, and a death strace"))
struct CleanupKillTests {
    private static let calls = [
        "sendto,write,writev", "recvfrom,read", "connect", "openat", "pread64", "renameat2,rename",
        "unlink", "fsync", "flock", "lstat,newfstatat,stat",
    ]

    @Test func `killed at any call, a run decides, deletes and logs once`() throws {
        try Soak.seeds("clean-up kills", 1, soak: 20) { seed in try Self.survives(seed) }
    }

    private static func survives(_ seed: UInt64) throws -> Bool {
        let assets = try CleanupAssets(hours: -25)
        try assets.fill(24, seed: seed)
        let plan = try assets.makePlan()
        let uris = try assets.assets(of: plan)
        #expect(try assets.approve(plan).status == 0)
        var generator = SeededGenerator(seed: seed &* 77)
        // Before and after the day.
        let wanted = Soak.isSoak ? 25 : 8
        var kills = 0
        func dieOften() throws {
            let enough = kills + wanted
            while kills < enough {
                let calls = Self.calls.randomElement(using: &generator)!
                let number = Int.random(in: 1...60, using: &generator)
                assets.wrapper = [
                    "strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=\(calls)", "-e",
                    "inject=\(calls):signal=SIGKILL:when=\(number)",
                ]
                let ended = try assets.carryOut(plan)
                #expect([0, 9, 137].contains(ended.status), "seed \(seed): \(ended)")
                if ended.status != 0 { kills += 1 }
            }
            assets.wrapper = []
            let whole = try assets.carryOut(plan)
            #expect(whole.status == 0, "seed \(seed): \(whole)")
        }
        try dieOften()
        #expect(uris.allSatisfy(assets.isThere))
        try assets.wake()
        try dieOften()
        let records = try assets.records()
        for uri in uris {
            #expect(
                records[uri] == ["asset.deletion_decided", "asset.deleted"], "seed \(seed): \(uri)")
            #expect(!assets.isThere(uri), "seed \(seed)")
        }
        let logs = try assets.logs()
        #expect(logs.count == uris.count && Set(logs).count == logs.count, "seed \(seed)")
        let left = try FileManager.default.contentsOfDirectory(atPath: assets.raw)
        #expect(left.allSatisfy { !$0.hasPrefix(".") }, "seed \(seed): \(left)")
        return logs.count == uris.count
    }
}
