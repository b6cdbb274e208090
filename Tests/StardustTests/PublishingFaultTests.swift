import Foundation
import LedgerFormat
import LedgerStorage
import TestSupport
import Testing

/// Rollback, damage, forks and changes of key, on the real program.
@Suite(.serialized) struct PublishingFaultTests {
    private static func unready(_ daemon: Daemon) throws -> String {
        try HTTPClient(daemon.socket).get("/readyz").text
    }

    private static func copy(_ from: String, to: String) throws {
        try? FileManager.default.removeItem(atPath: to)
        try FileManager.default.copyItem(atPath: from, toPath: to)
    }

    // MARK: Rollback and damage

    @Test func `a ledger that was put back is only read, and is not signed again`() throws {
        let (daemon, _) = try ProofTests.daemon(packets: 20)
        let folder = daemon.folder.path
        #expect(daemon.stop() == 0)
        try Self.copy(daemon.ledger, to: folder + "/old")
        try daemon.start()
        try ProofTests.emit(20..<40, daemon)
        let published = try ProofTests.checkpoint(daemon, covering: 40)
        #expect(daemon.stop() == 0)
        // The old entries and their close marker under the new checkpoints.
        for name in ["segments", "closed", "ids", "tree"] {
            try Self.copy("\(folder)/old/\(name)", to: "\(daemon.ledger)/\(name)")
        }
        let before = try Data(contentsOf: URL(fileURLWithPath: daemon.ledger + "/checkpoints"))
        try daemon.start()
        #expect(try Self.unready(daemon).contains("rolled_back"))
        let client = try HTTPClient(daemon.socket)
        let refused = try client.emit(FaultTests.Load.packet(50).bytes)
        #expect(refused.status == 503 && refused.problemCode == "read_only")
        #expect(try client.get("/v1/packets/\(FaultTests.Load.packet(3).id)").status == 200)
        #expect(try client.get("/v1/checkpoint").problemCode == "not_published")
        #expect(daemon.stop() == 0)
        // Gone on with, by somebody who does not mind: as long as before, and other entries.
        for name in ["checkpoint", "checkpoints"] {
            try FileManager.default.moveItem(
                atPath: "\(daemon.ledger)/\(name)", toPath: "\(folder)/\(name)")
        }
        try daemon.start()
        try ProofTests.emit(60..<90, daemon)
        #expect(daemon.stop() == 0)
        for name in ["checkpoint", "checkpoints"] {
            try Self.copy("\(folder)/\(name)", to: "\(daemon.ledger)/\(name)")
        }
        try daemon.start()
        #expect(try Self.unready(daemon).contains("checkpoint_root_mismatch"))
        #expect(daemon.stop() == 0)
        let after = try Data(contentsOf: URL(fileURLWithPath: daemon.ledger + "/checkpoints"))
        #expect(before == after)
        let kept = try daemon.folder.file("kept", published.note.bytes)
        #expect(
            try daemon.verify("--checkpoint", kept).output.contains("checkpoint_root_mismatch"))
    }

    @Test func `a tree that is damaged or lost is made again from the entries`() throws {
        let (daemon, _) = try ProofTests.daemon(packets: 300)
        _ = try ProofTests.checkpoint(daemon, covering: 300)
        let client = try HTTPClient(daemon.socket)
        func proof(_ number: Int) throws -> HTTPClient.Answer {
            try client.get("/v1/packets/\(FaultTests.Load.packet(number).id)/proof")
        }
        let good = try proof(5).body
        // Under the running daemon.
        let handle = FileHandle(forUpdatingAtPath: daemon.ledger + "/tree/0")!
        try handle.seek(toOffset: 4 * 32)
        try handle.write(contentsOf: Data(repeating: 7, count: 32))
        try handle.close()
        let bad = try proof(5)
        #expect(bad.status == 503 && bad.problemCode == "tree_damaged", "\(bad.text)")
        var healed = try proof(5)
        for _ in 0..<200 where healed.status != 200 {
            usleep(20_000)
            healed = try proof(5)
        }
        #expect(healed.body == good)
        // Between two lives.
        for damage in [
            "rm -r tree", "rm tree/0", "truncate -s 100 tree/0", ": > tree/complete",
            "rm -r tree; echo odd > tree", "rm tree/complete; mkdir -p tree/complete/odd",
            "rm tree/0; mkdir -p tree/0/odd",
        ] {
            #expect(daemon.stop() == 0)
            #expect(try run(["bash", "-c", "cd \(daemon.ledger) && \(damage)"]).status == 0)
            try daemon.start()
            let client = try HTTPClient(daemon.socket)
            let again = try client.get("/v1/packets/\(FaultTests.Load.packet(5).id)/proof")
            #expect(again.body == good, "\(damage): \(again.text)")
        }
        #expect(daemon.stop() == 0)
        #expect(try daemon.verify().status == 0)
    }

    @Test func `what was published before a kill is still the ledger's past`() throws {
        let daemon = try Daemon(configuration: "{\"segment_bytes\": 1200000}")
        let load = FaultTests.Load()
        var kept: [String] = []
        for life in 0..<12 {
            if life > 0 { try daemon.start() }
            load.start(daemon.socket, connections: 4)
            // Each look asks for a proof, so that checkpoints come as fast as they may.
            let client = try HTTPClient(daemon.socket)
            for _ in 0..<(1 + life % 4) {
                usleep(40_000)
                guard let id = load.acknowledged.randomElement()?.key,
                    let answer = try? client.get("/v1/packets/\(id)/proof"), answer.status == 200
                else { continue }
                let note = try TLogProof(answer.body).checkpoint
                kept.append(try daemon.folder.file("kept-\(kept.count)", note))
            }
            daemon.kill()
            load.stop()
        }
        #expect(kept.count > 10)
        try daemon.start()
        _ = try ProofTests.checkpoint(daemon, covering: load.acknowledged.count)
        #expect(daemon.stop() == 0)
        let given = kept.flatMap { ["--checkpoint", $0] }
        let result = try run([Repository.program, "verify", daemon.ledger] + given)
        #expect(result.status == 0, "\(result.output)")
        #expect(result.output.contains("anchored by a checkpoint"))
    }

    @Test(
        .enabled(
            if: Repository.isRoot && Repository.has("mount"), "mounting a tmpfs needs root"))
    func `a disk without room for a checkpoint is a 507, and all goes on when there is room`()
        throws
    {
        let folder = try TemporaryFolder()
        let disk = folder.path + "/disk"
        try FileManager.default.createDirectory(atPath: disk, withIntermediateDirectories: false)
        #expect(try run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", disk]).status == 0)
        defer { _ = try? run(["umount", "-l", disk]) }
        let made = try run([
            Repository.program, "init", disk + "/ledger", "--segment-bytes", "8388608",
        ])
        let vkey = made.output.trimmingCharacters(in: .newlines)
        // A witness that is asked and answers late: what it says has to be kept on a full disk.
        let witness = try Background([
            "witness", folder.path + "/w", "--listen", folder.path + "/ws", "--log", vkey,
        ])
        try witness.waitFor("witnessing")
        let key = witness.output.trimmingCharacters(in: .newlines)
        let policy = try folder.file(
            "policy", Array("witness w \(key) unix:\(folder.path)/ws\nquorum w\n".utf8))
        let daemon = try Daemon(
            configuration: """
                {"segment_bytes": 8388608, "packet_bytes_max": 65536, "witness_policy": "\(policy)"}
                """,
            ledger: disk + "/ledger")
        try ProofTests.emit(0..<5, daemon)
        _ = try ProofTests.checkpoint(daemon, covering: 5)
        for round in 0..<3 {
            let filler = disk + "/filler"
            // dd ends with an error where the disk is full, which is what it is for.
            _ = try run(["dd", "if=/dev/zero", "of=\(filler)", "bs=4096"])
            let client = try HTTPClient(daemon.socket)
            var (number, status) = (10 + round * 1000, 0)
            let deadline = Date() + 20
            while status != 507, Date() < deadline {
                number += 1
                status = try client.emit(FaultTests.Load.packet(number).bytes).status
                usleep(20_000)
            }
            #expect(status == 507, "round \(round)")
            #expect(try Self.unready(daemon).contains("publishing is stalled"))
            // It starts on a full disk, too.
            if round == 1 {
                #expect(daemon.stop() == 0)
                try daemon.start()
            }
            try FileManager.default.removeItem(atPath: filler)
            let start = ContinuousClock.now
            let again = try HTTPClient(daemon.socket)
            while status != 201, ContinuousClock.now - start < .seconds(5) {
                usleep(50_000)
                status = try again.emit(FaultTests.Load.packet(number).bytes).status
            }
            #expect(status == 201, "appends resume within five seconds")
            let size = try again.get("/v1/status").json["ledger_size"] as! Int
            #expect(try ProofTests.checkpoint(daemon, covering: size).note.signatures.count == 2)
        }
        #expect(daemon.stop() == 0)
        #expect(try daemon.verify("--vkey", vkey).status == 0)
    }

    // MARK: Keys

    @Test func `the key changes by an entry that both have signed`() throws {
        let (daemon, vkey) = try ProofTests.daemon(packets: 10)
        let program = Repository.program
        let busy = try run([program, "rotate-key", daemon.ledger])
        #expect(busy.status == 75 && busy.error.contains("\(daemon.pid)"))
        _ = try ProofTests.checkpoint(daemon, covering: 10)
        #expect(daemon.stop() == 0)
        var keys = [vkey]
        for overlap in ["30", "0"] {
            let changed = try run([
                program, "rotate-key", daemon.ledger, "--overlap-days", overlap,
            ])
            #expect(changed.status == 0, "\(changed.error)")
            keys.append(changed.output.trimmingCharacters(in: .newlines))
            #expect(try daemon.verify().status == 0)
        }
        try daemon.start()
        try ProofTests.emit(10..<20, daemon)
        let published = try ProofTests.checkpoint(daemon, covering: 22)
        // The first may still sign, the second was revoked at once.
        for (key, signs) in zip(keys, [true, false, true]) {
            let signers = try? published.note.signers(among: [NoteVerifier(key)])
            #expect((signers != nil) == signs, "\(key)")
        }
        let client = try HTTPClient(daemon.socket)
        let entry = try client.get("/v1/entries/10")
        #expect(entry.json["kind"] as? String == "key_rotation", "\(entry.text)")
        #expect((entry.json["note"] as? String)?.contains(keys[1]) == true)
        #expect(try client.allIDs("/v1/packets").count == 20)
        #expect(try client.get("/v1/packets?count=true").json["total"] as? Int == 20)
        let id = FaultTests.Load.packet(15).id
        #expect(try client.get("/v1/packets/\(id)/chain").text.contains("\"complete\":true"))
        let status = try client.get("/v1/status").json["publishing"] as? [String: Any]
        #expect(status?["keys"] as? [String] == keys)
        // The change itself is proved like a packet, and its note is what both have signed.
        let change = try daemon.folder.file("c", try client.get("/v1/entries/10/proof").body)
        let note = try ProofTests.stardust(daemon, "get", "10").output
        #expect(try KeyRotation(payload: Array(note.utf8)).newKey.description == keys[1])
        let noteFile = try daemon.folder.file("n", Array(note.utf8))
        let proved = try run([
            program, "check-proof", change, "--vkey", keys[2], "--payload", noteFile,
        ])
        #expect(proved.status == 0 && proved.output.contains("change of key"), "\(proved.output)")
        #expect(try ProofTests.stardust(daemon, "prove", "10").status == 0)
        // A proof is checked with the new key, and with the first as long as it signs.
        let proof = try daemon.folder.file("p", try client.get("/v1/packets/\(id)/proof").body)
        for (key, code) in zip(keys, [0, 1, 0] as [Int32]) {
            let checked = try run([program, "check-proof", proof, "--vkey", key])
            #expect(checked.status == code, "\(checked.output)")
        }
        #expect(daemon.stop() == 0)
        let first = try daemon.folder.file("kept", published.note.bytes)
        #expect(try daemon.verify("--checkpoint", first, "--vkey", vkey).status == 0)
        let result = try daemon.verify("--vkey", keys[2], "--index")
        #expect(result.status == 0 && result.output.contains("by \(keys[2])"), "\(result.output)")
        #expect(try DocumentTests.secondOpinion(daemon.ledger).status == 0)
        #expect(try run([program, "reindex", daemon.ledger]).status == 0)
        #expect(try daemon.verify("--index").status == 0)
    }

    @Test func `a key that others may read signs nothing, and the ledger goes on`() throws {
        let (daemon, _) = try ProofTests.daemon(packets: 1)
        #expect(daemon.stop() == 0)
        let key = daemon.ledger + "/key"
        for (damage, words) in [
            ("chmod 440 \(key)", "others may read"), ("chmod 400 \(key); mv \(key) \(key)2", "key"),
            ("echo junk > \(key); chmod 400 \(key)", "no private key"),
        ] {
            #expect(try run(["bash", "-c", damage]).status == 0)
            try daemon.start()
            let client = try HTTPClient(daemon.socket)
            let packet = FaultTests.Load.packet(Int.random(in: 100...1_000_000))
            #expect(try client.emit(packet.bytes).status == 201)
            let answer = try client.get("/v1/packets/\(packet.id)/proof")
            #expect(answer.problemCode == "not_published", "\(answer.text)")
            #expect(answer.text.contains(words), "\(answer.text)")
            #expect(try Self.unready(daemon).contains(words))
            let waiting = try client.request(
                "POST", "/v1/packets?wait=checkpoint", packet.bytes, type: "application/json")
            #expect(waiting.problemCode == "not_published" && waiting.text.contains("is durable"))
            #expect(daemon.stop() == 0)
        }
        #expect(try run(["mv", "-f", key + "2", key]).status == 0)
        try daemon.start()
        _ = try ProofTests.checkpoint(daemon, covering: 4)
    }

    @Test func `keys may stand in a folder of their own`() throws {
        let (daemon, vkey) = try ProofTests.daemon(packets: 1)
        #expect(daemon.stop() == 0)
        let keys = try TemporaryFolder()
        #expect(try run(["mv", daemon.ledger + "/key", keys.path + "/key"]).status == 0)
        let socket = daemon.folder.path + "/t"
        let process = try Background(
            ["serve", daemon.ledger, "--socket", socket],
            environment: ["CREDENTIALS_DIRECTORY": keys.path])
        try process.waitFor("listening")
        let client = try HTTPClient(socket)
        while try client.get("/readyz").text.contains("is being opened") { usleep(5000) }
        #expect(try client.emit(FaultTests.Load.packet(77).bytes).status == 201)
        let answer = try client.get("/v1/packets/\(FaultTests.Load.packet(77).id)/proof")
        let published = try PublishedCheckpoint(TLogProof(answer.body).checkpoint)
        #expect(try published.note.signers(among: [NoteVerifier(vkey)]).count == 1)
        // Private keys are in no dump.
        let status = try String(contentsOfFile: "/proc/\(process.pid)/status", encoding: .utf8)
        #expect(!status.contains("CoreDumping:\t1"))
        #expect(process.stop() == 0)
    }

    // MARK: Witnesses

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
        try ProofTests.emit(0..<30, daemon)
        let first = try ProofTests.checkpoint(daemon, covering: 30)
        #expect(first.note.signatures.count == 3)
        // One of two is gone: nothing new is called published, and the packets are taken all the same.
        world.killWitness(1)
        try ProofTests.emit(30..<60, daemon)
        usleep(2_500_000)
        let client = try HTTPClient(daemon.socket)
        #expect(try client.get("/checkpoint").body == first.note.bytes)
        #expect(daemon.log.contains("witness w1: "), "\(daemon.log)")
        // It comes back after a kill, knowing what it had cosigned.
        try world.startWitness(1)
        let second = try ProofTests.checkpoint(daemon, covering: 60)
        #expect(second.note.signatures.count == 3)
        #expect(try client.get("/tile/0/000.p/60").status == 200)
        let packet = FaultTests.Load.packet(61).bytes
        let waited = try client.request(
            "POST", "/v1/packets?wait=checkpoint", packet, type: "application/json")
        #expect(waited.status == 201 && waited.text.contains("w1.example"), "\(waited.text)")
        // The checkpoints that the witnesses keep are those.
        let hash = Digest.sha256(Array("log.example/witnessed".utf8)).hex
        let kept = try HTTPClient(world.folder.path + "/w0").get("/\(hash)/checkpoint")
        #expect(try PublishedCheckpoint(kept.body).checkpoint.size.entries == 61)
        #expect(
            try HTTPClient(world.folder.path + "/w0").get("/\(String(hash.reversed()))/checkpoint")
                .status == 404)
        // After a restart nothing has to be asked again.
        #expect(daemon.stop() == 0)
        world.killWitness(0)
        try daemon.start()
        #expect(try ProofTests.checkpoint(daemon, covering: 61).note.signatures.count == 3)
        #expect(daemon.stop() == 0)
        let result = try daemon.verify("--vkey", world.vkey)
        #expect(result.status == 0, "\(result.output)")
    }

    @Test func `a tree that is damaged is no fork`() throws {
        let world = try Witnessed()
        let daemon = try world.daemon()
        try ProofTests.emit(0..<20, daemon)
        _ = try ProofTests.checkpoint(daemon, covering: 20)
        let handle = FileHandle(forUpdatingAtPath: daemon.ledger + "/tree/0")!
        try handle.seek(toOffset: 128)
        try handle.write(contentsOf: Data(repeating: 7, count: 1))
        try handle.close()
        try ProofTests.emit(20..<40, daemon)
        _ = try ProofTests.checkpoint(daemon, covering: 40)
        #expect(!FileManager.default.fileExists(atPath: daemon.ledger + "/fork-alarm"))
        #expect(try Self.unready(daemon).contains("\"ready\":true"))
    }

    @Test func `whoever waits for a checkpoint is answered when the daemon stops`() throws {
        let world = try Witnessed()
        let daemon = try world.daemon()
        world.killWitness(0)
        let single = try HTTPClient(daemon.socket)
        let packet = FaultTests.Load.packet(1).bytes
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
        try ProofTests.emit(0..<10, daemon)
        _ = try ProofTests.checkpoint(daemon, covering: 10)
        #expect(daemon.stop() == 0)
        // The host's other face: the same ledger, gone on with in another way.
        let other = world.folder.path + "/other"
        try Self.copy(world.ledger, to: other)
        try daemon.start()
        try ProofTests.emit(10..<40, daemon)
        _ = try ProofTests.checkpoint(daemon, covering: 40)
        #expect(daemon.stop() == 0)
        for (numbers, words) in [(100..<110, "40 entries"), (110..<160, "another history")] {
            daemon = try world.daemon(other)
            try ProofTests.emit(numbers, daemon)
            let client = try HTTPClient(daemon.socket)
            var ready = try Self.unready(daemon)
            for _ in 0..<200 where !ready.contains("nothing is published") {
                usleep(50_000)
                ready = try Self.unready(daemon)
            }
            #expect(ready.contains(words), "\(ready)")
            #expect(daemon.log.contains("\"critical\""))
            let status = try client.get("/v1/status").json["publishing"] as? [String: Any]
            #expect(status?["phase"] as? String == "stopped")
            #expect(try client.get("/metrics").text.contains("publishing_stopped 1\n"))
            #expect(
                try client.emit(FaultTests.Load.packet(numbers.upperBound + 500).bytes).status
                    == 201)
            // What was published before is still shown; no proof is given beyond it.
            let published = try PublishedCheckpoint(try client.get("/checkpoint").body)
            #expect(published.checkpoint.size.entries == 10)
            let id = FaultTests.Load.packet(numbers.lowerBound).id
            #expect(try client.get("/v1/packets/\(id)/proof").problemCode == "not_published")
            // A restart does not silence it.
            #expect(daemon.stop() == 0)
            #expect(try daemon.verify().output.contains("note: fork-alarm: "))
            try daemon.start()
            #expect(try Self.unready(daemon).contains("nothing is published"))
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
            try ProofTests.emit(life * 10..<life * 10 + 10, daemon)
            // Nobody's cosignature is needed: published all the same, at the latest when it gave up.
            _ = try ProofTests.checkpoint(daemon, covering: life * 10 + 10)
        }
        #expect(daemon.log.contains("witness w: "))
        #expect(daemon.stop() == 0)
        #expect(try daemon.verify().status == 0)
    }
}
