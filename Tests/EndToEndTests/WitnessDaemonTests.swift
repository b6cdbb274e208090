import DaemonTestSupport
import Foundation
import LedgerFormat
import LedgerStorage
import TestSupport
import Testing

/// Witnesses, quorums and forks, on the real program.
@Suite(.serialized) struct WitnessDaemonTests {
    /// A ledger whose policy asks two witnesses, both of which must cosign.
    private final class Witnessed {
        let folder: TemporaryFolder
        let vkey: String
        var ledger: String { folder.path + "/ledger" }
        private let ports: [String]
        private(set) var witnesses: [Background?] = [nil, nil]

        init() throws {
            folder = try TemporaryFolder()
            let path = folder.path
            let made = try run([
                Repository.program, "init", path + "/ledger", "--segment-bytes", "1000000",
                "--origin", "log.example/witnessed",
            ])
            vkey = made.output.trimmingCharacters(in: .newlines)
            ports = [path + "/w0", "127.0.0.1:\(Int.random(in: 20_000...30_000))"]
            for number in 0..<2 { try startWitness(number) }
            var policy = "log \(vkey)\n"
            for (number, url) in ["unix:" + ports[0], "http://" + ports[1]].enumerated() {
                let key = witnesses[number]!.output.trimmingCharacters(in: .newlines)
                policy += "witness w\(number) \(key) \(url)\n"
            }
            policy += "group both all w0 w1\nquorum both\n"
            _ = try folder.file("policy", Array(policy.utf8))
        }

        func startWitness(_ number: Int) throws {
            witnesses[number] = try Background([
                "witness", folder.path + "/witness\(number)", "--listen", ports[number], "--log",
                vkey, "--name", "w\(number).example",
            ])
            try witnesses[number]!.waitFor("witnessing")
        }

        func killWitness(_ number: Int) {
            witnesses[number]?.kill()
            witnesses[number] = nil
        }

        func daemon(_ ledger: String? = nil) throws -> Daemon {
            try Daemon(
                configuration: "{\"witness_policy\": \"\(folder.path)/policy\"}",
                ledger: ledger ?? self.ledger)
        }
    }

