import DaemonTestSupport
import Foundation
import PipelineWorkload
import TestSupport
import Testing

/// What README promises about faults, with the real program and the real disk.
@Suite(.serialized) struct FaultTests {
    @Test func `300 kill -9 under load lose and double no acknowledged packet`() throws {
        try Soak.seeds("300 kills", 1, soak: 20) { try Self.isSafeFromKills(seed: $0 + 299) }
    }

    private static func isSafeFromKills(seed: UInt64) throws -> Bool {
        let daemon = try Daemon(configuration: "{\"segment_bytes\": 4194304}", starts: false)
        let load = Load()
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<300 {
            try daemon.start()
            load.start(daemon.socket, connections: 4)
            usleep(UInt32.random(in: 0..<40_000, using: &generator))
            daemon.kill()
            load.stop()
        }
        try daemon.start()
        let client = try HTTPClient(daemon.socket)
        let acknowledged = load.acknowledged
        #expect(acknowledged.count > 1000 && load.doubled == 0)
        #expect(Set(acknowledged.values).count == acknowledged.count)
        for (id, position) in acknowledged {
            let shown = try client.get("/v1/packets/\(id)")
            #expect(shown.json["position"] as? Int == position, "\(id): \(shown.text.prefix(200))")
        }
        #expect(daemon.stop() == 0)
        let verified = try daemon.verify("--packets", "--index")
        #expect(verified.status == 0, "\(verified.output)")
        return verified.status == 0
    }

    @Test func `SIGTERM under load drains and ends with 0 within five seconds`() throws {
        let daemon = try Daemon()
        let load = Load()
        load.start(daemon.socket, connections: 8)
        usleep(300_000)
        // A daemon that takes longer than five seconds ends itself with another status.
        #expect(daemon.stop() == 0)
        load.stop()
        #expect(!FileManager.default.fileExists(atPath: daemon.socket))
        let result = try daemon.verify()
        #expect(result.status == 0 && result.output.contains("closed at"), "\(result.output)")
        try daemon.start()
        let client = try HTTPClient(daemon.socket)
        for (id, position) in load.acknowledged {
            #expect(try client.get("/v1/packets/\(id)").json["position"] as? Int == position)
        }
    }

