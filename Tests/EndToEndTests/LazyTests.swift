import DaemonTestSupport
import Foundation
import TestSupport
import Testing

/// Restoring only what look-ups need, drills, and segments that are sealed by their age.
struct LazyTests {
    private static func names(_ folder: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
    }

    private static func root(_ ledger: String) throws -> String {
        let result = try run([Repository.program, "verify", ledger, "--json"])
        let json = try JSONSerialization.jsonObject(with: Data(result.output.utf8))
        return (json as? [String: Any])?["root"] as? String ?? result.output + result.error
    }

    private func shipped(_ store: TemporaryFolder, _ numbers: Range<Int>) throws -> Archived {
        let archived = try Archived([Archived.folder(store.path)])
        try archived.start()
        try archived.emit(numbers)
        try archived.waitUntilShipped()
        archived.stop()
        archived.daemon.stop()
        return archived
    }

    @Test func `a ledger that was restored lazily answers from the archive`() throws {
        let store = try TemporaryFolder()
        let archived = try shipped(store, 0..<400)
        let base = archived.daemon.folder.path
        let lazy = base + "/lazy"
        let result = try run([
            Repository.program, "restore", lazy, "--lazy", "--from", "file://\(store.path)",
        ])
        #expect(result.status == 0, "\(result)")
        #expect(try Self.names(lazy + "/segments").filter { $0.hasSuffix(".seg") }.count == 1)
        #expect(try Self.names(lazy + "/archived").count > 2)
        #expect(try Self.root(lazy) == Self.root(archived.daemon.ledger))
        // Another machine's daemon and archive process, on the same store.
        let socket = base + "/archive-socket"
        let daemon = try Daemon(
            configuration: """
                {"segment_bytes": 131072, "packet_bytes_max": 4096, "machine": "lazy",
                 "archive": {"stores": [\(Archived.folder(store.path))], "socket": "\(socket)"}}
                """, ledger: lazy)
        let process = try Background([
            "archive", "run", "--config", daemon.folder.path + "/config.json", "--socket",
            daemon.socket,
        ])
        try process.waitFor("serving the archive")
        let client = try HTTPClient(daemon.socket)
        let found = try client.get("/v1/packets/\(Sample.numbered(3).id)")
        #expect(found.status == 200, "\(found.text)")
        // Searches need every payload once.
        let deadline = Date() + 120
        var search = try client.get("/v1/packets?limit=1000")
        while search.problemCode == "index_behind", Date() < deadline {
            usleep(100_000)
            search = try client.get("/v1/packets?limit=1000")
        }
        #expect(try client.allIDs("/v1/packets", limit: 1000).count == 400)
        #expect(process.stop() == 0)
        #expect(daemon.stop() == 0)
    }

    @Test func `a drill restores two checkpoints, and sees another ledger`() throws {
        let (store, other) = (try TemporaryFolder(), try TemporaryFolder())
        let archived = try Archived([Archived.folder(store.path)])
        try archived.start()
        for round in 0..<3 {
            try archived.emit(round * 100..<round * 100 + 100)
            try archived.waitUntilShipped()
        }
        archived.stop()
        let ledger = archived.daemon.ledger
        let drill = [Repository.program, "restore", "--drill", "--from", "file://\(store.path)"]
        let environment = ["TMPDIR": other.path]
        let result = try run(drill + ["--against", ledger], environment: environment)
        #expect(result.status == 0, "\(result)")
        #expect(result.output.contains("the newest checkpoint, of 300 entries, comes back"))
        #expect(result.output.contains("an older one"), "\(result)")
        #expect(try Self.names(other.path).isEmpty)
        let stranger = try shipped(other, 0..<50)
        let against = try run(drill + ["--against", stranger.daemon.ledger])
        #expect(against.status == 1, "\(against)")
    }

    @Test func `a segment that has entries is sealed by its age`() throws {
        let store = try TemporaryFolder()
        let archived = try Archived(
            [Archived.folder(store.path)], more: ", \"seal_after_s\": 10")
        try archived.emit(0..<1)
        let deadline = Date() + 120
        while try archived.daemon.metric("segments_rolled_total") == 0, Date() < deadline {
            usleep(200_000)
        }
        #expect(try archived.daemon.metric("segments_rolled_total") == 1)
        try archived.emit(1..<2)
        #expect(archived.daemon.stop() == 0)
        #expect(try archived.daemon.verify().status == 0)
    }