    @Test func `published is what enough witnesses have cosigned`() throws {
        let world = try Witnessed()
        let daemon = try world.daemon()
        try daemon.emit(0..<30)
        let first = try daemon.checkpoint(covering: 30)
        #expect(first.note.signatures.count == 3)
        // One of two is gone: nothing new is called published, and the packets are taken all the same.
        world.killWitness(1)
        try daemon.emit(30..<60)
        usleep(2_500_000)
        let client = try HTTPClient(daemon.socket)
        #expect(try client.get("/checkpoint").body == first.note.bytes)
        #expect(daemon.logs("witness w1: "))
        // It comes back after a kill, knowing what it had cosigned.
        try world.startWitness(1)
        let second = try daemon.checkpoint(covering: 60)
        #expect(second.note.signatures.count == 3)
        #expect(try client.get("/tile/0/000.p/60").status == 200)
        let packet = Sample.numbered(61).bytes
        let waited = try client.request(
            "POST", "/v1/packets?wait=checkpoint", packet, type: "application/json")
        #expect(waited.status == 201 && waited.text.contains("w1.example"), "\(waited.text)")
        // The checkpoints that the witnesses keep are those.
        let hash = Digest.sha256(Array("log.example/witnessed".utf8)).hex
        let kept = try HTTPClient(world.folder.path + "/w0").get("/\(hash)/checkpoint")
        #expect(try SignedCheckpoint(kept.body).checkpoint.size.entries == 61)
        #expect(
            try HTTPClient(world.folder.path + "/w0").get("/\(String(hash.reversed()))/checkpoint")
                .status == 404)
        // After a restart nothing has to be asked again.
        #expect(daemon.stop() == 0)
        world.killWitness(0)
        try daemon.start()
        #expect(try daemon.checkpoint(covering: 61).note.signatures.count == 3)
        #expect(daemon.stop() == 0)
        let result = try daemon.verify("--vkey", world.vkey)
        #expect(result.status == 0, "\(result.output)")
    }

    @Test func `another policy asks other witnesses, without a restart`() throws {
        let world = try Witnessed()
        let daemon = try Daemon(configuration: "{}", ledger: world.ledger)
        try daemon.emit(0..<10)
        #expect(try daemon.checkpoint(covering: 10).note.signatures.count == 1)
        let policy = "{\"witness_policy\": \"\(world.folder.path)/policy\"}"
        try daemon.reload(policy)
        try daemon.emit(10..<20)
        #expect(try daemon.checkpoint(covering: 20).note.signatures.count == 3)
        // The file alone has changed.
        let text = try String(contentsOfFile: world.folder.path + "/policy", encoding: .utf8)
        _ = try world.folder.file(
            "policy", Array(text.replacing("both all", with: "both any").utf8))
        world.killWitness(1)
        try daemon.reload(policy)
        try daemon.emit(20..<30)
        #expect(try daemon.checkpoint(covering: 30).note.signatures.count == 2)
        // One that names another ledger is refused.
        _ = try world.folder.file(
            "policy", Array("log \(world.vkey.replacing("witnessed", with: "other"))\n".utf8))
        try daemon.reload(policy)
        #expect(try daemon.metric("config_reload_ok") == 0)
        try daemon.emit(30..<40)
        #expect(try daemon.checkpoint(covering: 40).note.signatures.count == 2)
        #expect(daemon.stop() == 0)
        #expect(try daemon.verify("--vkey", world.vkey).status == 0)
    }

    @Test func `a tree that is damaged is no fork`() throws {
        let world = try Witnessed()
        let daemon = try world.daemon()
        try daemon.emit(0..<20)
        _ = try daemon.checkpoint(covering: 20)
        let handle = FileHandle(forUpdatingAtPath: daemon.ledger + "/tree/0")!
        try handle.seek(toOffset: 128)
        try handle.write(contentsOf: Data(repeating: 7, count: 1))
        try handle.close()
        try daemon.emit(20..<40)
        _ = try daemon.checkpoint(covering: 40)
        #expect(!FileManager.default.fileExists(atPath: daemon.ledger + "/fork-alarm"))
        #expect(try daemon.readiness().contains("\"ready\":true"))
    }

    @Test func `whoever waits for a checkpoint is answered when the daemon stops`() throws {
        let world = try Witnessed()
        let daemon = try world.daemon()
        world.killWitness(0)
        let single = try HTTPClient(daemon.socket)
        let packet = Sample.numbered(1).bytes
        try single.send(
            Array(
                "POST /v1/packets?wait=checkpoint HTTP/1.1\r\nhost: x\r\ncontent-length: \(packet.count)\r\n\r\n"
                    .utf8) + packet)
        let proof = try HTTPClient(daemon.socket)
        for _ in 0..<100
        where try HTTPClient(daemon.socket)
            .get("/v1/status").json["ledger_size"] as? Int != 1
        {
            usleep(10_000)
        }
        try proof.send("GET /v1/entries/0/proof HTTP/1.1\r\nhost: x\r\n\r\n")
        usleep(100_000)
        Foundation.kill(daemon.pid, SIGTERM)
        for client in [single, proof] {
            let answer = try client.receive()
            #expect(answer.status == 503 && answer.text.contains("stopping"), "\(answer.text)")
        }
        #expect(daemon.waitForEnd() == 0)
        #expect(!daemon.log.contains("Cannot schedule"), "\(daemon.log)")
    }

    @Test func `a quorum that nobody can be asked for is a mistake in the configuration`() throws {
        let folder = try TemporaryFolder()
        let key = NoteSigner(
            name: "w.example", type: .cosignature, Ed25519Key(seed: Array(repeating: 1, count: 32)))
        let policies = [
            ("witness w \(key.verifier)\nquorum w\n", "no address"),
            ("witness w \(key.verifier) ftp://x\nquorum w\n", "ftp://x is neither"),
            ("witness w\nquorum w\n", "line 1: "),
        ]
        for (policy, words) in policies {
            let file = try folder.file("policy", Array(policy.utf8))
            let daemon = try Daemon(starts: false)
            let configuration = try folder.file(
                "config", Array("{\"witness_policy\": \"\(file)\"}".utf8))
            let result = try run([
                Repository.program, "serve", daemon.ledger, "--config", configuration, "--socket",
                daemon.socket,
            ])
            #expect(result.status == 78 && result.error.contains(words), "\(result.error)")
        }
    }

    @Test func `a fork stops publishing, loudly and for good, and appending goes on`() throws {
        let world = try Witnessed()
        var daemon = try world.daemon()
        try daemon.emit(0..<10)
        _ = try daemon.checkpoint(covering: 10)
        #expect(daemon.stop() == 0)
        // The host's other face: the same ledger, gone on with in another way.
        let other = world.folder.path + "/other"
        try copyFolder(world.ledger, to: other)
        try daemon.start()
        try daemon.emit(10..<40)
        _ = try daemon.checkpoint(covering: 40)
        #expect(daemon.stop() == 0)
        for (numbers, words) in [(100..<110, "40 entries"), (110..<160, "another history")] {
            daemon = try world.daemon(other)
            try daemon.emit(numbers)
            let client = try HTTPClient(daemon.socket)
            var ready = try daemon.readiness()
            for _ in 0..<200 where !ready.contains("nothing is published") {
                usleep(50_000)
                ready = try daemon.readiness()
            }
            #expect(ready.contains(words), "\(ready)")
            #expect(daemon.logs("\"critical\""))
            let status = try client.get("/v1/status").json["publishing"] as? [String: Any]
            #expect(status?["phase"] as? String == "stopped")
            #expect(try client.get("/metrics").text.contains("publishing_stopped 1\n"))
            #expect(
                try client.emit(Sample.numbered(numbers.upperBound + 500).bytes).status
                    == 201)
            // What was published before is still shown; no proof is given beyond it.
            let published = try SignedCheckpoint(try client.get("/checkpoint").body)
            #expect(published.checkpoint.size.entries == 10)
            let id = Sample.numbered(numbers.lowerBound).id
            #expect(try client.get("/v1/packets/\(id)/proof").problemCode == "not_published")
            // A restart does not silence it.
            #expect(daemon.stop() == 0)
            #expect(try daemon.verify().output.contains("note: fork-alarm: "))
            try daemon.start()
            #expect(try daemon.readiness().contains("nothing is published"))
            let again = try HTTPClient(daemon.socket)
            #expect(try again.get("/metrics").text.contains("publishing_stopped 1\n"))
            #expect(try again.get("/checkpoint").body == published.note.bytes)
            #expect(daemon.stop() == 0)
            try FileManager.default.removeItem(atPath: other + "/fork-alarm")
        }
    }

    @Test func `a witness that answers rubbish, or nothing, holds nobody up`() throws {
        let folder = try TemporaryFolder()
        let script = """
            import http.server, os, socketserver, sys, time
            class Handler(http.server.BaseHTTPRequestHandler):
                def do_POST(self):
                    self.server.count += 1
                    kind = self.server.count % 6
                    if kind == 0: return
                    if kind == 1: time.sleep(30)
                    self.send_response([0, 200, 200, 500, 301, 403][kind])
                    self.send_header("content-length", "9" if kind != 3 else "99999999")
                    self.end_headers()
                    self.wfile.write(b"rubbish\\n\\n")
                def log_message(self, *args): pass
                def address_string(self): return "-"
            class Server(socketserver.ThreadingUnixStreamServer):
                daemon_threads = True
                count = -1
            Server(sys.argv[1], Handler).serve_forever()
            """
        let server = try Background(
            ["python3", "-c", script, folder.path + "/w"], program: "/usr/bin/env")
        defer { server.kill() }
        let key = NoteSigner(
            name: "w.example", type: .cosignature, Ed25519Key(seed: Array(repeating: 1, count: 32)))
        _ = try folder.file(
            "policy", Array("witness w \(key.verifier) unix:\(folder.path)/w\nquorum none\n".utf8))
        let daemon = try Daemon(
            configuration: "{\"witness_policy\": \"\(folder.path)/policy\"}")
        for life in 0..<6 {
            try daemon.emit(life * 10..<life * 10 + 10)
            // Nobody's cosignature is needed: published all the same, at the latest when it gave up.
            _ = try daemon.checkpoint(covering: life * 10 + 10)
        }
        #expect(daemon.logs("witness w: "))
        #expect(daemon.stop() == 0)
        #expect(try daemon.verify().status == 0)
    }

    @Test func `whoever floods a witness fills neither its log nor its descriptors`() throws {
        let folder = try TemporaryFolder()
        #expect(try run([Repository.program, "init", folder.path + "/ledger"]).status == 0)
        let vkey = try String(contentsOfFile: folder.path + "/ledger/identity", encoding: .utf8)
            .components(separatedBy: "\n")[3]
        let path = folder.path + "/w"
        let witness = try Background([
            "witness", folder.path + "/witness", "--listen", path, "--log", vkey,
        ])
        try witness.waitFor("witnessing")
        let target = "/" + String(repeating: "x", count: 15_000)
        let client = try HTTPClient(path)
        for number in 0..<300 {
            #expect(try client.get(target + "\(number)").status == 404)
        }
        #expect(witness.error.utf8.count < 10_000)
        var idle: [HTTPClient] = []
        for _ in 0..<400 { if let one = try? HTTPClient(path) { idle.append(one) } }
        // The first is still served, and others are once the idle ones have gone.
        #expect(try client.get(target).status == 404)
        #expect(witness.error.utf8.count < 10_000)
        idle = []
        let deadline = Date() + 60
        while Date() < deadline {
            if let new = try? HTTPClient(path), (try? new.get("/x"))?.status == 404 { break }
            usleep(10_000)
        }
        #expect(try HTTPClient(path).get("/x").status == 404)
        #expect(witness.stop() == 0)
    }

    @Test func `a witness refuses what is not plain, and addresses that are none`() throws {
        let folder = try TemporaryFolder()
        #expect(try run([Repository.program, "init", folder.path + "/ledger"]).status == 0)
        let vkey = try String(contentsOfFile: folder.path + "/ledger/identity", encoding: .utf8)
            .components(separatedBy: "\n")[3]
        for address in ["127.0.0.1", "127.0.0.1:99999", ":7340", "127.0.0.1:7x"] {
            let refused = try run([
                Repository.program, "witness", folder.path + "/none", "--listen", address, "--log",
                vkey,
            ])
            #expect(refused.status == 64 && refused.error.contains("host:port"), "\(address)")
        }
        let path = folder.path + "/w"
        let witness = try Background([
            "witness", folder.path + "/witness", "--listen", path, "--log", vkey,
        ])
        try witness.waitFor("witnessing")
        for (head, status) in [
            ("host: a\r\nhost: b\r\n", 400), ("", 400),
            ("host: a\r\ncontent-encoding: gzip\r\n", 415),
            ("host: a\r\ntransfer-encoding: gzip, chunked\r\n", 501),
        ] {
            let client = try HTTPClient(path)
            let length = head.contains("transfer") ? "" : "content-length: 1\r\n"
            let body = head.contains("transfer") ? "1\r\nx\r\n0\r\n\r\n" : "x"
            try client.send("POST /add-checkpoint HTTP/1.1\r\n\(head)\(length)\r\n\(body)")
            #expect(try client.receive().status == status, "\(head)")
        }
        #expect(witness.stop() == 0)
    }
}