    @Test func `a second daemon is turned away at once, by any path, and changes nothing`() throws {
        let daemon = try Daemon()
        #expect(try HTTPClient(daemon.socket).emit(Sample.packet(Sample.id)).status == 201)
        let link = daemon.folder.path + "/link"
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: daemon.ledger)
        func state() throws -> [String] {
            try run(["find", daemon.ledger, "-type", "f", "-printf", "%p %s %T@\\n"]).output
                .split(separator: "\n").map(String.init).sorted()
        }
        // The daemon itself prepares a segment and signs a checkpoint first.
        _ = try daemon.checkpoint(covering: 1)
        var (before, quiet) = (try state(), 0)
        let deadline = Date() + 120
        while quiet < 3, Date() < deadline {
            usleep(500_000)
            let now = try state()
            (before, quiet) = (now, now == before ? quiet + 1 : 0)
        }
        for path in [daemon.ledger, link, daemon.ledger + "/../ledger/."] {
            let second = try run([
                Repository.program, "serve", path, "--socket", daemon.folder.path + "/t",
            ])
            #expect(
                second.status == 75 && second.error.contains("process \(daemon.pid)"),
                "\(second.error)")
        }
        #expect(try state() == before)
        #expect(try HTTPClient(daemon.socket).get("/livez").status == 200)
    }

    @Test(
        .needs(Repository.isRoot && Repository.has("mount"), "mounting a tmpfs needs root"))
    func `a full disk is answered with 507, reads go on, and appends resume by themselves`() throws
    {
        let folder = try TemporaryFolder()
        let disk = folder.path + "/disk"
        try FileManager.default.createDirectory(atPath: disk, withIntermediateDirectories: false)
        #expect(try run(["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", disk]).status == 0)
        defer { _ = try? run(["umount", "-l", disk]) }
        #expect(
            try run([Repository.program, "init", disk + "/ledger", "--segment-bytes", "2097152"])
                .status == 0)
        let filler = disk + "/filler"
        let daemon = try Daemon(
            configuration: "{\"segment_bytes\": 2097152}", ledger: disk + "/ledger")
        let client = try HTTPClient(daemon.socket)
        var taken = 0
        func emitUntilFull() throws -> Int {
            for _ in 0..<200_000 {
                let (_, bytes) = Sample.numbered(taken)
                let answer = try client.emit(bytes + [UInt8](repeating: 0x20, count: 10))
                guard answer.status == 201 else { return answer.status }
                taken += 1
            }
            return 0
        }
        // Leave room for little more than the segment in use.
        let free = try run(["df", "-k", "--output=avail", disk]).output.split(separator: "\n").last!
        let room = Int(free.trimmingCharacters(in: .whitespaces))! - 6144
        #expect(
            try run(["dd", "if=/dev/zero", "of=\(filler)", "bs=1024", "count=\(room)"]).status == 0)
        #expect(try emitUntilFull() == 507)
        let full = taken
        #expect(full > 100)
        let problem = try client.emit(Sample.numbered(full).bytes)
        #expect(problem.problemCode == "no_space" && problem.headers["retry-after"] != nil)
        #expect(try client.get("/readyz").status == 503)
        #expect(try daemon.metric("no_space") == 1)
        #expect(try daemon.readiness().contains("no room for another packet"))
        #expect(try client.get("/v1/packets/\(Sample.numbered(0).id)").status == 200)
        // It also starts on a full disk.
        #expect(daemon.stop() == 0)
        try daemon.start()
        let after = try HTTPClient(daemon.socket)
        #expect(try after.get("/v1/packets/\(Sample.numbered(full - 1).id)").status == 200)
        try FileManager.default.removeItem(atPath: filler)
        let start = ContinuousClock.now
        var status = 0
        while status != 201, ContinuousClock.now - start < .seconds(5) {
            status = try after.emit(Sample.numbered(full).bytes).status
            if status != 201 { usleep(50_000) }
        }
        #expect(status == 201, "appends resume within five seconds")
        while try after.get("/readyz").status != 200 { usleep(20_000) }
        #expect(try daemon.metric("no_space") == 0)
        #expect(daemon.stop() == 0)
        #expect(try daemon.verify().status == 0)
    }

    @Test(.needs(Repository.has("strace"), "strace is not installed"))
    func `a failed fdatasync is an unknown outcome, and the end with 74`() throws {
        let daemon = try Daemon(starts: false)
        try daemon.start()
        let kept = Sample.numbered(1)
        #expect(try HTTPClient(daemon.socket).emit(kept.bytes).status == 201)
        #expect(daemon.stop() == 0)
        let failing = try Daemon(
            ledger: daemon.ledger,
            wrapper: [
                "strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync",
                "-e", "inject=fdatasync:error=EIO:when=2+",
            ])
        let lost = Sample.numbered(2)
        let answer = try HTTPClient(failing.socket).emit(lost.bytes)
        #expect(answer.status == 503 && answer.problemCode == "outcome_unknown", "\(answer.text)")
        #expect(answer.headers["retry-after"] != nil)
        #expect(failing.waitForEnd() == 74)
        try daemon.start()
        let client = try HTTPClient(daemon.socket)
        #expect(try client.emit(kept.bytes).status == 200)
        #expect([200, 201].contains(try client.emit(lost.bytes).status))
        #expect(daemon.stop() == 0)
        #expect(try daemon.verify().status == 0)
    }

    @Test(
        .needs(Repository.has("strace"), "strace is not installed"),
        arguments: [
            "pwrite64:error=EINTR:when=3..6", "pwrite64:error=ENOSPC:when=4..5",
            "fallocate:error=ENOSPC:when=1..2", "openat:error=EMFILE:when=60..62",
            "rename:error=EIO:when=2", "ftruncate:error=EIO:when=1", "fsync:error=EIO:when=3",
        ])
    func `whatever call fails, nothing that was acknowledged is lost`(fault: String) throws {
        let call = fault.split(separator: ":")[0]
        let daemon = try Daemon(
            configuration: "{\"segment_bytes\": 1200000}",
            wrapper: [
                "strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=\(call)", "-e",
                "inject=\(fault)",
            ], starts: false)
        // The fault may already end the daemon's opening; that is an answer too.
        try? daemon.start()
        var acknowledged: [String] = []
        if let client = try? HTTPClient(daemon.socket) {
            for number in 0..<3000 {
                let (id, bytes) = Sample.numbered(number)
                guard let answer = try? client.emit(bytes) else { break }
                if answer.status == 201 { acknowledged.append(id) }
            }
        }
        daemon.kill()
        let after = try Daemon(ledger: daemon.ledger)
        let client = try HTTPClient(after.socket)
        for id in acknowledged {
            #expect(try client.get("/v1/packets/\(id)").status == 200, "\(id)")
        }
        #expect(after.stop() == 0)
        let verified = try after.verify()
        #expect(verified.status == 0, "\(verified.output)")
    }

    @Test func `a damaged ledger is served read-only, and says where it is damaged`() throws {
        let daemon = try Daemon()
        for number in 0..<20 {
            #expect(try HTTPClient(daemon.socket).emit(Sample.numbered(number).bytes).status == 201)
        }
        #expect(daemon.stop() == 0)
        let path = daemon.ledger + "/segments/00000000000000000000.seg"
        let handle = FileHandle(forUpdatingAtPath: path)!
        try handle.seek(toOffset: 5000)
        try handle.write(contentsOf: Data([0xFF]))
        try handle.close()
        try daemon.start()
        let client = try HTTPClient(daemon.socket)
        let answer = try client.emit(Sample.numbered(99).bytes)
        #expect(answer.status == 503 && answer.problemCode == "read_only")
        #expect(answer.text.contains("segments/00000000000000000000.seg"))
        let ready = try client.get("/readyz")
        #expect(ready.status == 503 && ready.text.contains("read only"))
        #expect(try client.get("/v1/packets/\(Sample.numbered(0).id)").status == 200)
        #expect(daemon.stop() == 0)
        let verified = try daemon.verify("--json")
        #expect(verified.status == 1 && verified.output.contains("\"sound\":false"))
    }

    @Test func `an index that is lost, broken or another's is made again behind the open ledger`()
        throws
    {
        let daemon = try Daemon()
        for number in 0..<50 {
            #expect(try HTTPClient(daemon.socket).emit(Sample.numbered(number).bytes).status == 201)
        }
        let path = "/v1/entities/clips/c11b0000-0000-4000-8000-00000000c11b/packets?limit=1000"
        let whole = try HTTPClient(daemon.socket).get(path).text
        let index = daemon.ledger + "/index"
        for damage in ["rm", "junk", "truncate", "foreign"] {
            #expect(daemon.stop() == 0)
            let runs = try FileManager.default.contentsOfDirectory(atPath: index)
            #expect(runs.count == 1, "\(runs)")
            let run = index + "/" + (runs.first ?? "")
            switch damage {
            case "rm": try FileManager.default.removeItem(atPath: index)
            case "junk":
                try Data([UInt8](repeating: 0x41, count: 20_000)).write(
                    to: URL(fileURLWithPath: run))
            case "truncate":
                let handle = FileHandle(forUpdatingAtPath: run)!
                try handle.truncate(atOffset: 1500)
                try handle.close()
            default:
                let other = try Daemon()
                for number in 60..<90 {
                    #expect(
                        try HTTPClient(other.socket).emit(Sample.numbered(number).bytes).status
                            == 201)
                }
                #expect(other.stop() == 0)
                try FileManager.default.removeItem(atPath: index)
                try FileManager.default.copyItem(atPath: other.ledger + "/index", toPath: index)
            }
            if damage != "rm" {
                let found = try daemon.verify("--index")
                #expect(
                    found.status == 1 && found.output.contains("index_disagrees"), "\(found.output)"
                )
            }
            try daemon.start()
            #expect(try HTTPClient(daemon.socket).get(path).text == whole, "\(damage)")
        }
        #expect(daemon.stop() == 0)
        let found = try daemon.verify("--index")
        #expect(found.status == 0, "\(found.output)")
    }

    @Test func `ids that differ from their segment are found`() throws {
        let daemon = try Daemon(configuration: "{\"segment_bytes\": 1200000}")
        let client = try HTTPClient(daemon.socket)
        for number in 0..<2500 {
            #expect(try client.emit(Sample.numbered(number).bytes).status == 201)
        }
        #expect(daemon.stop() == 0)
        let path = daemon.ledger + "/ids/00000000000000000000.ids"
        var bytes = Array(try Data(contentsOf: URL(fileURLWithPath: path)))
        bytes[200] ^= 1
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        let found = try daemon.verify("--index")
        #expect(found.status == 1 && found.output.contains("ids_disagree"), "\(found.output)")
    }

    @Test func `verify beside a writing daemon never cries wolf`() throws {
        let daemon = try Daemon(configuration: "{\"segment_bytes\": 1200000}")
        let load = Load()
        load.start(daemon.socket, connections: 8)
        for _ in 0..<40 {
            let result = try daemon.verify()
            #expect(result.status == 0, "\(result.output)")
        }
        load.stop()
        #expect(load.acknowledged.count > 500)
    }
}