    @Test func `packets are refused while nothing can be shipped for too long`() throws {
        let store = try TemporaryFolder()
        let archived = try Archived(
            [Archived.folder(store.path)], leaves: true, more: ", \"stop_after_lag_s\": 10")
        let packet = { Sample.packet(Sample.numbered($0).id) }
        var number = 0
        func emit() throws -> HTTPClient.Answer {
            number += 1
            return try HTTPClient(archived.daemon.socket).emit(packet(number))
        }
        #expect(try emit().status == 201)
        var deadline = Date() + 120
        var answer = try emit()
        while answer.status != 503, Date() < deadline {
            usleep(300_000)
            answer = try emit()
        }
        #expect(answer.problemCode == "archive_behind", "\(answer.text)")
        try archived.start()
        deadline = Date() + 120
        while try emit().status != 201, Date() < deadline { usleep(300_000) }
        #expect(try emit().status == 201)
    }

    @Test func `two restores of one folder do not disturb each other`() throws {
        let store = try TemporaryFolder()
        let archived = try shipped(store, 0..<300)
        let folder = archived.daemon.folder.path + "/both"
        let arguments = ["restore", folder, "--from", "file://\(store.path)"]
        let runs = try (0..<2).map { _ in try Background(arguments) }
        let statuses = runs.map { $0.waitForEnd() }
        // The second one meets the first one at work, or finds its result.
        #expect(statuses.contains(0) && statuses.contains { [73, 75].contains($0) }, "\(statuses)")
        #expect(try Self.root(folder) == Self.root(archived.daemon.ledger))
    }

    @Test func `a backup has the read model, the configuration and a list of both`() throws {
        let store = try TemporaryFolder()
        let archived = try Archived([Archived.folder(store.path)])
        try archived.start()
        try archived.emit(0..<20)
        try archived.daemon.feed(ExamplePipeline.changes())
        let result = try run([
            Repository.program, "backup", archived.daemon.ledger, "--config",
            archived.configuration, "--socket", archived.daemon.socket,
        ])
        #expect(result.status == 0, "\(result)")
        let ledger = store.path + "/" + (try Self.names(store.path).first { $0 != "probe" }!)
        let list = try String(
            contentsOfFile: ledger + "/backups/" + Self.names(ledger + "/backups")[0],
            encoding: .utf8)
        let names = list.split(separator: "\n").compactMap { line -> String? in
            let words = line.split(separator: " ")
            return words.count == 3 && words[0].hasPrefix("sha256:") ? String(words[2]) : nil
        }
        #expect(names.count == 2 && names[0].hasSuffix("/model.sqlite.0000"), "\(list)")
        let checkpoint = try String(
            contentsOfFile: archived.daemon.ledger + "/checkpoint", encoding: .utf8)
        #expect(list.hasSuffix("\n\n" + checkpoint))
        let rows = try run(
            ["sqlite3", ledger + "/" + names[0], "SELECT count(*) FROM clips"])
        #expect(try rows.output == archived.daemon.sqlite("SELECT count(*) FROM clips") + "\n")
        let settings = try String(contentsOfFile: ledger + "/" + names[1], encoding: .utf8)
        #expect(settings.contains("segment_bytes"))
    }

    @Test func `members that the configuration forbids are kept out`() throws {
        let daemon = try Daemon(
            configuration: "{\"forbidden\": [\"/lineage/username\", \"/lineage/people/*/mail\"]}")
        let client = try HTTPClient(daemon.socket)
        func packet(_ number: Int, _ more: String) -> [UInt8] {
            let text = String(decoding: Sample.packet(Sample.numbered(number).id), as: UTF8.self)
            return Array(text.replacing("\"lineage\":{", with: "\"lineage\":{\(more)").utf8)
        }
        let refused = try client.emit(packet(1, "\"username\":\"ada\","))
        #expect(
            refused.status == 422 && refused.problemCode == "forbidden_member", "\(refused.text)")
        #expect(refused.json["pointer"] as? String == "/lineage/username")
        let lines =
            packet(2, "\"people\":[{\"name\":\"x\"},{\"mail\":\"y\"}],") + [0x0A]
            + packet(3, "\"people\":[{\"name\":\"x\"}],") + [0x0A]
        let answers = try client.emitLines(lines).lines
        #expect(answers.count == 2 && answers[0].contains("forbidden_member"), "\(answers)")
        #expect(answers[1].contains("\"position\":0"), "\(answers)")
        let bad = try run([
            Repository.program, "serve", daemon.ledger, "--config",
            daemon.folder.file("bad.json", Array("{\"forbidden\": [\"lineage\"]}".utf8)),
        ])
        #expect(bad.status == 78 && bad.error.contains("JSON Pointer"), "\(bad)")
    }
}
