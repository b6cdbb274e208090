import DaemonTestSupport
import Foundation
import TestSupport
import Testing

/// The archive process beside a real daemon, real stores, and what comes back from them.
@Suite(.needs(ObjectStoreServer.obstacle == nil, "SeaweedFS or moto is not installed"))
struct ArchiveTests {
    private static let environment = ObjectStoreServer.environment

    /// The files of a ledger that its archive must give back.
    private static func files(_ ledger: String) throws -> [String: Data] {
        var files: [String: Data] = [:]
        let segments = try FileManager.default.contentsOfDirectory(atPath: ledger + "/segments")
            .filter { $0.hasSuffix(".seg") }.map { "segments/\($0)" }
        for name in segments + ["identity", "checkpoints", "checkpoint"] {
            var content = try Data(contentsOf: URL(fileURLWithPath: ledger + "/" + name))
            // What was allocated ahead in the newest segment.
            while name.hasPrefix("segments/"), content.last == 0 { content.removeLast() }
            files[name] = content
        }
        return files
    }

    private static func root(_ ledger: String) throws -> String {
        let result = try run([Repository.program, "verify", ledger, "--json"])
        let json = try JSONSerialization.jsonObject(with: Data(result.output.utf8))
        return (json as? [String: Any])?["root"] as? String ?? result.output + result.error
    }

    @Test func `[A-04] a ledger comes back from a bucket as it was`() throws {
        let server = try ObjectStoreServer.shared(.weed)
        let prefix = UUID().uuidString
        let archived = try Archived(
            [Archived.bucket(server, prefix: prefix)], environment: Self.environment)
        try archived.start()
        for round in 0..<4 { try archived.emit(round * 150..<round * 150 + 150) }
        try archived.waitUntilShipped()
        let status = try archived.run("status")
        #expect(status.output.contains("sealed segments; nothing waits"), "\(status)")
        #expect(archived.stop() == 0)
        #expect(archived.daemon.stop() == 0)
        let restored = archived.daemon.folder.path + "/restored"
        let environment = Self.environment.merging(["AWS_ENDPOINT_URL": server.url]) { $1 }
        let from = "s3://ledgers/\(prefix)"
        let result = try run(
            [
                Repository.program, "restore", restored, "--from", from, "--vkey",
                try archived.daemon.vkey,
            ],
            environment: environment)
        #expect(result.status == 0, "\(result)")
        #expect(result.output.contains("checkpoint covers all of them"), "\(result)")
        let (theirs, ours) = (try Self.files(archived.daemon.ledger), try Self.files(restored))
        #expect(theirs.count > 6)
        #expect(theirs.keys.sorted() == ours.keys.sorted())
        for (name, content) in theirs { #expect(ours[name] == content, "\(name)") }
        #expect(try Self.root(restored) == Self.root(archived.daemon.ledger))
        let verified = try run(
            [Repository.program, "verify", "--archive", from], environment: environment)
        #expect(
            verified.status == 0 && verified.output.contains("sound: 600 entries"), "\(verified)")
        let again = try run(
            [Repository.program, "restore", restored, "--from", from], environment: environment)
        #expect(again.status == 73, "\(again)")
        try servesReadOnly(restored)
    }

    private func servesReadOnly(_ ledger: String) throws {
        let before = try Self.files(ledger)
        let daemon = try Daemon(ledger: ledger)
        let client = try HTTPClient(daemon.socket)
        let id = Sample.numbered(17).id
        #expect(try client.get("/v1/packets/\(id)").status == 200)
        let refused = try client.emit(Sample.packet(Sample.numbered(9999).id))
        #expect(refused.status == 503 && refused.text.contains("came out of an archive"))
        #expect(daemon.stop() == 0)
        #expect(try Self.files(ledger) == before)
    }

    @Test func `an archive process that is killed goes on where the store says`() throws {
        let folder = try TemporaryFolder()
        let archived = try Archived([Archived.folder(folder.path)])
        var generator = SystemRandomNumberGenerator()
        for round in 0..<12 {
            try archived.start()
            try archived.emit(round * 40..<round * 40 + 40)
            usleep(UInt32.random(in: 0...400_000, using: &generator))
            archived.kill()
        }
        try archived.start()
        try archived.waitUntilShipped()
        archived.stop()
        archived.daemon.stop()
        let restored = archived.daemon.folder.path + "/restored"
        let result = try run([
            Repository.program, "restore", restored, "--from", "file://\(folder.path)",
        ])
        #expect(result.status == 0, "\(result)")
        #expect(try Self.root(restored) == Self.root(archived.daemon.ledger))
    }

