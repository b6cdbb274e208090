import DaemonTestSupport
import Foundation
import TestSupport
import Testing

/// The command's own promises.
@Suite struct CommandTests {
    static func emit(_ daemon: Daemon, _ input: [UInt8]) throws -> Finished {
        try run([Repository.program, "emit", "--socket", daemon.socket], input: input)
    }

    @Test func `emit gives ids that follow from content, and is safe to repeat`() throws {
        let daemon = try Daemon()
        let packets = try Repository.examplePackets().prefix(20).map {
            Array(
                String(decoding: $0, as: UTF8.self).replacing(
                    /"stardust_id":"[^"]*",/, with: "", maxReplacements: 1
                ).utf8)
        }
        // The first one twice: two equal packets stay two.
        let input = Array((packets + [packets[0]]).joined(separator: [0x0A]))
        let first = try Self.emit(daemon, input)
        #expect(first.status == 0, "\(first.error)")
        let again = try Self.emit(daemon, input)
        func receipts(_ text: String) -> [String] {
            text.split(separator: "\n").map {
                String($0).replacing("\"replayed\":true", with: "\"replayed\":false")
            }
        }
        #expect(
            receipts(first.output).count == 21 && receipts(again.output) == receipts(first.output))
        #expect(try HTTPClient(daemon.socket).get("/v1/status").json["ledger_size"] as? Int == 21)
        #expect(daemon.stop() == 0)
        #expect(try daemon.verify("--packets").status == 0)
    }

    @Test func `emit names refused lines and ends with 65, the rest is durable`() throws {
        let daemon = try Daemon()
        let packets = try Repository.examplePackets()
        let input = packets[0] + [0x0A] + Array("junk\n".utf8) + [0xFF, 0x00, 0x0A] + packets[1]
        let result = try Self.emit(daemon, input)
        #expect(result.status == 65 && result.output.split(separator: "\n").count == 2)
        #expect(result.error.contains("line 2: ") && result.error.contains("line 3: "))
    }

    @Test func `emit without a daemon ends with 69, without its input with 66`() throws {
        let folder = try TemporaryFolder()
        let gone = try run(
            [Repository.program, "emit", "--socket", folder.path + "/none"], input: [])
        #expect(gone.status == 69 && gone.error.contains("stardust serve"))
        let missing = try run([
            Repository.program, "emit", "--socket", folder.path + "/none", "/no/file",
        ])
        #expect(missing.status == 66)
    }

    @Test(
        .needs(Repository.has("strace"), "strace is not installed"),
        arguments: ["mkdir:1", "mkdir:2", "mkdir:3", "fsync:1", "fsync:2", "fsync:4", "rename:2"])
    func `an init that is killed starts over`(cut: String) throws {
        let folder = try TemporaryFolder()
        let (call, number) = (cut.split(separator: ":")[0], cut.split(separator: ":")[1])
        let arguments = [Repository.program, "init", folder.path + "/l"]
        let killed = try run(
            [
                "strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=\(call)", "-e",
                "inject=\(call):signal=KILL:when=\(number)",
            ] + arguments)
        #expect(killed.status == SIGKILL, "\(killed)")
        let again = try run(arguments)
        #expect(again.status == 0, "\(again.error)")
        let daemon = try Daemon(ledger: folder.path + "/l")
        #expect(try HTTPClient(daemon.socket).emit(Sample.packet(Sample.id)).status == 201)
        #expect(daemon.stop() == 0)
        #expect(try daemon.verify().status == 0)
    }

    @Test func `exit codes are those of the interface`() throws {
        let folder = try TemporaryFolder()
        let made = try run([
            Repository.program, "init", folder.path + "/l", "--origin", "log.example/a",
        ])
        #expect(made.status == 0 && made.output.hasPrefix("log.example/a+"))
        #expect(try run([Repository.program, "init", folder.path + "/l"]).status == 73)
        #expect(
            try run([Repository.program, "init", folder.path + "/m", "--origin", "a b"]).status
                == 64)
        #expect(try run([Repository.program, "nonsense"]).status == 64)
        #expect(try run([Repository.program, "serve", folder.path]).status == 66)
        #expect(try run([Repository.program, "verify", folder.path]).status == 66)
        #expect(try run([Repository.program, "verify", folder.path + "/none"]).status == 66)
        #expect(try run([Repository.program, "verify", folder.path + "/l"]).status == 0)
        let key = try FileManager.default.attributesOfItem(atPath: folder.path + "/l/key")
        #expect(key[.posixPermissions] as? Int == 0o400)
    }

    @Test func `a socket where others could replace it is refused, a stale one is taken over`()
        throws
    {
        let folder = try TemporaryFolder()
        #expect(try run([Repository.program, "init", folder.path + "/l"]).status == 0)
        let open = folder.path + "/open"
        try FileManager.default.createDirectory(atPath: open, withIntermediateDirectories: false)
        chmod(open, 0o777)
        let refused = try run([
            Repository.program, "serve", folder.path + "/l", "--socket", open + "/s",
        ])
        #expect(
            refused.status == 73 && refused.error.contains("everybody may write"),
            "\(refused.error)")
        let file = try folder.file("file", [1])
        let blocked = try run([Repository.program, "serve", folder.path + "/l", "--socket", file])
        #expect(blocked.status == 73 && FileManager.default.fileExists(atPath: file))
        let daemon = try Daemon(ledger: folder.path + "/l")
        daemon.kill()
        #expect(FileManager.default.fileExists(atPath: daemon.socket))
        try daemon.start()
        let mode = try FileManager.default.attributesOfItem(atPath: daemon.socket)[
            .posixPermissions]
        #expect(mode as? Int == 0o660)
    }

    @Test(
        .needs(Repository.isRoot && Repository.has("setpriv"), "acting as another user needs root")
    )
    func `a role is what the configuration gives, and append is not read`() throws {
        let daemon = try Daemon(
            configuration: """
                {"access": [{"user": 65534, "roles": ["append"], "entity_types": ["clips"]},
                            {"group": 4711, "roles": ["audit"]}]}
                """)
        chmod(daemon.folder.path, 0o755)
        chmod(daemon.socket, 0o666)
        func ask(_ user: [String], _ arguments: [String]) throws -> String {
            try run(
                ["setpriv"] + user + [
                    "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--unix-socket",
                    daemon.socket,
                ] + arguments
            ).output
        }
        let worker = ["--reuid=65534", "--regid=65534", "--clear-groups"]
        let auditor = ["--reuid=12345", "--regid=12345", "--groups=4711"]
        let stranger = ["--reuid=12345", "--regid=12345", "--clear-groups"]
        let packets = "http://x/v1/packets"
        let id = Sample.id
        let clip = String(decoding: Sample.packet(id), as: UTF8.self)
        #expect(try ask(worker, [packets, "-d", clip]) == "201")
        #expect(
            try ask(worker, [packets, "-d", clip.replacing("\"clips\"", with: "\"posts\"")])
                == "403")
        #expect(try ask(worker, ["\(packets)/\(id)"]) == "403")
        #expect(try ask(auditor, ["\(packets)/\(id)"]) == "200")
        #expect(try ask(auditor, ["http://x/v1/entries/0/raw"]) == "200")
        #expect(try ask(auditor, [packets, "-d", clip]) == "403")
        #expect(try ask(auditor, ["http://x/metrics"]) == "403")
        #expect(try ask(stranger, ["\(packets)/\(id)"]) == "403")
        #expect(try ask(stranger, ["http://x/livez"]) == "200")
        let entry =
            try HTTPClient(daemon.socket).get("/v1/entries/0").json["peer"] as? [String: Any]
        #expect(entry?["uid"] as? Int == 65534)
    }

    @Test func `a slow header is cut off by the real daemon`() throws {
        let daemon = try Daemon()
        let client = try HTTPClient(daemon.socket)
        let start = ContinuousClock.now
        try client.send("GET /livez HT")
        #expect(try client.receive().status == 408)
        #expect(client.isClosed())
        #expect(ContinuousClock.now - start > .seconds(4.5))
    }
}
