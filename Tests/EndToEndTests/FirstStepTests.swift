import DaemonTestSupport
import Foundation
import TestSupport
import Testing

/// What newcomers stumbled over: each is said, and what to do about it.
@Suite struct FirstStepTests {
    @Test func `a new ledger is small, and its segments grow with it`() throws {
        let folder = try TemporaryFolder()
        let ledger = folder.path + "/ledger"
        #expect(try run([Repository.program, "init", ledger]).status == 0)
        func bytes() throws -> Int {
            let used = try run(["du", "-s", "--block-size=1", ledger]).output
            return Int(used.split(separator: "\t")[0]) ?? 0
        }
        #expect(try bytes() < 5 << 20)
        let daemon = try Daemon(ledger: ledger)
        // With the segment that is prepared.
        let deadline = Date() + 30
        while try bytes() < 8 << 20, Date() < deadline { usleep(20_000) }
        #expect(try bytes() < 14 << 20)
        let packet = String(repeating: "x", count: 400_000)
        func emit(_ range: Range<Int>) throws {
            for number in range {
                let line = Sample.packet(
                    Sample.numbered(number).id, more: ",\"filler\":\"\(packet)\"")
                #expect(try HTTPClient(daemon.socket).emit(line).status == 201)
            }
        }
        try emit(0..<40)
        let sizes = try FileManager.default.contentsOfDirectory(atPath: ledger + "/segments")
            .filter { $0.hasSuffix(".seg") }.sorted().map { name in
                try FileManager.default.attributesOfItem(atPath: ledger + "/segments/" + name)[
                    .size]
                    as? Int ?? 0
            }
        #expect(sizes.count >= 3 && sizes[0] <= 4 << 20, "\(sizes)")
        #expect(sizes.last == 16 << 20, "\(sizes)")
        #expect(daemon.stop() == 0)
        #expect(try daemon.verify().status == 0)
    }

    @Test func `a folder of keys that is missing, or has none, is said before listening`() throws {
        let daemon = try Daemon(starts: false)
        for (path, words) in [
            (daemon.folder.path + "/nowhere", "nowhere"), (daemon.folder.path, "holds no key"),
        ] {
            let file = try daemon.folder.file("keys.json", Array("{\"keys\": \"\(path)\"}".utf8))
            let result = try run([
                Repository.program, "serve", daemon.ledger, "--config", file, "--socket",
                daemon.socket,
            ])
            #expect(result.status == 66 && result.error.contains(words), "\(result)")
            #expect(!result.error.contains("listening"))
        }
    }

