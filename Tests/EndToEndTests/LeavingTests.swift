import DaemonTestSupport
import Foundation
import TestSupport
import Testing

/// Segments that have left the disk, and are the ledger still.
@Suite(.needs(ObjectStoreServer.obstacle == nil, "SeaweedFS or moto is not installed"))
struct LeavingTests {
    private static let environment = ObjectStoreServer.environment

    private static func names(_ folder: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
    }

    private static func root(_ ledger: String) throws -> String {
        let result = try run([Repository.program, "verify", ledger, "--json"])
        let json = try JSONSerialization.jsonObject(with: Data(result.output.utf8))
        #expect(result.status == 0, "\(result)")
        return (json as? [String: Any])?["root"] as? String ?? result.output + result.error
    }

    /// What clients see of some packets.
    private static func answers(_ daemon: Daemon, _ numbers: [Int]) throws -> [String] {
        let client = try HTTPClient(daemon.socket)
        return try numbers.map { number in
            let id = Sample.numbered(number).id
            let answers = try ["", "/raw", "/chain", "/children"].map { part in
                try client.get("/v1/packets/\(id)\(part)")
            }
            return answers.map { "\($0.status) \($0.text)" }.joined(separator: "\n")
        }
    }

    @Test func `segments leave the disk, and every answer stays the same`() throws {
        let server = try ObjectStoreServer.shared(.weed)
        let archived = try Archived(
            [Archived.bucket(server)], leaves: true, environment: Self.environment)
        let numbers = [0, 17, 150, 333, 449]
        try archived.emit(0..<450)
        let before = try Self.answers(archived.daemon, numbers)
        #expect(before.allSatisfy { $0.hasPrefix("200 ") })
        let originals = try Self.segments(archived.daemon.ledger)
        #expect(originals.count > 3)
        try archived.start()
        try archived.waitUntilLeft()
        #expect(try Self.names(archived.daemon.ledger + "/archived").count == originals.count - 1)
        #expect(try Self.answers(archived.daemon, numbers) == before)
        let found = try HTTPClient(archived.daemon.socket).allIDs("/v1/packets", limit: 100)
        #expect(found.count == 450)
        #expect(try archived.daemon.metric("archive_fetches_total") > 0)
        try needsNoArchive(archived, before, numbers)
        try comesBack(archived, originals)
        #expect(try Self.answers(archived.daemon, numbers) == before)
    }

    @Test func `what stays on the disk, and the cache, change without a restart`() throws {
        let server = try ObjectStoreServer.shared(.weed)
        let archived = try Archived(
            [Archived.bucket(server)], leaves: true, environment: Self.environment)
        let settings = try String(contentsOfFile: archived.configuration, encoding: .utf8)
        try archived.daemon.reload(settings.replacing("\"days\": 0", with: "\"days\": 400"))
        try archived.emit(0..<450)
        try archived.start()
        try archived.waitUntilShipped()
        #expect(try archived.daemon.metric("archived_segments") == 0)
        let folder = try TemporaryFolder()
        defer { withExtendedLifetime(folder) {} }
        try archived.daemon.reload(settings.replacing(archived.cache, with: folder.path))
        try archived.waitUntilLeft()
        let id = Sample.numbered(17).id
        #expect(try HTTPClient(archived.daemon.socket).get("/v1/packets/\(id)").status == 200)
        #expect(try Self.names(folder.path) == ["stardust-blocks"])
        #expect(try !Self.names(folder.path + "/stardust-blocks").isEmpty)
        // A folder that is not there is refused before anything changes.
        try archived.daemon.reload(settings.replacing(archived.cache, with: "/nowhere"))
        #expect(try archived.daemon.metric("config_reload_ok") == 0)
        #expect(try HTTPClient(archived.daemon.socket).get("/v1/packets/\(id)").status == 200)
    }

    private static func segments(_ ledger: String) throws -> [String: Data] {
        var found: [String: Data] = [:]
        for name in try names(ledger + "/segments") where name.hasSuffix(".seg") {
            found[name] = try Data(contentsOf: URL(fileURLWithPath: ledger + "/segments/" + name))
        }
        return found
    }

