import DaemonTestSupport
import Foundation
import TestSupport
import Testing

/// A damaged ledger serves every sound packet, and never says that something is not in it.
@Suite struct DamagedLedgerTests {
    private static let count = 12

    private static func damaged(
        _ name: (Daemon) throws -> String, at place: (Data) -> Int
    ) throws -> Daemon {
        let daemon = try Daemon(
            configuration: "{\"segment_bytes\": 65536, \"packet_bytes_max\": 16384}")
        for number in 0..<count {
            #expect(try HTTPClient(daemon.socket).emit(Sample.numbered(number).bytes).status == 201)
        }
        _ = try daemon.checkpoint(covering: count)
        #expect(daemon.stop() == 0)
        let path = try daemon.ledger + "/" + name(daemon)
        var data = try Data(contentsOf: URL(fileURLWithPath: path))
        data[place(data)] ^= 1
        try data.write(to: URL(fileURLWithPath: path))
        for name in try FileManager.default.contentsOfDirectory(atPath: daemon.ledger + "/ids") {
            try FileManager.default.removeItem(atPath: daemon.ledger + "/ids/" + name)
        }
        try daemon.start()
        return daemon
    }

    private static func expectServed(
        _ daemon: Daemon, except missing: Set<Int>, _ what: String
    ) throws {
        let client = try HTTPClient(daemon.socket)
        #expect(try client.get("/readyz").status == 503)
        for number in 0..<count {
            let (packet, entry) = (
                try client.get("/v1/packets/\(Sample.numbered(number).id)"),
                try client.get("/v1/entries/\(number)")
            )
            if missing.contains(number) {
                #expect(
                    packet.problemCode == "damaged" && entry.problemCode == "damaged", "\(what)")
            } else {
                #expect(packet.status == 200 && entry.status == 200, "\(what): \(number)")
                #expect(packet.json["position"] as? Int == number, "\(what)")
            }
        }
        // Nobody can tell whether it is there.
        let unknown = try client.get("/v1/packets/5b0f6c1e-2a47-4d7e-9a51-0c2f3d9bffff")
        #expect(unknown.status == 500 && unknown.problemCode == "damaged", "\(what)")
        let list = try client.get("/v1/packets?count=true")
        #expect(list.status == 200 && list.json["damaged"] as? Bool == true, "\(what)")
        #expect(list.json["damage"] is String && list.json["total_exact"] as? Bool == false)
        let found = (list.json["packets"] as? [[String: Any]] ?? []).compactMap {
            $0["position"] as? Int
        }
        #expect(found == (0..<count).filter { !missing.contains($0) }, "\(what): \(found)")
        let chain = try client.get("/v1/entities/clips/5b0f6c1e-2a47-4d7e-9a51-0c2f3d9bfffe/chain")
        #expect(chain.json["complete"] as? Bool == false || chain.status == 500, "\(what)")
        #expect(try client.emit(Sample.numbered(99).bytes).problemCode == "read_only")
        #expect(daemon.stop() == 0)
    }

    @Test func `a bit beside the segments takes nothing away`() throws {
        for name in ["checkpoint", "checkpoints", "closed"] {
            let daemon = try Self.damaged({ _ in name }, at: { $0.count / 2 })
            try Self.expectServed(daemon, except: [], name)
        }
    }

    @Test func `a bit in an entry takes that entry away alone`() throws {
        for number in [0, 4, 11] {
            let segment = "segments/00000000000000000000.seg"
            let daemon = try Self.damaged(
                { _ in segment },
                at: { data in
                    // Each record begins with the offset of its batch, which is its own here.
                    var (offset, at) = (128, 0)
                    while at < number {
                        let length = data[offset + 8..<offset + 12].reversed().reduce(0) {
                            $0 << 8 | Int($1)
                        }
                        offset = (offset + 16 + length + 7) & ~7
                        at += 1
                    }
                    return offset + 40
                })
            try Self.expectServed(daemon, except: [number], "entry \(number)")
        }
    }

    @Test(.needs(Repository.isRoot && Repository.has("mount"), "mounting a tmpfs needs root"))
    func `a ledger on a file system that takes no changes is served`() throws {
        let folder = try TemporaryFolder()
        let disk = folder.path + "/disk"
        try FileManager.default.createDirectory(atPath: disk, withIntermediateDirectories: false)
        #expect(try run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", disk]).status == 0)
        defer { _ = try? run(["umount", "-l", disk]) }
        let ledger = disk + "/ledger"
        #expect(
            try run([Repository.program, "init", ledger, "--segment-bytes", "2097152"]).status == 0)
        for isClosed in [true, false] {
            #expect(try run(["mount", "-o", "remount,rw", disk]).status == 0)
            let writer = try Daemon(configuration: "{\"segment_bytes\": 2097152}", ledger: ledger)
            try writer.emit((isClosed ? 0 : 10)..<(isClosed ? 10 : 20))
            if isClosed { #expect(writer.stop() == 0) } else { writer.kill() }
            #expect(try run(["mount", "-o", "remount,ro", disk]).status == 0)
            let daemon = try Daemon(ledger: ledger)
            let client = try HTTPClient(daemon.socket)
            #expect(try client.get("/v1/packets/\(Sample.numbered(3).id)").status == 200)
            #expect(
                try client.get("/v1/packets?count=true").json["total"] as? Int
                    == (isClosed ? 10 : 20))
            #expect(try client.emit(Sample.numbered(99).bytes).problemCode == "read_only")
            let ready = try client.get("/readyz")
            #expect(ready.status == 503 && ready.text.contains("read only"), "\(ready.text)")
            #expect(daemon.stop() == 0, "\(daemon.log)")
            let verified = try run([Repository.program, "verify", ledger])
            #expect(verified.status == 0, "\(verified)")
        }
    }

    // MARK: Damage that opening leaves out

    /// A ledger of several segments, stopped, with packets of about 1 kB.
    private static func several() throws -> Daemon {
        let daemon = try Daemon(
            configuration: "{\"segment_bytes\": 65536, \"packet_bytes_max\": 16384}")
        let client = try HTTPClient(daemon.socket)
        #expect(try client.emitLines(Sample.body(0..<300)).lines.count == 300)
        _ = try daemon.checkpoint(covering: 300)
        #expect(daemon.stop() == 0)
        return daemon
    }

    private static func segments(_ daemon: Daemon) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: daemon.ledger + "/segments").sorted()
            .map { "\(daemon.ledger)/segments/\($0)" }
    }

    @Test func `a packet that cannot be read is missed by no list, command or follower`() throws {
        for keepsIndex in [true, false] {
            let daemon = try Self.several()
            let path = URL(fileURLWithPath: try Self.segments(daemon)[0])
            var data = try Data(contentsOf: path)
            let place = data.firstRange(of: Data(Sample.numbered(7).id.utf8))!.lowerBound
            data[place + 40] ^= 1
            try data.write(to: path)
            if !keepsIndex { try FileManager.default.removeItem(atPath: daemon.ledger + "/index") }
            try daemon.start()
            let client = try HTTPClient(daemon.socket)
            let list = try client.get("/v1/packets?count=true&limit=1000")
            #expect(list.json["damaged"] as? Bool == true, "\(list.text.suffix(300))")
            #expect(list.json["total_exact"] as? Bool == false)
            #expect((list.json["packets"] as? [Any])?.count == 299)
            #expect(try client.get("/v1/packets/\(Sample.numbered(7).id)").problemCode == "damaged")
            // From now on it is known, and no secret.
            #expect(try daemon.readiness().contains("damage was found"))
            #expect(try daemon.metric("damage_found") == 1)
            #expect(daemon.logs("damage was found"))
            for command in [["find"], ["find", "--json"], ["find", "--count"]] {
                let result = try daemon.stardust(command)
                #expect(result.status == 74 && result.error.contains("damaged"), "\(command)")
            }
            #expect(try daemon.stardust("find", "--count").output.contains("cannot be read"))
            let follow = try run(
                [
                    "bash", "-c",
                    "head -300 < <(timeout 60 curl -sN --unix-socket $0 'http://x/v1/follow?after=-1')",
                    daemon.socket,
                ])
            let lines = follow.output.split(separator: "\n")
            #expect(lines.count { $0.contains("\"stardust_id\"") } >= 298)
            #expect(lines.contains { $0.contains("\"damaged\":true") }, "\(lines.last ?? "")")
            // It goes on appending, and what it lacks stays named.
            #expect(try client.emit(Sample.numbered(900).bytes).status == 201)
            #expect(daemon.stop() == 0)
        }
    }

    @Test func `a segment that is missing takes only its own entries away`() throws {
        let daemon = try Self.several()
        let paths = try Self.segments(daemon)
        let (missing, next) = (paths[1], paths[2])
        func first(_ path: String) -> Int { Int(path.suffix(24).prefix(20))! }
        try FileManager.default.removeItem(atPath: missing)
        try daemon.start()
        let client = try HTTPClient(daemon.socket)
        let list = try client.get("/v1/packets?limit=1000")
        let wanted = 300 - (first(next) - first(missing))
        #expect(
            list.status == 200 && list.json["damaged"] as? Bool == true, "\(list.text.prefix(300))")
        #expect((list.json["packets"] as? [Any])?.count == wanted)
        for position in [first(missing), first(next) - 1] {
            #expect(try client.get("/v1/entries/\(position)").problemCode == "damaged")
        }
        for position in [0, first(missing) - 1, first(next), 299] {
            #expect(try client.get("/v1/entries/\(position)").status == 200, "\(position)")
        }
    }
}