    @Test func `rotate-key finds the keys where the daemon's settings say they are`() throws {
        let daemon = try Daemon(starts: false)
        let keys = daemon.folder.path + "/keys"
        try FileManager.default.createDirectory(
            atPath: keys, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700]
        )
        try FileManager.default.moveItem(atPath: daemon.ledger + "/key", toPath: keys + "/key")
        let file = try daemon.folder.file("c.json", Array("{\"keys\": \"\(keys)\"}".utf8))
        let lost = try run([Repository.program, "rotate-key", daemon.ledger])
        #expect(lost.status == 66, "\(lost.error)")
        let found = try run([Repository.program, "rotate-key", daemon.ledger, "--config", file])
        #expect(found.status == 0, "\(found.error)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: keys).count == 2)
    }

    @Test func `a copy without its checkpoints is noted`() throws {
        let daemon = try ExamplePipeline.daemon()
        _ = try daemon.checkpoint(covering: 60)
        #expect(daemon.stop() == 0)
        let whole = try daemon.verify()
        #expect(!whole.output.contains("there is no checkpoint"))
        for name in ["checkpoint", "checkpoints", "closed"] { unlink(daemon.ledger + "/" + name) }
        let result = try daemon.verify()
        #expect(result.status == 0 && result.output.contains("note: there is no checkpoint"))
        #expect(!result.output.contains("never closed"))
    }

    @Test func `what mail does to checkpoints, proofs and keys is taken, or named`() throws {
        let daemon = try ExamplePipeline.daemon()
        _ = try daemon.checkpoint(covering: 60)
        let key = try daemon.vkey
        func text(_ arguments: String...) throws -> String {
            let result = try daemon.stardust(arguments)
            guard result.status == 0 else { throw Failure(result.error) }
            return result.output
        }
        let checkpoint = try text("checkpoint")
        let proof = try text("prove", ExamplePipeline.upload)
        let (second, python) = (Repository.root + "/Docs/Examples/verify.py", "python3")
        for (change, status) in [
            ({ $0 }, 0), ({ $0.replacing("\n", with: "\r\n") }, 0),
            ({ String($0.dropLast()) }, 0), ({ $0.replacing("—", with: "--") }, 65),
        ] as [((String) -> String, Int32)] {
            let file = try daemon.folder.file("checkpoint", Array(change(checkpoint).utf8))
            let proofFile = try daemon.folder.file("proof", Array(change(proof).utf8))
            for command in [
                [
                    Repository.program, "verify", daemon.ledger, "--checkpoint", file, "--vkey",
                    key + "\r",
                ],
                [Repository.program, "check-proof", proofFile, "--vkey", key + "\r"],
                [python, second, daemon.ledger, "--checkpoint", file, "--vkey", key + "\r"],
            ] {
                let result = try run(command)
                #expect(result.status == status, "\(command): \(result)")
                #expect(
                    status == 0 || (result.output + result.error).contains("attachment"),
                    "\(result.error)")
            }
        }
    }

    @Test func `the second verifier takes checkpoints and keys, and judges them`() throws {
        let daemon = try ExamplePipeline.daemon()
        let old = try daemon.folder.file(
            "old", try daemon.checkpoint(covering: 60).note.bytes)
        let other = try ExamplePipeline.daemon()
        let foreign = try other.folder.file(
            "foreign", try other.checkpoint(covering: 60).note.bytes)
        func verify(_ arguments: String...) throws -> Finished {
            try run(
                ["python3", Repository.root + "/Docs/Examples/verify.py", daemon.ledger] + arguments
            )
        }
        let sound = try verify("--checkpoint", old, "--vkey", daemon.vkey)
        #expect(sound.status == 0 && sound.output.contains("cover 60 of 60 entries"), "\(sound)")
        for (arguments, words) in [
            (["--checkpoint", foreign], "not this ledger's"),
            (["--vkey", try other.vkey], "never had the key"),
        ] {
            let result = try run(
                ["python3", Repository.root + "/Docs/Examples/verify.py", daemon.ledger] + arguments
            )
            #expect(result.status == 1 && result.output.contains(words), "\(result)")
        }
        #expect(try verify("--vkey", "nonsense").status == 64)
        #expect(try verify("--checkpoint", "/nowhere").status == 66)
        #expect(try verify("--colour").status == 64)
        // Somebody else's ledger of the same name and size is not the one that was signed.
        let forged = daemon.folder.path + "/forged"
        #expect(try run(["cp", "-a", other.ledger, forged]).status == 0)
        let result = try run([
            "python3", Repository.root + "/Docs/Examples/verify.py", forged, "--checkpoint", old,
        ])
        #expect(result.status == 1 && result.output.contains("anchor: \(old)"), "\(result)")
    }

    @Test func `a statement finds the ledger's name, times and counts in the summary`() throws {
        let daemon = try ExamplePipeline.daemon()
        _ = try daemon.checkpoint(covering: 60)
        #expect(daemon.stop() == 0)
        #expect(try run([Repository.program, "rotate-key", daemon.ledger]).status == 0)
        let text = try daemon.verify().output
        #expect(text.contains("60 packets and 1 change of key, received from 20"), "\(text)")
        let key = try daemon.vkey
        #expect(text.contains("Ledger ") && text.contains(key), "\(text)")
    }

    @Test func `rows come as CSV, and statements from standard input`() throws {
        let daemon = try ExamplePipeline.daemonWithRows()
        let statement = """
            SELECT 'a,b' AS a, NULL AS b, '' AS c, 'say "hi"' AS d, 'two
            lines' AS e, 1.5 AS "f,"
            """
        let result = try run(
            [Repository.program, "model", "sql", "-", "--csv", "--socket", daemon.socket],
            input: Array(statement.utf8))
        let lines = result.output.split(separator: "\n", maxSplits: 1)
        #expect(result.status == 0 && lines[0] == "a,b,c,d,e,\"f,\"", "\(result)")
        #expect(lines[1] == "\"a,b\",,\"\",\"say \"\"hi\"\"\",\"two\nlines\",1.5\n", "\(result)")
        let both = try daemon.stardust("model", "sql", "SELECT 1", "--csv", "--json")
        #expect(both.status == 64)
    }

    @Test func `a program for auditors has Swift's runtime in it`() throws {
        let daemon = try ExamplePipeline.daemon()
        #expect(daemon.stop() == 0)
        let folder = (Repository.program as NSString).deletingLastPathComponent
        let program = daemon.folder.path + "/dist/stardust"
        let linked = try run([Repository.root + "/Scripts/link-static", folder, program])
        #expect(linked.status == 0, "\(linked.error)")
        let needed = try run(["ldd", program]).output
        #expect(needed.contains("libcrypto") && !needed.contains("swift"), "\(needed)")
        let result = try run([program, "verify", daemon.ledger])
        #expect(result.status == 0 && result.output.hasPrefix("sound: 60 entries"), "\(result)")
    }

    @Test func `the first packet may be as large as any`() throws {
        let folder = try TemporaryFolder()
        let ledger = folder.path + "/ledger"
        #expect(try run([Repository.program, "init", ledger]).status == 0)
        let daemon = try Daemon(
            configuration: "{\"packet_bytes_max\": 16777216}", ledger: ledger)
        let filler = String(repeating: "x", count: 15 << 20)
        let large = Sample.packet(Sample.id, more: ",\"filler\":\"\(filler)\"")
        let answer = try HTTPClient(daemon.socket).emit(large)
        #expect(answer.status == 201, "\(answer.text)")
        #expect(daemon.stop() == 0)
        #expect(try daemon.verify().output.hasPrefix("sound: 1 entries"))
        // Nor is a copy by hard links of an empty ledger in the way.
        let empty = folder.path + "/empty"
        #expect(try run([Repository.program, "init", empty]).status == 0)
        let other = try Daemon(ledger: empty)
        #expect(try run(["cp", "-al", empty + "/segments", folder.path + "/copy"]).status == 0)
        #expect(try HTTPClient(other.socket).emit(Sample.packet(Sample.id)).status == 201)
        #expect(other.stop() == 0)
        #expect(try other.verify().output.hasPrefix("sound: 1 entries"))
    }

    @Test func `swapped segments are findings, whatever they hold`() throws {
        let daemon = try Daemon(configuration: "{\"segment_bytes\": 1200000}")
        #expect(try HTTPClient(daemon.socket).emit(Sample.packet(Sample.id)).status == 201)
        #expect(daemon.stop() == 0)
        let before = daemon.folder.path + "/before"
        #expect(try run(["cp", "-a", daemon.ledger, before]).status == 0)
        for _ in 0..<3 {
            #expect(try run([Repository.program, "rotate-key", daemon.ledger]).status == 0)
        }
        let segments = daemon.ledger + "/segments/"
        let later = "00000000000000000001.seg"
        try FileManager.default.moveItem(
            atPath: segments + "00000000000000000000.seg", toPath: segments + later)
        #expect(
            try run(["cp", before + "/segments/00000000000000000000.seg", segments]).status == 0)
        let result = try daemon.verify()
        #expect(result.status == 1 && result.output.contains("NOT SOUND"), "\(result)")
    }

    @Test func `folders in which everybody could replace the files are refused`() throws {
        let daemon = try Daemon(starts: false)
        chmod(daemon.ledger, 0o777)
        let result = try run([
            Repository.program, "serve", daemon.ledger, "--socket", daemon.socket,
        ])
        #expect(result.status == 77 && result.error.contains("everybody may write"), "\(result)")
        chmod(daemon.ledger, 0o700)
        try daemon.start()
        #expect(daemon.stop() == 0)
    }

    @Test func `an export replaces nothing`() throws {
        let daemon = try ExamplePipeline.daemon()
        #expect(daemon.stop() == 0)
        let key = try Data(contentsOf: URL(fileURLWithPath: daemon.ledger + "/key"))
        let there = try daemon.folder.file("there.tar", Array("mine".utf8))
        for target in [
            daemon.ledger + "/key", daemon.ledger + "/new.tar", there, "/dev/null",
            daemon.ledger + "/segments/x",
        ] {
            let result = try run([Repository.program, "export", daemon.ledger, target])
            #expect(result.status == 73, "\(target): \(result)")
        }
        #expect(try Data(contentsOf: URL(fileURLWithPath: daemon.ledger + "/key")) == key)
        #expect(try daemon.verify().status == 0)
        let packed = try run([Repository.program, "verify", there])
        #expect(packed.status == 66 && packed.error.contains("unpack a tar file"), "\(packed)")
    }

    @Test func `SQL says what it was not given, and what it cannot show`() throws {
        let daemon = try ExamplePipeline.daemonWithRows()
        for (sql, words) in [
            ("SELECT count(*) FROM clips WHERE clip_id = :id", "1 parameters, and none was given"),
            ("SELECT x'00ff' AS b", "b holds bytes"), ("SELECT char(0) || 1 AS c", "c holds bytes"),
        ] {
            let result = try daemon.stardust("model", "sql", sql)
            #expect(result.status == 65 && result.error.contains(words), "\(result)")
        }
        #expect(try daemon.stardust("model", "sql", "SELECT hex(x'00ff')").output.contains("00FF"))
    }
}