    @Test func `what is wrong in one store is named, and had from the other`() throws {
        let (first, second) = (try TemporaryFolder(), try TemporaryFolder())
        let archived = try Archived([first, second].map { Archived.folder($0.path) })
        try archived.start()
        try archived.emit(0..<400)
        try archived.waitUntilShipped()
        archived.stop()
        archived.daemon.stop()
        let id = try FileManager.default.contentsOfDirectory(atPath: first.path)
            .first { $0 != "probe" }!
        let segments = "\(first.path)/\(id)/segments"
        let names = try FileManager.default.contentsOfDirectory(atPath: segments)
            .filter { $0.hasSuffix(".seg") }.sorted()
        #expect(names.count > 2)
        var bytes = try Data(contentsOf: URL(fileURLWithPath: "\(segments)/\(names[0])"))
        bytes[5000] ^= 1
        try bytes.write(to: URL(fileURLWithPath: "\(segments)/\(names[0])"))
        try FileManager.default.removeItem(atPath: "\(segments)/\(names[1])")
        let alone = try run([
            Repository.program, "verify", "--archive", "file://\(first.path)",
        ])
        #expect(alone.output.contains("archive_damaged: file://\(first.path)"), "\(alone)")
        #expect(alone.output.contains("archive_missing: file://\(first.path)"), "\(alone)")
        #expect(alone.status == 1)
        let root = archived.daemon.folder.path
        let lost = try run([
            Repository.program, "restore", root + "/a", "--from", "file://\(first.path)",
        ])
        #expect(lost.status == 65 && lost.error.contains(names[0]), "\(lost)")
        #expect(!FileManager.default.fileExists(atPath: root + "/a"))
        let both = try run([
            Repository.program, "restore", root + "/a", "--from", "file://\(first.path)", "--from",
            "file://\(second.path)",
        ])
        #expect(both.status == 0 && both.error.contains("taken from elsewhere"), "\(both)")
        #expect(try Self.root(root + "/a") == Self.root(archived.daemon.ledger))
    }