    /// Opening, proofs, tiles and replays work while the archive is away; only payloads do not.
    private func needsNoArchive(
        _ archived: Archived, _ before: [String], _ numbers: [Int]
    ) throws {
        #expect(archived.stop() == 0)
        #expect(archived.daemon.stop() == 0)
        let root = try Self.root(archived.daemon.ledger)
        for name in try Self.names(archived.cache) {
            try FileManager.default.removeItem(atPath: archived.cache + "/" + name)
        }
        for derived in ["ids", "tree"] {
            try FileManager.default.removeItem(atPath: archived.daemon.ledger + "/" + derived)
        }
        try archived.daemon.start()
        let client = try HTTPClient(archived.daemon.socket)
        let id = Sample.numbered(17).id
        let away = try client.get("/v1/packets/\(id)")
        #expect(away.status == 503 && away.problemCode == "archive_unreachable", "\(away.text)")
        #expect(away.text.contains("segments/"))
        let proof = try client.get("/v1/entries/17/proof")
        #expect(proof.status == 200, "\(proof.text)")
        #expect(try client.get("/tile/entries/000").status == 200)
        let filler = String(repeating: "x", count: 600)
        let again = try client.emit(Sample.packet(id, more: ",\"filler\":\"\(filler)\""))
        #expect(again.status == 200 && again.json["replayed"] as? Bool == true, "\(again.text)")
        try archived.start()
        let deadline = Date() + 60
        while try client.get("/v1/packets/\(id)").status != 200, Date() < deadline {
            usleep(100_000)
        }
        #expect(try Self.answers(archived.daemon, numbers) == before)
        #expect(try Self.root(archived.daemon.ledger) == root)
    }

    private func comesBack(_ archived: Archived, _ originals: [String: Data]) throws {
        let recalled = try archived.daemon.stardust("archive", "recall", "all")
        #expect(recalled.status == 0, "\(recalled)")
        let back = try Self.segments(archived.daemon.ledger)
        #expect(back.keys.sorted() == originals.keys.sorted())
        let newest = originals.keys.max()!
        for (name, content) in originals where name != newest {
            #expect(back[name] == content, "\(name)")
        }
        #expect(try Self.names(archived.daemon.ledger + "/archived").isEmpty)
    }

    /// Two stores on another file system than the ledger's.
    private func stores() throws -> [TemporaryFolder]? {
        let folders = try [
            TemporaryFolder(in: "/dev/shm"), TemporaryFolder(in: "/dev/shm"),
        ]
        return folders
    }

