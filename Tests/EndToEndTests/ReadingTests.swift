import DaemonTestSupport
import Foundation
import TestSupport
import Testing

/// Looking at a ledger's folder without being its daemon.
@Suite struct ReadingTests {
    /// Every file of a folder, with its content and when it was changed.
    private static func state(_ folder: String) throws -> [String: String] {
        var state: [String: String] = [:]
        for path in try FileManager.default.subpathsOfDirectory(atPath: folder) {
            let full = folder + "/" + path
            let attributes = try FileManager.default.attributesOfItem(atPath: full)
            let content = try? Data(contentsOf: URL(fileURLWithPath: full))
            state[path] =
                "\(attributes[.modificationDate]!) \(content?.hashValue ?? 0) \(content?.count ?? 0)"
        }
        return state
    }

    private static func scratch() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: NSTemporaryDirectory())
            .filter { $0.hasPrefix("stardust-ask-") || $0.hasPrefix("stardust-read-") }
    }

    @Test func `commands read a folder by themselves, and leave nothing`() throws {
        let (daemon, client, _) = try ExamplePipeline.asked()
        let arguments: [[String]] = [
            ["get", ExamplePipeline.upload, "--json"], ["get", "17"],
            ["find", "--lineage", "{\"event\":\"clip.selected\"}", "--json"],
            ["history", "clips", ExamplePipeline.clip],
            ["chain", "clips", ExamplePipeline.clip, "--summary"],
        ]
        let asked = try arguments.map { try daemon.stardust($0) }
        for answer in asked { #expect(answer.status == 0, "\(answer)") }
        _ = client
        // The daemon may go on meanwhile.
        for (words, answer) in zip(arguments, asked) {
            let read = try run([Repository.program] + words + ["--ledger", daemon.ledger])
            #expect(read.status == 0 && read.output == answer.output, "\(words): \(read)")
        }
        #expect(daemon.stop() == 0)
        // What is derived is missing, as in a copy.
        let copy = daemon.folder.path + "/copy"
        #expect(try run(["cp", "-a", daemon.ledger, copy]).status == 0)
        for name in ["index", "ids", "tree"] {
            try FileManager.default.removeItem(atPath: copy + "/" + name)
        }
        let before = try Self.state(copy)
        let mine = daemon.folder.path + "/tmp"
        try FileManager.default.createDirectory(atPath: mine, withIntermediateDirectories: false)
        for (words, answer) in zip(arguments, asked) {
            let read = try run(
                [Repository.program] + words + ["--ledger", copy], environment: ["TMPDIR": mine])
            #expect(read.status == 0 && read.output == answer.output, "\(words): \(read)")
        }
        #expect(try Self.state(copy) == before)
        #expect(try FileManager.default.contentsOfDirectory(atPath: mine).isEmpty)
    }

    @Test func `a folder is served read-only, also where nobody may write`() throws {
        let (daemon, _, packets) = try ExamplePipeline.asked()
        #expect(daemon.stop() == 0)
        #expect(try run(["chmod", "-R", "a-w", daemon.ledger]).status == 0)
        defer { _ = try? run(["chmod", "-R", "u+w", daemon.ledger]) }
        let before = try Self.state(daemon.ledger)
        let reader = try Background([
            "serve", daemon.ledger, "--read-only", "--socket", daemon.socket,
        ])
        try reader.waitFor("listening")
        let client = try HTTPClient(daemon.socket)
        let deadline = Date() + 60
        while try client.get("/readyz").status != 200, Date() < deadline { usleep(10_000) }
        #expect(try client.get("/readyz").status == 200)
        #expect(try client.get("/v1/packets?limit=1000").json["packets"] as? [Any] != nil)
        #expect(try client.allIDs("/v1/packets?lineage=%7B%7D", limit: 1000).count == packets.count)
        let refused = try client.emit(Sample.packet(Sample.numbered(1).id))
        #expect(refused.status == 503 && refused.text.contains("--read-only"), "\(refused.text)")
        #expect(reader.stop() == 0, "\(reader.error)")
        #expect(try Self.state(daemon.ledger) == before)
    }

    @Test func `what is no ledger is said as by any other command`() throws {
        let folder = try TemporaryFolder()
        for path in [folder.path, folder.path + "/none"] {
            let result = try run([Repository.program, "get", "0", "--ledger", path])
            #expect(
                result.status == 66 && result.error.contains((path as NSString).lastPathComponent),
                "\(result)")
        }
    }
}
