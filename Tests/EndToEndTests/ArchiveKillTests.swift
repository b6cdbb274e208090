import DaemonTestSupport
import Foundation
import PipelineWorkload
import TestSupport
import Testing

/// Daemon and archive process, killed at any moment while segments are shipped, leave and come back.
struct ArchiveKillTests {
    private static func names(_ folder: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted()
    }

    private static func root(_ ledger: String) throws -> String {
        let result = try run([Repository.program, "verify", ledger, "--json"])
        let json = try JSONSerialization.jsonObject(with: Data(result.output.utf8))
        #expect(result.status == 0, "\(result)")
        return (json as? [String: Any])?["root"] as? String ?? result.output + result.error
    }

    /// A ledger that is killed again and again.
    private final class Victim {
        let stores: [TemporaryFolder]
        let archived: Archived
        var emitted = 0
        var generator: SeededGenerator

        init(seed: UInt64) throws {
            stores = try [TemporaryFolder(in: "/dev/shm"), TemporaryFolder(in: "/dev/shm")]
            archived = try Archived(
                stores.map { Archived.folder($0.path) }, segmentBytes: 1 << 16, leaves: true)
            generator = SeededGenerator(seed: seed)
            try archived.start()
        }

        func pause() { usleep(UInt32.random(in: 0...400_000, using: &generator)) }

        /// One kill, of either process, during whatever is under way.
        func kill() throws {
            try archived.emit(emitted..<emitted + 40)
            emitted += 40
            var recall: Background?
            if Int.random(in: 0..<3, using: &generator) == 0 {
                recall = try Background([
                    "archive", "recall", "all", "--socket", archived.daemon.socket,
                ])
            }
            pause()
            if Bool.random(using: &generator) {
                archived.kill()
                pause()
                try archived.start()
            } else {
                archived.daemon.kill()
                try looksSound()
                try archived.daemon.start()
            }
            recall?.kill()
            try hasEverything()
        }

        /// What a crash leaves is a ledger: each segment is here or has its entries here.
        private func looksSound() throws {
            let result = try archived.daemon.verify()
            #expect(result.status == 0, "\(result)")
        }

        /// A sample of what was acknowledged, which the archive may have to give.
        private func hasEverything() throws {
            let client = try HTTPClient(archived.daemon.socket)
            for _ in 0..<3 {
                let number = Int.random(in: 0..<emitted, using: &generator)
                let path = "/v1/packets/\(Sample.numbered(number).id)"
                let deadline = Date() + 60
                var answer = try client.get(path)
                // The archive process may be starting.
                while answer.problemCode == "archive_unreachable", Date() < deadline {
                    usleep(50_000)
                    answer = try client.get(path)
                }
                #expect(answer.status == 200, "\(number): \(answer.text)")
            }
        }
    }

    @Test func `nothing is lost, whoever is killed while segments move`() throws {
        try Soak.seeds("archive kills", 3, soak: 50) { seed in
            let victim = try Victim(seed: seed)
            for _ in 0..<10 { try victim.kill() }
            let archived = victim.archived
            // After a restart nothing that was recalled is kept here.
            #expect(archived.daemon.stop() == 0)
            try archived.daemon.start()
            try archived.waitUntilShipped()
            try archived.waitUntilLeft()
            archived.stop()
            #expect(archived.daemon.stop() == 0)
            let root = try Self.root(archived.daemon.ledger)
            for store in victim.stores {
                let restored = archived.daemon.folder.path + "/restored-\(UUID())"
                let result = try run([
                    Repository.program, "restore", restored, "--from", "file://\(store.path)",
                ])
                #expect(result.status == 0, "\(result)")
                #expect(result.output.contains("restored \(victim.emitted) entries"), "\(result)")
                #expect(try Self.root(restored) == root)
            }
            return true
        }
    }

    @Test func `a take-over that is killed leaves a ledger that can be taken over`() throws {
        try Soak.seeds("take-over kills", 5, soak: 100) { seed in
            var generator = SeededGenerator(seed: seed)
            let store = try TemporaryFolder()
            let archived = try Archived([Archived.folder(store.path)])
            try archived.start()
            try archived.emit(0..<20)
            try archived.waitUntilShipped()
            archived.stop()
            archived.daemon.stop()
            let folder = archived.daemon.folder.path + "/second"
            let restored = try run([
                Repository.program, "restore", folder, "--from", "file://\(store.path)",
            ])
            #expect(restored.status == 0, "\(restored)")
            try FileManager.default.copyItem(
                atPath: archived.daemon.ledger + "/key", toPath: folder + "/key")
            let takeOver = [
                "take-over", folder, "--config", archived.configuration, "--tail", "keep",
            ]
            for _ in 0..<4 {
                let process = try Background(takeOver)
                usleep(UInt32.random(in: 0...60_000, using: &generator))
                process.kill()
                let verified = try run([Repository.program, "verify", folder])
                #expect(verified.status == 0, "\(verified)")
            }
            let last = try run([Repository.program] + takeOver)
            #expect(last.status == 0, "\(last)")
            let daemon = try Daemon(
                configuration: String(
                    contentsOfFile: archived.configuration, encoding: .utf8), ledger: folder)
            let emitted = try HTTPClient(daemon.socket).emit(
                Sample.packet(Sample.numbered(900).id))
            #expect(emitted.status == 201, "\(emitted.text)")
            #expect(daemon.stop() == 0)
            let verified = try run([Repository.program, "verify", folder])
            #expect(verified.status == 0, "\(verified)")
            return true
        }
    }
}
