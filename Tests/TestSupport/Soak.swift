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
        guard let journal else {
            for seed in 1...count { _ = try body(seed) }
            return count
        }
        var ran: UInt64 = 0
        for seed in 1...max(count, soakCount) {
            let line = "\(name) \(seed)"
            if passed.withLock({ $0.contains(line) }) { continue }
            let start = ContinuousClock.now
            let isPassed = try body(seed)
            let seconds = (ContinuousClock.now - start) / .seconds(1)
            print("soak: \(line): \(isPassed ? "passed" : "FAILED") in \(Int(seconds * 1000)) ms")
            if isPassed { remember(line, in: journal) }
            ran += 1
        }
        return ran
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
