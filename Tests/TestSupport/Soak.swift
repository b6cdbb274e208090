import Foundation
import Synchronization

/// Repeats a randomised test over seeds: a few under `make test`, many under `make soak`, which prints
/// each seed, remembers those that passed and goes on from there when it is started again.
package enum Soak {
    /// The journal of seeds that passed; nil under `make test`.
    private static let journal = ProcessInfo.processInfo.environment["STARDUST_SOAK"]

    /// Whether the large counts run.
    package static var isSoak: Bool { journal != nil }

    private static let passed = Mutex<Set<String>>(
        Set(
            journal.flatMap { try? String(contentsOfFile: $0, encoding: .utf8) }?
                .split(separator: "\n").map(String.init) ?? []))

    /// Runs `body` once a seed, from 1 on; it returns whether the seed passed. `name` tells the
    /// journal's lines apart. Returns how many seeds ran: all of them under `make test`.
    @discardableResult
    package static func seeds(
        _ name: String, _ count: UInt64, soak soakCount: UInt64,
        _ body: (UInt64) throws -> Bool
    ) rethrows -> UInt64 {
        let open = open(name, count, soakCount)
        for seed in open {
            let start = ContinuousClock.now
            let isPassed = try body(seed)
            note(name, seed, isPassed, since: start)
        }
        return UInt64(open.count)
    }

    /// The same for a body that waits.
    @discardableResult
    package static func waitingSeeds(
        _ name: String, _ count: UInt64, soak soakCount: UInt64,
        _ body: (UInt64) async throws -> Bool
    ) async rethrows -> UInt64 {
        let open = open(name, count, soakCount)
        for seed in open {
            let start = ContinuousClock.now
            let isPassed = try await body(seed)
            note(name, seed, isPassed, since: start)
        }
        return UInt64(open.count)
    }

    /// Seeds that have not passed.
    private static func open(_ name: String, _ count: UInt64, _ soakCount: UInt64) -> [UInt64] {
        guard isSoak else { return Array(1...count) }
        return (1...max(count, soakCount)).filter { seed in
            !passed.withLock { $0.contains("\(name) \(seed)") }
        }
    }

    private static func note(
        _ name: String, _ seed: UInt64, _ isPassed: Bool, since start: ContinuousClock.Instant
    ) {
        guard let journal else { return }
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        print(
            "soak: \(name) \(seed): \(isPassed ? "passed" : "FAILED") in \(Int(seconds * 1000)) ms")
        if isPassed { remember("\(name) \(seed)", in: journal) }
    }

    private static func remember(_ line: String, in journal: String) {
        passed.withLock { passed in
            passed.insert(line)
            if !FileManager.default.fileExists(atPath: journal) {
                _ = FileManager.default.createFile(atPath: journal, contents: nil)
            }
            guard let file = FileHandle(forWritingAtPath: journal) else {
                return print("soak: \(journal) cannot be written; \(line) will run again")
            }
            file.seekToEndOfFile()
            file.write(Data((line + "\n").utf8))
        }
    }
}
