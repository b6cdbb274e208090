import DaemonTestSupport
import Foundation
import LedgerFormat
import LedgerStorage
import TestSupport
import Testing

/// Rollback, damage, forks and changes of key, on the real program.
@Suite(.serialized) struct PublishingFaultTests {
    // MARK: Rollback and damage

    @Test func `a ledger that was put back is only read, and is not signed again`() throws {
        let (daemon, _) = try Daemon.signed(packets: 20)
        let folder = daemon.folder.path
        #expect(daemon.stop() == 0)
        try copyFolder(daemon.ledger, to: folder + "/old")
        try daemon.start()
        try daemon.emit(20..<40)
        let published = try daemon.checkpoint(covering: 40)
        #expect(daemon.stop() == 0)
        // The old entries and their close marker under the new checkpoints.
        for name in ["segments", "closed", "ids", "tree"] {
            try copyFolder("\(folder)/old/\(name)", to: "\(daemon.ledger)/\(name)")
        }
        let before = try Data(contentsOf: URL(fileURLWithPath: daemon.ledger + "/checkpoints"))
        try daemon.start()
        #expect(try daemon.readiness().contains("rolled_back"))
        let client = try HTTPClient(daemon.socket)
        let refused = try client.emit(Sample.numbered(50).bytes)
        #expect(refused.status == 503 && refused.problemCode == "read_only")
        #expect(try client.get("/v1/packets/\(Sample.numbered(3).id)").status == 200)
        #expect(try client.get("/v1/checkpoint").problemCode == "not_published")
        #expect(daemon.stop() == 0)
        // Gone on with, by somebody who does not mind: as long as before, and other entries.
        for name in ["checkpoint", "checkpoints"] {
            try FileManager.default.moveItem(
                atPath: "\(daemon.ledger)/\(name)", toPath: "\(folder)/\(name)")
        }
        try daemon.start()
        try daemon.emit(60..<90)
        #expect(daemon.stop() == 0)
        for name in ["checkpoint", "checkpoints"] {
            try copyFolder("\(folder)/\(name)", to: "\(daemon.ledger)/\(name)")
        }
        try daemon.start()
        #expect(try daemon.readiness().contains("checkpoint_root_mismatch"))
        #expect(daemon.stop() == 0)
        let after = try Data(contentsOf: URL(fileURLWithPath: daemon.ledger + "/checkpoints"))
        #expect(before == after)
        let kept = try daemon.folder.file("kept", published.note.bytes)
        #expect(
            try daemon.verify("--checkpoint", kept).output.contains("checkpoint_root_mismatch"))
    }

    @Test func `a tree that is damaged or lost is made again from the entries`() throws {
        let (daemon, _) = try Daemon.signed(packets: 300)
        _ = try daemon.checkpoint(covering: 300)
        let client = try HTTPClient(daemon.socket)
        func proof(_ number: Int) throws -> HTTPClient.Answer {
            try client.get("/v1/packets/\(Sample.numbered(number).id)/proof")
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
            let again = try client.get("/v1/packets/\(Sample.numbered(5).id)/proof")
            #expect(again.body == good, "\(damage): \(again.text)")
        }
        #expect(daemon.stop() == 0)
        #expect(try daemon.verify().status == 0)
    }

    @Test func `what was published before a kill is still the ledger's past`() throws {
        let daemon = try Daemon(configuration: "{\"segment_bytes\": 1200000}")
        let load = Load()
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
        _ = try daemon.checkpoint(covering: load.acknowledged.count)
        #expect(daemon.stop() == 0)
        let given = kept.flatMap { ["--checkpoint", $0] }
        let result = try run([Repository.program, "verify", daemon.ledger] + given)
        #expect(result.status == 0, "\(result.output)")
        #expect(result.output.contains("Your checkpoint covers "))
    }

    @Test(
        .needs(Repository.isRoot && Repository.has("mount"), "mounting a tmpfs needs root"))
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
        try daemon.emit(0..<5)
        _ = try daemon.checkpoint(covering: 5)
        for round in 0..<3 {
            let filler = disk + "/filler"
            // dd ends with an error where the disk is full, which is what it is for.
            _ = try run(["dd", "if=/dev/zero", "of=\(filler)", "bs=4096"])
            let client = try HTTPClient(daemon.socket)
            var (number, status) = (10 + round * 1000, 0)
            let deadline = Date() + 20
            while status != 507, Date() < deadline {
                number += 1
                status = try client.emit(Sample.numbered(number).bytes).status
                usleep(20_000)
            }
            #expect(status == 507, "round \(round)")
            #expect(try daemon.readiness().contains("publishing is stalled"))
            // It starts on a full disk, too.
            if round == 1 {
                // Where there is no room for the marker, it says so.
                let status = daemon.stop()
                #expect(status == 0 || status == 74 && daemon.log.contains("close marker"))
                try daemon.start()
            }
            try FileManager.default.removeItem(atPath: filler)
            let start = ContinuousClock.now
            let again = try HTTPClient(daemon.socket)
            while status != 201, ContinuousClock.now - start < .seconds(5) {
                usleep(50_000)
                status = try again.emit(Sample.numbered(number).bytes).status
            }
            #expect(status == 201, "appends resume within five seconds")
            let size = try again.get("/v1/status").json["ledger_size"] as! Int
            #expect(try daemon.checkpoint(covering: size).note.signatures.count == 2)
        }
        #expect(daemon.stop() == 0)
        #expect(try daemon.verify("--vkey", vkey).status == 0)
    }

    // MARK: Keys

    @Test func `the key changes by an entry that both have signed`() throws {
        let (daemon, vkey) = try Daemon.signed(packets: 10)
        let program = Repository.program
        let busy = try run([program, "rotate-key", daemon.ledger])
        #expect(busy.status == 75 && busy.error.contains("\(daemon.pid)"))
        _ = try daemon.checkpoint(covering: 10)
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
        try daemon.emit(10..<20)
        let published = try daemon.checkpoint(covering: 22)
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
        let id = Sample.numbered(15).id
        #expect(try client.get("/v1/packets/\(id)/chain").text.contains("\"complete\":true"))
        let status = try client.get("/v1/status").json["publishing"] as? [String: Any]
        #expect(status?["keys"] as? [String] == keys)
        // The change itself is proved like a packet, and its note is what both have signed.
        let change = try daemon.folder.file("c", try client.get("/v1/entries/10/proof").body)
        let note = try daemon.stardust("get", "10").output
        #expect(try KeyRotation(payload: Array(note.utf8)).newKey.description == keys[1])
        let noteFile = try daemon.folder.file("n", Array(note.utf8))
        let proved = try run([
            program, "check-proof", change, "--vkey", keys[2], "--payload", noteFile,
        ])
        #expect(proved.status == 0 && proved.output.contains("change of key"), "\(proved.output)")
        #expect(try daemon.stardust("prove", "10").status == 0)
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
        #expect(try daemon.secondOpinion().status == 0)
        #expect(try run([program, "reindex", daemon.ledger]).status == 0)
        #expect(try daemon.verify("--index").status == 0)
    }

    @Test func `a key that others may read signs nothing, and the ledger goes on`() throws {
        let (daemon, _) = try Daemon.signed(packets: 1)
        #expect(daemon.stop() == 0)
        let key = daemon.ledger + "/key"
        for (damage, words) in [
            ("chmod 440 \(key)", "others may read"), ("chmod 400 \(key); mv \(key) \(key)2", "key"),
            ("echo junk > \(key); chmod 400 \(key)", "not an Ed25519 private key"),
        ] {
            #expect(try run(["bash", "-c", damage]).status == 0)
            try daemon.start()
            let client = try HTTPClient(daemon.socket)
            let packet = Sample.numbered(Int.random(in: 100...1_000_000))
            #expect(try client.emit(packet.bytes).status == 201)
            let answer = try client.get("/v1/packets/\(packet.id)/proof")
            #expect(answer.problemCode == "not_published", "\(answer.text)")
            #expect(answer.text.contains(words), "\(answer.text)")
            #expect(try daemon.readiness().contains(words))
            let waiting = try client.request(
                "POST", "/v1/packets?wait=checkpoint", packet.bytes, type: "application/json")
            #expect(waiting.problemCode == "not_published" && waiting.text.contains("is durable"))
            let many = try client.request(
                "POST", "/v1/packets?wait=checkpoint", Array("\n".utf8) + packet.bytes,
                type: "application/x-ndjson")
            #expect(many.text.contains("not_published") && many.text.contains(#""line":2"#))
            // Where there is nothing to do, nothing is done.
            func ticks() throws -> Int {
                let stat = try String(contentsOfFile: "/proc/\(daemon.pid)/stat", encoding: .utf8)
                let fields = stat[stat.lastIndex(of: ")")!...].split(separator: " ")
                return Int(fields[12])! + Int(fields[13])!
            }
            // Beyond the time at which the next checkpoint would be due.
            usleep(1_300_000)
            let before = try ticks()
            usleep(700_000)
            #expect(try ticks() - before < 20)
            #expect(daemon.stop() == 0)
        }
        #expect(try run(["mv", "-f", key + "2", key]).status == 0)
        try daemon.start()
        _ = try daemon.checkpoint(covering: 4)
    }

    @Test func `keys may stand in a folder of their own`() throws {
        let (daemon, vkey) = try Daemon.signed(packets: 1)
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
        #expect(try client.emit(Sample.numbered(77).bytes).status == 201)
        let answer = try client.get("/v1/packets/\(Sample.numbered(77).id)/proof")
        let published = try SignedCheckpoint(TLogProof(answer.body).checkpoint)
        #expect(try published.note.signers(among: [NoteVerifier(vkey)]).count == 1)
        // Private keys are in no dump.
        let status = try String(contentsOfFile: "/proc/\(process.pid)/status", encoding: .utf8)
        #expect(!status.contains("CoreDumping:\t1"))
        #expect(process.stop() == 0)
    }
}