    @Test func `a ledger is restored to any size, and to a time`() throws {
        let folder = try TemporaryFolder()
        let archived = try Archived([Archived.folder(folder.path)])
        try archived.start()
        try archived.emit(0..<500)
        try archived.waitUntilShipped()
        let checkpoint = try HTTPClient(archived.daemon.socket).get("/v1/checkpoint").text
        archived.stop()
        archived.daemon.stop()
        let root = archived.daemon.folder.path
        let from = ["--from", "file://\(folder.path)"]
        for size in [1, 499, 500] + (0..<5).map({ _ in Int.random(in: 2..<499) }) {
            let result = try run(
                [Repository.program, "restore", "\(root)/\(size)", "--at", "\(size)"] + from)
            #expect(
                result.status == 0 && result.output.contains("restored \(size) entries"),
                "\(result)")
        }
        let file = try archived.daemon.folder.file("kept", Array(checkpoint.utf8))
        let anchored = try run(
            [Repository.program, "restore", root + "/c", "--checkpoint", file] + from)
        #expect(anchored.status == 0 && anchored.output.contains("covers all"), "\(anchored)")
        let early = try run(
            [Repository.program, "restore", root + "/t", "--at", "2020-01-01T00:00:00Z"] + from)
        #expect(early.status == 0 && early.output.contains("restored 0 entries"), "\(early)")
        let beyond = try run([Repository.program, "restore", root + "/b", "--at", "501"] + from)
        #expect(beyond.status == 65 && beyond.error.contains("500 entries"), "\(beyond)")
        let none = try run([
            Repository.program, "restore", root + "/n", "--from", "file:///no/such",
        ])
        #expect(none.status == 78, "\(none)")
    }

    @Test func `a second writer under the same names is found, and nothing is overwritten`() throws
    {
        let folder = try TemporaryFolder()
        let archived = try Archived([Archived.folder(folder.path)])
        try archived.start()
        try archived.emit(0..<30)
        try archived.waitUntilShipped()
        archived.kill()
        // The ledger goes on in two copies.
        archived.daemon.stop()
        let copy = archived.daemon.folder.path + "/copy"
        #expect(try run(["cp", "-a", archived.daemon.ledger, copy]).status == 0)
        try archived.daemon.start()
        try archived.start()
        try archived.emit(30..<60)
        try archived.waitUntilShipped()
        archived.stop()
        archived.daemon.stop()
        let before = try Self.objects(folder.path)
        let other = try Daemon(
            configuration: String(contentsOfFile: archived.configuration, encoding: .utf8),
            ledger: copy)
        #expect(
            try HTTPClient(other.socket).emit(Sample.packet(Sample.numbered(77).id)).status == 201)
        let process = try Background([
            "archive", "run", "--config", other.folder.path + "/config.json", "--socket",
            other.socket,
        ])
        let deadline = Date() + 60
        while process.isRunning, Date() < deadline { usleep(20_000) }
        #expect(process.stop() == 65, "\(process.error)")
        #expect(process.error.contains("another writer") || process.error.contains("shorter"))
        let after = try Self.objects(folder.path)
        for (name, content) in before { #expect(after[name] == content, "\(name)") }
    }

    @Test func `a copy that has grown longer than the archive is found, too`() throws {
        let folder = try TemporaryFolder()
        let archived = try Archived([Archived.folder(folder.path)])
        try archived.start()
        try archived.emit(0..<20)
        try archived.waitUntilShipped()
        archived.stop()
        archived.daemon.stop()
        let copy = archived.daemon.folder.path + "/copy"
        #expect(try run(["cp", "-a", archived.daemon.ledger, copy]).status == 0)
        try archived.daemon.start()
        try archived.start()
        try archived.emit(20..<200)
        try archived.waitUntilShipped()
        archived.stop()
        archived.daemon.stop()
        let before = try Self.objects(folder.path)
        let other = try Daemon(
            configuration: String(contentsOfFile: archived.configuration, encoding: .utf8),
            ledger: copy)
        for number in 1000..<1400 {
            let packet = Sample.packet(
                Sample.numbered(number).id,
                more: ",\"filler\":\"\(String(repeating: "y", count: 700))\"")
            #expect(try HTTPClient(other.socket).emit(packet).status == 201)
        }
        let process = try Background([
            "archive", "run", "--config", other.folder.path + "/config.json", "--socket",
            other.socket,
        ])
        let deadline = Date() + 60
        while process.isRunning, Date() < deadline { usleep(20_000) }
        #expect(process.stop() == 65, "\(process.error)")
        #expect(process.error.contains("another writer"), "\(process.error)")
        let after = try Self.objects(folder.path)
        for (name, content) in before { #expect(after[name] == content, "\(name)") }
        let compared = try run([
            Repository.program, "verify", copy, "--archive", "file://\(folder.path)",
        ])
        #expect(compared.output.contains("entries"), "\(compared)")
    }

    @Test func `a part that is missing is a gap, unless another store has it`() throws {
        let (first, second) = (try TemporaryFolder(), try TemporaryFolder())
        let archived = try Archived([Archived.folder(first.path)], segmentBytes: 1 << 20)
        try archived.start()
        for round in 0..<6 {
            try archived.emit(round * 10..<round * 10 + 10)
            try archived.waitUntilShipped()
        }
        archived.stop()
        // The other store begins later, with other borders.
        let both = try archived.daemon.folder.file(
            "both.json",
            Array(
                """
                {"archive": {"stores": [\(Archived.folder(first.path)), \
                \(Archived.folder(second.path))], "ship_after_ms": 100}}
                """.utf8))
        let process = try Background([
            "archive", "run", "--config", both, "--socket", archived.daemon.socket,
        ])
        let deadline = Date() + 60
        while try Self.objects(second.path).keys.filter({ $0.contains("/open/") }).isEmpty,
            Date() < deadline
        {
            usleep(50_000)
        }
        #expect(process.stop() == 0, "\(process.error)")
        archived.daemon.stop()
        let parts = try Self.objects(first.path).keys.filter { $0.contains("/open/") }.sorted()
        #expect(parts.count > 3)
        try FileManager.default.removeItem(atPath: "\(first.path)/\(parts[2])")
        let (one, two) = ("file://\(first.path)", "file://\(second.path)")
        let verified = try run([Repository.program, "verify", "--archive", one])
        #expect(verified.status == 1 && verified.output.contains("archive_gap"), "\(verified)")
        let root = archived.daemon.folder.path
        let lost = try run([Repository.program, "restore", root + "/a/", "--from", one])
        #expect(lost.status == 65 && lost.error.contains("--at"), "\(lost)")
        let mended = try run([
            Repository.program, "restore", root + "/a/", "--from", one, "--from", two,
        ])
        #expect(mended.status == 0, "\(mended)")
        #expect(try Self.root(root + "/a") == Self.root(archived.daemon.ledger))
        let foreign = try Daemon()
        foreign.stop()
        let other = try run([
            Repository.program, "verify", foreign.ledger, "--archive", two,
        ])
        #expect(other.status == 1 && other.output.contains("archive_foreign"), "\(other)")
    }

    private static func objects(_ folder: String) throws -> [String: Data] {
        var found: [String: Data] = [:]
        for name in try FileManager.default.subpathsOfDirectory(atPath: folder) {
            var isFolder: ObjCBool = false
            let path = folder + "/" + name
            if FileManager.default.fileExists(atPath: path, isDirectory: &isFolder),
                !isFolder.boolValue
            {
                found[name] = try Data(contentsOf: URL(fileURLWithPath: path))
            }
        }
        return found
    }

    @Test func `a store that is away holds nothing up, and gets everything when it is back`() throws
    {
        let server = try ObjectStoreServer(.weed)
        let prefix = UUID().uuidString
        let archived = try Archived(
            [Archived.bucket(server, prefix: prefix)], environment: Self.environment)
        try archived.start()
        try archived.emit(0..<50)
        try archived.waitUntilShipped()
        try server.halt()
        try archived.emit(50..<250)
        #expect(archived.isRunning)
        try server.go()
        try archived.emit(250..<300)
        try archived.waitUntilShipped()
        let verified = try run(
            [Repository.program, "verify", "--archive", "s3://ledgers/\(prefix)"],
            environment: Self.environment.merging(["AWS_ENDPOINT_URL": server.url]) { $1 })
        #expect(verified.output.contains("sound: 300 entries"), "\(verified)")
        #expect(archived.log.contains("trying again"))
    }

    @Test func `a store that does not keep its promises is refused`() throws {
        let server = try ObjectStoreServer.shared(.moto)
        let archived = try Archived([Archived.bucket(server)], environment: Self.environment)
        let check = try archived.run("check")
        #expect(check.status == 78 && check.output.contains("FAILS"), "\(check)")
        let run = try archived.run("run")
        #expect(run.status == 78 && run.error.contains("does not keep the promises"), "\(run)")
    }

    @Test(
        arguments: [
            ("{}", "needs stores"), ("{\"stores\": []}", "needs stores"),
            ("{\"stores\": [{}]}", "needs a url"),
            ("{\"stores\": [{\"url\": \"ftp://x\"}]}", "ftp:// is not a store"),
            (
                "{\"stores\": [{\"url\": \"s3://abc\", \"endpoint\": \"x\"}]}",
                "not scheme, host and port"
            ),
            ("{\"stores\": [{\"url\": \"s3://abc\"}, {\"url\": \"s3://abc/\"}]}", "twice"),
            (
                "{\"stores\": [{\"url\": \"s3://abc\", \"object_lock\": {\"mode\": \"x\"}}]}",
                "governance"
            ),
            ("{\"stores\": [{\"url\": \"s3://abc\"}], \"x\": 1}", "unknown setting"),
        ])
    func `settings that cannot work are refused`(_ archive: String, _ words: String) throws {
        let folder = try TemporaryFolder()
        let file = try folder.file("c.json", Array("{\"archive\": \(archive)}".utf8))
        let result = try run([Repository.program, "archive", "check", "--config", file])
        #expect(result.status == 78 && result.error.contains(words), "\(result)")
    }
}