    @Test func `a payload that one store has wrong comes from the other`() throws {
        let stores = try stores()!
        let archived = try Archived(stores.map { Archived.folder($0.path) }, leaves: true)
        try archived.start()
        try archived.emit(0..<300)
        try archived.waitUntilLeft()
        let id = Sample.numbered(3).id
        for (number, store) in stores.enumerated() {
            let ledger = try Self.names(store.path).first { $0 != "probe" }!
            let segments = "\(store.path)/\(ledger)/segments"
            let first = try Self.names(segments).first { $0.hasSuffix(".seg") }!
            var bytes = try Data(contentsOf: URL(fileURLWithPath: "\(segments)/\(first)"))
            // Every payload of the first packets is wrong.
            for offset in stride(from: 200, to: 20_000, by: 8) { bytes[offset] ^= 1 }
            chmod("\(segments)/\(first)", 0o600)
            try bytes.write(to: URL(fileURLWithPath: "\(segments)/\(first)"))
            let answer = try HTTPClient(archived.daemon.socket).get("/v1/packets/\(id)")
            if number == 0 {
                #expect(answer.status == 200, "\(answer.text)")
            } else {
                // What was right is cached.
                #expect(answer.status == 200, "\(answer.text)")
                archived.daemon.stop()
                for name in try Self.names(archived.cache) {
                    try FileManager.default.removeItem(atPath: archived.cache + "/" + name)
                }
                try archived.daemon.start()
                let damaged = try HTTPClient(archived.daemon.socket).get("/v1/packets/\(id)")
                #expect(
                    damaged.status == 503 && damaged.problemCode == "archive_damaged",
                    "\(damaged.text)")
                #expect(damaged.text.contains("position 3"))
            }
        }
    }

    @Test func `nothing leaves while one file system has all copies, or a copy is wrong`() throws {
        let store = try TemporaryFolder()
        let archived = try Archived([Archived.folder(store.path)], leaves: true)
        try archived.start()
        try archived.emit(0..<300)
        try archived.waitUntilShipped()
        let status = { try HTTPClient(archived.daemon.socket).get("/v1/status").text }
        let deadline = Date() + 60
        while try !status().contains("file system"), Date() < deadline { usleep(100_000) }
        #expect(try status().contains("every store is on the ledger's own file system"))
        #expect(try Self.segments(archived.daemon.ledger).count > 2)
    }

    @Test(
        arguments: [
            ("zeros", "has other bytes"), ("short", "has other bytes"),
            ("flipped", "has other bytes"),
            ("empty", "has other bytes"), ("long", "instead of at most"), ("fails", "out of luck"),
            ("silent", "within"), ("foreign", "is of the ledger"),
        ])
    func `nothing leaves because an archive process says so`(_ mode: String, _ words: String) throws
    {
        let archived = try Archived([Archived.folder("/dev/shm")], leaves: true)
        let ledger = archived.daemon.ledger
        let identity = try String(contentsOfFile: ledger + "/identity", encoding: .utf8)
        let liar = try Background(
            [
                "python3", Repository.root + "/Tests/EndToEndTests/lying_archive.py",
                archived.archiveSocket, String(identity.split(separator: "\n")[1]), mode,
                ledger + "/segments",
            ], program: "/usr/bin/env")
        defer { withExtendedLifetime(liar) {} }
        try liar.waitFor("listening")
        try archived.emit(0..<300)
        let before = try Self.segments(ledger)
        #expect(before.count > 2)
        func archive() throws -> String {
            let status = try HTTPClient(archived.daemon.socket).get("/v1/status")
            return "\(status.json["archive"] ?? status.text)"
        }
        let deadline = Date() + 90
        while try !archive().contains(words) {
            guard Date() < deadline else { throw Failure("not said: \(try archive())") }
            usleep(100_000)
        }
        #expect(try Self.segments(ledger).keys.sorted() == before.keys.sorted())
        #expect(archived.daemon.stop() == 0)
        #expect(try archived.daemon.verify().status == 0)
    }

    @Test(.needs(Repository.isRoot && Repository.has("mount"), "mounting a tmpfs needs root"))
    func `a cache that is full, or gone, keeps no answer from anybody`() throws {
        let stores = try stores()!
        defer { withExtendedLifetime(stores) {} }
        let archived = try Archived(stores.map { Archived.folder($0.path) }, leaves: true)
        archived.daemon.stop()
        let mounted = try run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", archived.cache])
        #expect(mounted.status == 0, "\(mounted)")
        defer { _ = try? run(["umount", "-l", archived.cache]) }
        try archived.daemon.start()
        try archived.start()
        try archived.emit(0..<300)
        try archived.waitUntilLeft()
        func isThere() throws {
            let client = try HTTPClient(archived.daemon.socket)
            for number in stride(from: 0, to: 300, by: 7) {
                let answer = try client.get("/v1/packets/\(Sample.numbered(number).id)")
                #expect(answer.status == 200, "\(number): \(answer.text)")
            }
        }
        try isThere()
        #expect(archived.daemon.log.contains("cannot be kept"))
        #expect(try run(["umount", "-l", archived.cache]).status == 0)
        try FileManager.default.removeItem(atPath: archived.cache)
        try isThere()
        #expect(archived.daemon.stop() == 0)
    }
}
