import DaemonTestSupport
import Foundation
import TestSupport
import Testing

/// What an auditor is sent.
@Suite struct ExportTests {
    private static func export(_ daemon: Daemon, to folder: TemporaryFolder) throws -> String {
        let file = folder.path + "/ledger.tar"
        let made = try run([Repository.program, "export", daemon.ledger, file])
        #expect(made.status == 0 && made.output.contains("no private key"), "\(made)")
        let unpacked = try run(["tar", "-xf", file, "-C", folder.path])
        #expect(unpacked.status == 0, "\(unpacked.error)")
        let name = try #require(
            FileManager.default.contentsOfDirectory(atPath: folder.path)
                .first { $0.hasPrefix("stardust-") })
        return folder.path + "/" + name
    }

    @Test func `an export has what both verifiers judge, and no key`() throws {
        let daemon = try ExamplePipeline.daemonWithRows()
        _ = try daemon.checkpoint(covering: 60)
        let folder = try TemporaryFolder()
        let copy = try Self.export(daemon, to: folder)
        let names = try FileManager.default.subpathsOfDirectory(atPath: copy)
        #expect(names.contains("identity") && names.contains("checkpoints"))
        #expect(
            !names.contains { $0.hasSuffix("key") || $0.contains("model") || $0.contains("ids") })
        for command in [
            [Repository.program, "verify", copy, "--packets"],
            ["python3", Repository.root + "/Docs/Examples/verify.py", copy],
        ] {
            let verified = try run(command)
            #expect(
                verified.status == 0 && verified.output.contains("sound: 60 entries"), "\(verified)"
            )
        }
        // The room for more records is left out.
        let tar = try FileManager.default.attributesOfItem(atPath: folder.path + "/ledger.tar")
        #expect((tar[.size] as? Int ?? .max) < 1 << 20)
    }

    @Test func `an export of a ledger that is written to ends with whole records, or a torn tail`()
        throws
    {
        let daemon = try Daemon()
        let load = try Background(
            [
                "-c",
                "for n in $(seq 40); do \(Repository.program) emit --socket \(daemon.socket) "
                    + "\(Repository.root)/Docs/Examples/pipeline.ndjson > /dev/null; done",
            ], program: "/bin/bash")
        for _ in 0..<8 {
            let folder = try TemporaryFolder()
            let copy = try Self.export(daemon, to: folder)
            let verified = try run([Repository.program, "verify", copy, "--json"])
            let isTorn = verified.output.contains("torn_tail")
            #expect(verified.status == 0 || isTorn, "\(verified)")
            #expect(FileManager.default.fileExists(atPath: folder.path))
        }
        load.kill()
    }

    @Test func `what cannot be written or is no ledger is said`() throws {
        let daemon = try Daemon()
        let nowhere = try run([Repository.program, "export", daemon.ledger, "/nowhere/l.tar"])
        #expect(nowhere.status == 73, "\(nowhere)")
        let none = try run([Repository.program, "export", daemon.folder.path, "/dev/null/x"])
        #expect(none.status == 66, "\(none)")
    }
}
