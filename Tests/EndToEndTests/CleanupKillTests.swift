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
    /// Calls, and at which of them at the latest a life ends: so that each does a little of the work, and what is left
    /// half done is of every kind.
    private static let calls: [(names: String, most: Int)] = [
        ("renameat2,rename", 2), ("unlink", 2), ("fsync", 2), ("sendto,write,writev", 14),
        ("connect", 10), ("recvfrom,read", 60), ("lstat,newfstatat,stat", 60), ("openat", 90),
        ("pread64", 90),
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
        var kills = 0
        /// Lives until one comes to the end of the work; most die before.
        func dieOften() throws {
            var isDone = false
            while !isDone {
                let (calls, most) = Self.calls.randomElement(using: &generator)!
                let number = Int.random(in: 1...most, using: &generator)
                assets.wrapper = [
                    "strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=\(calls)", "-e",
                    "inject=\(calls):signal=SIGKILL:when=\(number)",
                ]
                let ended = try assets.carryOut(plan)
                #expect([0, 9, 137].contains(ended.status), "seed \(seed): \(ended)")
                isDone = ended.status == 0
                if !isDone { kills += 1 }
                guard kills < 400 else { throw Failure("seed \(seed): no life comes to the end") }
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
        print("clean-up kills \(seed): \(kills) kills, \(uris.count) assets")
        #expect(kills > 0)
        return logs.count == uris.count
    }
}
