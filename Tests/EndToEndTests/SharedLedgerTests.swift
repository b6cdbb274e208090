import DaemonTestSupport
import Foundation
import TestSupport
import Testing

/// Nothing that shares an inode, a folder or a link with a served ledger is written unnoticed.
@Suite struct SharedLedgerTests {
    private static func emit(_ daemon: Daemon, _ numbers: Range<Int>) throws -> [Int] {
        try numbers.map { number in
            let answer = try HTTPClient(daemon.socket).emit(Sample.numbered(number).bytes)
            guard answer.status == 201 else { throw Failure(answer.text) }
            return answer.json["position"] as? Int ?? -1
        }
    }

    private static func serve(_ ledger: String, _ folder: TemporaryFolder) throws -> Finished {
        try run([
            "timeout", "-s", "KILL", "60", Repository.program, "serve", ledger, "--socket",
            folder.path + "/other",
        ])
    }

    @Test func `a copy by hard links cannot be served, and does not stop the original`() throws {
        let daemon = try Daemon()
        let folder = try TemporaryFolder()
        #expect(try Self.emit(daemon, 0..<3) == [0, 1, 2])
        let copy = folder.path + "/copy"
        #expect(try run(["cp", "-al", daemon.ledger, copy]).status == 0)
        let before = try run([
            "bash", "-c", "cat \(copy)/segments/*.seg \(copy)/checkpoints | sha256sum",
        ])
        // While it is served, the newest segment is in use; afterwards it is shared.
        #expect(try Self.serve(copy, folder).status == 75)
        #expect(try Self.emit(daemon, 3..<6) == [3, 4, 5])
        _ = try daemon.checkpoint(covering: 6)
        let after = try run([
            "bash", "-c", "cat \(copy)/segments/*.seg \(copy)/checkpoints | sha256sum",
        ])
        #expect(after.output.isEmpty == false)
        // What the copy had is as it was, but for the room behind its last record.
        #expect(try run([Repository.program, "verify", copy]).status == 0, "\(before) \(after)")
        #expect(daemon.stop() == 0)
        let refused = try Self.serve(copy, folder)
        #expect(refused.status == 78 || refused.status == 75, "\(refused)")
        #expect(refused.error.contains("hard links"), "\(refused.error)")
        // The original has gone on in files of its own, and starts again, also after a kill.
        try daemon.start()
        #expect(try Self.emit(daemon, 6..<8) == [6, 7])
        daemon.kill()
        try daemon.start()
        #expect(daemon.stop() == 0)
        #expect(try daemon.verify().status == 0)
    }

    @Test func `a read model that a copy by hard links shares is written by one of them`() throws {
        func change(_ number: Int, _ name: String) -> String {
            let id = "10000000-0000-4000-8000-00000000000\(number)"
            return
                #"{"op":"insert","table":"creators","row":{"creator_id":"\#(id)","platform":"youtube","username":"\#(name)","profile_url":"http://x","created_at":"2026-01-01T00:00:00Z"}}"#
                + "\n"
        }
        let daemon = try Daemon()
        #expect(try Self.emit(daemon, 0..<1) == [0])
        let first = try daemon.feed(change(1, "both"))
        #expect(first.allSatisfy { $0["outcome"] as? String == "applied" }, "\(first)")
        #expect(daemon.stop() == 0)
        let folder = try TemporaryFolder()
        let copy = folder.path + "/copy"
        let made = try run([
            "bash", "-c",
            "cp -al $0 $1 && cd $1/segments && for f in *.seg; do cp -p $f new && mv new $f; done",
            daemon.ledger, copy,
        ])
        #expect(made.status == 0, "\(made.error)")
        let other = try Daemon(ledger: copy)
        try daemon.start()
        _ = try daemon.feed(change(2, "mine"))
        _ = try other.feed(change(3, "others"))
        func names(_ daemon: Daemon) throws -> String {
            try daemon.stardust("model", "sql", "SELECT username FROM creators ORDER BY 1").output
        }
        let (mine, others) = (try names(daemon), try names(other))
        #expect(
            mine.contains("mine") && mine.contains("both") && !mine.contains("others"), "\(mine)")
        #expect(others.contains("others") && others.contains("both") && !others.contains("mine"))
    }

    @Test func `a copy is made while nothing arrives, and the daemon restarts`() throws {
        let daemon = try Daemon()
        let folder = try TemporaryFolder()
        #expect(try Self.emit(daemon, 0..<2) == [0, 1])
        _ = try daemon.checkpoint(covering: 2)
        #expect(try run(["cp", "-al", daemon.ledger, folder.path + "/copy"]).status == 0)
        #expect(daemon.stop() == 0)
        try daemon.start()
        #expect(try Self.emit(daemon, 2..<3) == [2])
        #expect(daemon.stop() == 0)
        #expect(try daemon.verify().status == 0)
    }

    /// Two folders of one ledger that share the folder of their segments.
    private static func twoFolders(_ folder: TemporaryFolder) throws -> (String, String) {
        let (first, second, outside) = (
            folder.path + "/a", folder.path + "/b", folder.path + "/segments"
        )
        let made = try run([Repository.program, "init", first, "--segment-bytes", "65536"])
        #expect(made.status == 0)
        try FileManager.default.moveItem(atPath: first + "/segments", toPath: outside)
        try FileManager.default.createSymbolicLink(
            atPath: first + "/segments", withDestinationPath: outside)
        #expect(try run(["cp", "-a", first, second]).status == 0)
        return (first, second)
    }

    @Test(.needs(Repository.has("strace"), "strace is not installed"))
    func `a start that is slow beside another's roll does not append`() throws {
        let folder = try TemporaryFolder()
        let (first, second) = try Self.twoFolders(folder)
        let configuration = "{\"segment_bytes\": 65536, \"packet_bytes_max\": 16384}"
        let daemon = try Daemon(configuration: configuration, ledger: first)
        // Held between opening the newest segment and locking it.
        let trace = folder.path + "/trace"
        let slow = try Background(
            [
                "-f", "-qq", "-o", trace, "-e", "trace=openat,flock", "-e",
                "inject=flock:delay_enter=3000000", Repository.program, "serve", second,
                "--socket", folder.path + "/slow",
            ], program: "/usr/bin/strace")
        while (try? String(contentsOfFile: trace, encoding: .utf8).contains(".seg\"")) != true {
            usleep(5000)
        }
        var sent = 0
        while try daemon.metric("segments_rolled_total") == 0 {
            #expect(try Self.emit(daemon, sent..<sent + 50).last == sent + 49)
            sent += 50
        }
        while slow.isRunning { usleep(10_000) }
        #expect(slow.error.contains("another process writes"), "\(slow.error)")
        #expect(try Self.emit(daemon, sent..<sent + 1) == [sent])
        #expect(daemon.stop() == 0)
        #expect(try daemon.verify().status == 0)
    }

    @Test func `two folders with one folder of segments are one ledger`() throws {
        let folder = try TemporaryFolder()
        let (first, second) = try Self.twoFolders(folder)
        let daemon = try Daemon(ledger: first)
        let refused = try Self.serve(second, folder)
        #expect(refused.status == 75 && refused.error.contains("another process writes"))
        #expect(try Self.emit(daemon, 0..<2) == [0, 1])
        #expect(daemon.stop() == 0)
        #expect(try daemon.verify().status == 0)
    }
}
