import DaemonTestSupport
import Foundation
import LedgerFormat
import LedgerStorage
import TestSupport
import Testing

/// Checkpoints, proofs and tiles as the daemon serves them, checked by us and by others.
@Suite struct ProofTests {
    // MARK: What is served

    @Test func `checkpoint, tiles and bundles have the specification's types and caching`() throws {
        let (daemon, vkey) = try Daemon.signed(packets: 600)
        let published = try daemon.checkpoint(covering: 600)
        #expect(try published.note.signers(among: [NoteVerifier(vkey)]).count == 1)
        let client = try HTTPClient(daemon.socket)
        let checkpoint = try client.get("/checkpoint")
        #expect(checkpoint.headers["content-type"] == "text/plain; charset=utf-8")
        #expect(checkpoint.headers["cache-control"] == "no-cache")
        #expect(checkpoint.body == published.note.bytes)
        for tile in Tile.all(LedgerSize(600)) {
            let answer = try client.get("/" + tile.path)
            #expect(answer.status == 200, "\(tile.path): \(answer.text)")
            #expect(answer.headers["content-type"] == "application/octet-stream")
            #expect(answer.headers["cache-control"] == "public, max-age=31536000, immutable")
            let each = tile.content == .entries ? 2 + Entry.byteCount : Digest.byteCount
            #expect(answer.body.count == tile.count * each)
            // Any part is served, and is the beginning of the whole.
            for width in [1, 17, tile.count - 1] where (1..<tile.count).contains(width) {
                var part = tile
                part.count = width
                #expect(
                    try client.get("/" + part.path).body == Array(answer.body.prefix(width * each)))
            }
        }
        for path in [
            "/tile/0/002.p/89", "/tile/0/002", "/tile/0/003", "/tile/1/000.p/3", "/tile/2/000.p/1",
            "/tile/63/000", "/tile/entries/003", "/tile/0/0", "/tile/", "/tile/0",
            "/tile/0/x999/x999/x999/x999/x999/999",
        ] {
            let answer = try client.get(path)
            #expect(answer.status == 404 && answer.problemCode == "not_found", "\(path)")
        }
        #expect(try client.request("HEAD", "/tile/0/000").headers["content-length"] == "8192")
        #expect(try client.request("POST", "/checkpoint", [], type: nil).status == 405)
    }

    @Test func `what cannot be proved is named`() throws {
        let (daemon, _) = try Daemon.signed()
        let client = try HTTPClient(daemon.socket)
        for (path, status, code) in [
            ("/v1/packets/00000000-0000-4000-8000-000000000000/proof", 404, "not_found"),
            ("/v1/packets/junk/proof", 400, "bad_id"),
            ("/v1/packets/\(Sample.numbered(1).id)/proof?x=1", 400, "bad_parameter"),
            ("/v1/proofs/consistency", 400, "bad_parameter"),
            ("/v1/proofs/consistency?from=2&to=1", 400, "bad_parameter"),
            ("/v1/proofs/consistency?from=1&to=61", 400, "bad_parameter"),
            ("/v1/proofs/consistency?from=61", 400, "bad_parameter"),
            ("/v1/proofs/consistency?from=-1", 400, "bad_parameter"),
            ("/checkpoint?size=1", 400, "bad_parameter"), ("/v1/proofs", 404, "not_found"),
        ] {
            let answer = try client.get(path)
            #expect(
                answer.status == status && answer.problemCode == code, "\(path): \(answer.text)")
        }
        let empty = try Daemon()
        let answer = try HTTPClient(empty.socket).get("/checkpoint")
        #expect(answer.status == 404 && answer.text.contains("no entries"))
        #expect(
            try HTTPClient(empty.socket).get("/v1/proofs/consistency?from=0&to=0").status == 503
                || true)
    }

    @Test func `proofs need the role audit`() throws {
        try #require(Repository.isRoot, "needs root to be another user")
        let daemon = try Daemon(
            configuration: "{\"access\": [{\"user\": 1, \"roles\": [\"read\", \"append\"]}]}")
        try daemon.emit(0..<3)
        _ = try daemon.checkpoint(covering: 3)
        chmod(daemon.folder.path, 0o755)
        chmod(daemon.socket, 0o666)
        for path in ["/checkpoint", "/tile/0/000.p/1", "/v1/proofs/consistency?from=1"] {
            let result = try run([
                "setpriv", "--reuid", "1", "--clear-groups", "curl", "-s", "--unix-socket",
                daemon.socket, "http://stardust\(path)",
            ])
            #expect(result.output.contains("requires the role audit"), "\(result.output)")
        }
    }

    @Test func `an entry is provable as soon as its receipt is there`() throws {
        let (daemon, vkey) = try Daemon.signed(packets: 1)
        let client = try HTTPClient(daemon.socket)
        let key = try NoteVerifier(vkey)
        for number in 1...12 {
            let packet = Sample.numbered(number)
            #expect(try client.emit(packet.bytes).status == 201)
            let answer = try client.get("/v1/packets/\(packet.id)/proof")
            #expect(answer.status == 200, "\(answer.text)")
            let proof = try TLogProof(answer.body)
            let published = try SignedCheckpoint(proof.checkpoint)
            let size = published.checkpoint.size.entries
            #expect(proof.index == UInt64(number) && size > proof.index)
            let leaf = Merkle.leaf(proof.extra!.span)
            let root = Merkle.root(from: leaf, at: proof.index, in: size, proof.path)
            #expect(root == published.checkpoint.root)
            #expect(try published.note.signers(among: [key]) == [key])
        }
        // Each came at once, yet they were signed ten a second at most.
        #expect(daemon.stop() == 0)
        #expect(try daemon.verify().status == 0)
    }

    // MARK: wait=checkpoint

    /// Whether a receipt's evidence shows that it is in the ledger.
    private static func holds(_ receipt: [String: Any], _ key: NoteVerifier) throws -> Bool {
        guard let text = receipt["checkpoint"] as? String,
            let inclusion = receipt["inclusion"] as? [String],
            let hash = (receipt["entry_hash"] as? String).flatMap({ Digest(hex: $0.dropFirst(7)) }),
            let position = receipt["position"] as? Int
        else { return false }
        let published = try SignedCheckpoint(Array(text.utf8))
        let root = Merkle.root(
            from: hash, at: UInt64(position), in: published.checkpoint.size.entries,
            inclusion.map { Base64.digest($0.utf8)! })
        return try root == published.checkpoint.root
            && published.note.signers(among: [key]) == [key]
    }

    @Test func `a receipt that waits for a checkpoint carries what proves it`() throws {
        let (daemon, vkey) = try Daemon.signed(packets: 5)
        let (client, key) = (try HTTPClient(daemon.socket), try NoteVerifier(vkey))
        let packet = Sample.numbered(100).bytes
        for status in [201, 200] {
            let answer = try client.request(
                "POST", "/v1/packets?wait=checkpoint", packet, type: "application/json")
            #expect(answer.status == status, "\(answer.text)")
            #expect(try Self.holds(answer.json, key), "\(answer.text)")
        }
        let answer = try client.request(
            "POST", "/v1/packets?wait=checkpoint", Sample.body(3..<40) + Array("junk\n".utf8),
            type: "application/x-ndjson")
        #expect(answer.lines.count == 38)
        for line in answer.lines.dropLast() {
            let json = try JSONSerialization.jsonObject(with: Data(line.utf8)) as! [String: Any]
            #expect(try Self.holds(json["receipt"] as! [String: Any], key), "\(line)")
        }
        #expect(answer.lines.last!.contains("\"status\":400"))
        let unknown = try client.request(
            "POST", "/v1/packets?wait=index", packet, type: "application/json")
        #expect(unknown.status == 400 && unknown.problemCode == "bad_parameter")
    }

    @Test func `a chain carries the proofs of its packets at the size that it shows`() throws {
        let daemon = try ExamplePipeline.daemon()
        let client = try HTTPClient(daemon.socket)
        let path = "/v1/packets/\(ExamplePipeline.upload)/chain?proofs=inclusion"
        let now = try client.get(path)
        try daemon.emit(0..<7)
        // The same query at the same size gives the same bytes, however the ledger has grown.
        #expect(try client.get(path + "&as_of=60").body == now.body)
        let root = Digest(
            hex: ((now.json["as_of"] as! [String: Any])["root"] as! String).dropFirst(7))
        let packets = now.json["packets"] as! [[String: Any]]
        #expect(packets.count > 5)
        for packet in packets {
            let hash = Digest(hex: (packet["entry_hash"] as! String).dropFirst(7))!
            let hashes = (packet["inclusion"] as! [String]).map { Base64.digest($0.utf8)! }
            let place = UInt64(packet["position"] as! Int)
            #expect(Merkle.root(from: hash, at: place, in: 60, hashes) == root)
        }
        let consistency = try client.get("/v1/proofs/consistency?from=60").json
        #expect(consistency["from_root"] as? String == root?.tagged)
        #expect(
            !(try client.get("/v1/packets/\(ExamplePipeline.upload)/chain").text.contains("root"))
        )
        let text = try daemon.stardust(
            "chain", "--packet", ExamplePipeline.upload, "--proofs", "--format", "text")
        #expect(text.output.contains(" inclusion proof ") && text.output.contains(", root "))
        #expect(try client.get(path + "&proofs=none").status == 400)
        #expect(try client.get(path.replacing("=inclusion", with: "=all")).status == 400)
    }

    // MARK: The commands

    @Test func `a proof is made, and checked offline; every changed byte is noticed`() throws {
        let (daemon, vkey) = try Daemon.signed()
        let folder = daemon.folder.path
        let id = Sample.numbered(41).id
        let made = try daemon.stardust("prove", id, "-o", folder + "/p")
        #expect(made.status == 0, "\(made.error)")
        let payload = try daemon.stardust("get", id, "--raw").output
        let file = try daemon.folder.file("payload", Array(payload.utf8))
        #expect(daemon.stop() == 0)
        let check = [Repository.program, "check-proof"]
        let good = try run(check + [folder + "/p", "--vkey", vkey, "--payload", file])
        #expect(good.status == 0 && good.output.contains("holds: position 41 of"), "\(good.error)")
        #expect(good.output.contains("payload: matches"))
        let json = try run(check + [folder + "/p", "--vkey", vkey, "--json"]).output
        #expect(
            json.contains("\"holds\":true,\"position\":41,") && json.contains("checked\":false"))
        // Other bytes, another key.
        let bad = try run(check + [folder + "/p", "--vkey", vkey, "--payload", folder + "/p"])
        #expect(bad.status == 1 && bad.output.hasPrefix("DOES NOT HOLD: the payload has"))
        let other =
            "stardust.example/vectors+9d1e5559+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
        #expect(try run(check + [folder + "/p", "--vkey", other]).status == 1)
        #expect(try run(check + [folder + "/p", "--vkey", "junk"]).status == 64)
        #expect(try run(check + [folder + "/p"]).status == 64)
        let policy = try daemon.folder.file("policy", Array("log \(vkey)\nquorum none\n".utf8))
        #expect(try run(check + [folder + "/p", "--policy", policy]).status == 0)
        let witness = NoteSigner(
            name: "w.example", type: .cosignature, Ed25519Key(seed: Array(repeating: 5, count: 32)))
        let strict = try daemon.folder.file(
            "strict", Array("log \(vkey)\nwitness w \(witness.verifier)\nquorum w\n".utf8))
        let uncosigned = try run(check + [folder + "/p", "--policy", strict])
        #expect(uncosigned.status == 1 && uncosigned.output.contains("cosignatures"))
        #expect(try run(check + [folder + "/none", "--vkey", vkey]).status == 66)
        let proof = Array(try Data(contentsOf: URL(fileURLWithPath: folder + "/p")))
        for place in stride(from: 0, to: proof.count, by: 41) {
            var changed = proof
            changed[place] ^= 1
            let path = try daemon.folder.file("changed", changed)
            let status = try run(check + [path, "--vkey", vkey]).status
            #expect([1, 65].contains(status), "byte \(place): \(status)")
        }
    }

    @Test func `verify tells how far a checkpoint that was kept reaches`() throws {
        let (daemon, vkey) = try Daemon.signed()
        _ = try daemon.checkpoint(covering: 60)
        let kept = try daemon.folder.file(
            "kept", Array(try daemon.stardust("checkpoint").output.utf8))
        try daemon.emit(60..<90)
        for isRunning in [true, false] {
            if !isRunning { #expect(daemon.stop() == 0) }
            let result = try daemon.verify("--checkpoint", kept, "--vkey", vkey)
            #expect(result.status == 0, "\(result.output)")
            #expect(
                result.output.contains(
                    "Your checkpoint covers 60 of 90 entries; entries 60-89 rest on this host's"))
        }
        #expect(try daemon.verify().output.contains("checkpoint at 90 by \(vkey)\n"))
        let json = try daemon.verify("--checkpoint", kept, "--json").output
        #expect(json.contains("\"anchored_size\":60") && json.contains("{\"size\":90,\"root\":"))
        // The host makes everything anew, with its own key, and says so itself.
        let other = try Daemon()
        try FileManager.default.removeItem(atPath: daemon.ledger)
        #expect(other.stop() == 0)
        try FileManager.default.copyItem(atPath: other.ledger, toPath: daemon.ledger)
        let forged = try daemon.verify("--checkpoint", kept, "--vkey", vkey)
        #expect(forged.status == 1 && forged.output.contains("anchor_mismatch"))
        #expect(forged.output.contains("anchor_key_unknown"), "\(forged.output)")
    }

    @Test func `status says how publishing stands`() throws {
        let (daemon, vkey) = try Daemon.signed()
        _ = try daemon.checkpoint(covering: 60)
        let text = try daemon.stardust("status").output
        #expect(text.contains("checkpoint  covers every entry; "), "\(text)")
        let status = try daemon.stardust("status", "--json").output
        #expect(status.contains("\"checkpoint_size\":60") && status.contains(vkey))
        let metrics = try HTTPClient(daemon.socket).get("/metrics").text
        #expect(metrics.contains("stardust_published_size 60\n"))
    }

    // MARK: Tools of others

    @Test(
        .needs(
            Repository.has("go")
                && FileManager.default.fileExists(atPath: "/usr/share/gocode/src/golang.org/x/mod"),
            "golang and golang-golang-x-mod-dev are not installed"))
    func `Go's sumdb packages find checkpoint, inclusion and consistency sound`() throws {
        let (daemon, vkey) = try Daemon.signed(packets: 70)
        _ = try daemon.checkpoint(covering: 70)
        let result = try run(
            ["go", "run", Repository.root + "/Docs/Examples/audit.go", daemon.socket, vkey],
            environment: ["GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOFLAGS": ""])
        #expect(result.status == 0, "\(result.output)\(result.error)")
        #expect(result.output.contains("sound: 70 entries"))
        #expect(result.output.contains("2485 pairs of sizes"))
        // And it is not a tool that always says so.
        let other = try Daemon().vkey
        let wrong = try run(
            ["go", "run", Repository.root + "/Docs/Examples/audit.go", daemon.socket, other],
            environment: ["GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOFLAGS": ""])
        #expect(wrong.status == 1 && wrong.output.contains("NOT SOUND"))
    }

    @Test(
        .needs(
            FileManager.default.isExecutableFile(atPath: AuditTools.python),
            "tlog-scales is not installed; Scripts/install-packages test does it"))
    func `a Python implementation from PyPI finds the same`() throws {
        let (daemon, vkey) = try Daemon.signed(packets: 300)
        _ = try daemon.checkpoint(covering: 300)
        let script = Repository.root + "/Tests/EndToEndTests/scales_audit.py"
        let result = try run([AuditTools.python, script, daemon.socket, vkey])
        #expect(result.status == 0, "\(result.output)\(result.error)")
        #expect(result.output == "sound: 300 entries, 45150 pairs of sizes\n")
        let other = try Daemon().vkey
        #expect(try run([AuditTools.python, script, daemon.socket, other]).status != 0)
    }
}
