import DaemonTestSupport
import Foundation
import TestSupport
import Testing

/// `stardust doctor`, on ledgers and machines that are well and that are not.
struct DoctorTests {
    private struct Visit {
        let status: Int32
        private let checks: [[String: Any]]

        init(_ arguments: [String], wrapper: [String] = []) throws {
            let result = try run(
                wrapper + [Repository.program, "doctor"] + arguments + ["--json"])
            status = result.status
            let json =
                try JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any]
            checks = json?["checks"] as? [[String: Any]] ?? []
        }

        /// Codes of a level.
        func codes(_ level: String) -> [String] {
            checks.filter { $0["level"] as? String == level }.compactMap { $0["code"] as? String }
        }

        func text(_ code: String) -> String {
            checks.filter { $0["code"] as? String == code }.map {
                "\($0["text"] ?? "") -> \($0["advice"] ?? "")"
            }.joined(separator: "\n")
        }
    }

    /// Everything in a folder, and when it was changed.
    private static func content(_ folder: String) throws -> [String] {
        let result = try run(["find", folder, "-printf", "%p %s %T@ %m\n"])
        return result.output.split(separator: "\n").map(String.init).sorted()
    }

    private static func ledger(_ folder: TemporaryFolder) throws -> String {
        let path = folder.path + "/ledger"
        let made = try run([Repository.program, "init", path])
        #expect(made.status == 0)
        return path
    }

    @Test func `a sound ledger has no failure, with the daemon and without it`() throws {
        let daemon = try Daemon()
        try daemon.emit(0..<50)
        _ = try daemon.checkpoint(covering: 50)
        let running = try Visit([daemon.ledger, "--socket", daemon.socket])
        #expect(running.status == 0 && running.codes("FAIL") == [])
        #expect(running.text("daemon").contains("process \(daemon.pid)"))
        #expect(running.text("checkpoint").contains("covers 50 of 50 entries"))
        #expect(daemon.stop() == 0)
        let before = try Self.content(daemon.ledger)
        let stopped = try Visit([daemon.ledger, "--socket", daemon.socket, "--measure"])
        #expect(stopped.status == 0 && stopped.codes("FAIL") == [])
        #expect(stopped.text("daemon").contains("does not run"))
        #expect(stopped.text("disk").contains("20 writes"))
        // The folder's own time tells that a file came and went.
        let after = try Self.content(daemon.ledger)
        #expect(before.dropFirst() == after.dropFirst())
    }

    @Test func `what is wrong with a ledger is named, each by its code`() throws {
        let folder = try TemporaryFolder()
        defer { withExtendedLifetime(folder) {} }
        let ledger = try Self.ledger(folder)
        func failures(_ more: String...) throws -> [String] {
            let visit = try Visit([ledger, "--socket", folder.path + "/s"] + more)
            #expect(visit.status == (visit.codes("FAIL").isEmpty ? 0 : 1))
            return visit.codes("FAIL")
        }
        #expect(try failures() == [])
        #expect(chmod(ledger + "/key", 0o644) == 0)
        #expect(try failures() == ["key_mode"])
        #expect(chmod(ledger + "/key", 0o400) == 0)
        #expect(chmod(ledger, 0o777) == 0)
        #expect(try failures() == ["ledger_mode"])
        #expect(chmod(ledger, 0o755) == 0)
        #expect(try Visit([ledger]).codes("warn").contains("ledger_mode"))
        #expect(chmod(ledger, 0o700) == 0)
        let alarm = ledger + "/fork-alarm"
        try "the witness w says so\n".write(toFile: alarm, atomically: false, encoding: .utf8)
        #expect(try failures() == ["fork_alarm"])
        try FileManager.default.removeItem(atPath: alarm)
        let bad = try folder.file("bad.json", Array(#"{"query_ms_max": "soon"}"#.utf8))
        #expect(try failures("--config", bad) == ["configuration"])
        let records = #"{"records": "\#(folder.path)", "key_escrow": "a safe"}"#
        let good = try folder.file("good.json", Array(records.utf8))
        _ = try folder.file(
            "verify", Array("stardust-verify/1\n2026-01-01T00:00:00.000000Z\n7\nfailed\n".utf8))
        #expect(try failures("--config", good) == ["verified"])
        let segment = ledger + "/segments/00000000000000000000.seg"
        let handle = try #require(FileHandle(forUpdatingAtPath: segment))
        try handle.write(contentsOf: Data("another kind of file".utf8))
        #expect(try failures().contains("format"))
        let missing = try Visit([folder.path + "/nowhere"])
        #expect(missing.status == 1 && missing.codes("FAIL").contains("ledger"))
    }

    @Test func `a record replaces nothing but a record, and is one ledger's`() throws {
        let folder = try TemporaryFolder()
        defer { withExtendedLifetime(folder) {} }
        let ledger = try Self.ledger(folder)
        let other = folder.path + "/other"
        #expect(try run([Repository.program, "init", other]).status == 0)
        let refused = try run([
            Repository.program, "verify", ledger, "--record", ledger + "/identity",
        ])
        #expect(refused.status == 73, "\(refused)")
        let record = folder.path + "/verify"
        for _ in 0..<2 {
            let kept = try run([Repository.program, "verify", ledger, "--record", record])
            #expect(kept.status == 0)
        }
        let settings = try folder.file("r.json", Array("{\"records\": \"\(folder.path)\"}".utf8))
        #expect(try Visit([ledger, "--config", settings]).text("verified").contains(" ago"))
        #expect(try Visit([other, "--config", settings]).text("verified").hasPrefix("not yet"))
    }

    @Test func `a tree that is not the checkpoint's is found`() throws {
        let daemon = try Daemon()
        try daemon.emit(0..<300)
        _ = try daemon.checkpoint(covering: 300)
        #expect(daemon.stop() == 0)
        let handle = try #require(FileHandle(forUpdatingAtPath: daemon.ledger + "/tree/1"))
        try handle.seek(toOffset: 4)
        try handle.write(contentsOf: Data(repeating: 7, count: 4))
        try handle.close()
        let visit = try Visit([daemon.ledger])
        #expect(visit.codes("FAIL") == ["checkpoint"])
        #expect(visit.text("checkpoint").contains("another root"))
    }

    @Test func `a daemon that hangs is found, and one of another ledger`() throws {
        let (daemon, other) = (try Daemon(), try Daemon())
        let wrong = try Visit([other.ledger, "--socket", daemon.socket])
        #expect(wrong.codes("warn").contains("daemon"))
        Foundation.kill(daemon.pid, SIGSTOP)
        defer { Foundation.kill(daemon.pid, SIGCONT) }
        let hung = try Visit([daemon.ledger, "--socket", daemon.socket, "--timeout", "1"])
        #expect(hung.codes("FAIL") == ["daemon"])
        #expect(hung.text("daemon").contains("process \(daemon.pid) holds the ledger"))
    }

    @Test func `odd answers end neither doctor nor status`() throws {
        let folder = try TemporaryFolder()
        defer { withExtendedLifetime(folder) {} }
        let ledger = try Self.ledger(folder)
        let script = """
            import socket, sys
            s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(8)
            print('open', file=sys.stderr, flush=True)
            while True:
                c, _ = s.accept(); b = sys.argv[2].encode()
                try:
                    c.recv(65536); c.sendall(b'HTTP/1.1 200 OK\\r\\ncontent-length: %d\\r\\n\\r\\n' % len(b) + b)
                except OSError: pass
                c.close()
            """
        for (number, body) in [
            "{}", "[]", "null", "<html>", #"{"phase":"serving","origin":"a","ledger_size":1e300}"#,
            #"{"phase":"x","origin":"a","ledger_size":-9223372036854775808,"index":{"size":1}}"#,
            #"{"phase":"x","origin":"a","ledger_size":9223372036854775807,"index":{"size":-5}}"#,
        ].enumerated() {
            let socket = folder.path + "/s\(number)"
            let server = try Background(["-c", script, socket, body], program: "/usr/bin/python3")
            defer { server.kill() }
            try server.waitFor("open")
            let visit = try Visit([ledger, "--socket", socket])
            #expect(visit.status == 1 && visit.codes("FAIL") == ["daemon"], "\(body)")
            let status = try run([Repository.program, "status", "--socket", socket])
            #expect([0, 65, 74].contains(status.status), "\(body): \(status)")
        }
    }

    @Test func `what an earlier version would not understand must be undone first`() throws {
        let folder = try TemporaryFolder()
        defer { withExtendedLifetime(folder) {} }
        let ledger = try Self.ledger(folder)
        let settings = try folder.file("a.json", Array(#"{"log_level": "info"}"#.utf8))
        let same = try Visit([ledger, "--for-version", "0.10.3"])
        #expect(same.status == 0 && same.text("downgrade").contains("understands everything"))
        let old = try Visit([ledger, "--for-version", "0.9.0", "--config", settings])
        #expect(old.status == 1 && old.text("downgrade").contains("log_level (\(settings):1:2)"))
        let notation = try folder.file("b.json", Array("# c\n{\"segment_bytes\": \"4MiB\"}\n".utf8))
        try FileManager.default.createDirectory(
            atPath: notation + ".d", withIntermediateDirectories: false)
        _ = try folder.file("b.json.d/a.json", Array("{}".utf8))
        let notations = try Visit([ledger, "--for-version", "0.9.0", "--config", notation])
        for words in ["comments", "units: segment_bytes", "reads nothing in"] {
            #expect(notations.text("downgrade").contains(words), "\(words)")
        }
        let archived = ledger + "/archived"
        try FileManager.default.createDirectory(
            atPath: archived, withIntermediateDirectories: false)
        _ = FileManager.default.createFile(
            atPath: archived + "/00000000000000000000.entries", contents: nil)
        let segments = try Visit([ledger, "--for-version", "0.9.0"])
        #expect(segments.text("downgrade").contains("archive recall all"))
        for bad in ["new", "", "-", "-1.2", "0.8", "2.0", "0.10.x"] {
            let refused = try run([Repository.program, "doctor", ledger, "--for-version=" + bad])
            #expect(refused.status == 64, "\(bad)")
        }
    }

    @Test(.enabled(if: Repository.isRoot, "only root can make namespaces and file systems"))
    func `a user namespace is refused, by the start as well`() throws {
        let folder = try TemporaryFolder()
        defer { withExtendedLifetime(folder) {} }
        let ledger = try Self.ledger(folder)
        let wrapper = ["unshare", "--user", "--map-root-user"]
        let visit = try Visit([ledger], wrapper: wrapper)
        #expect(visit.status == 1 && visit.codes("FAIL").contains("user_namespace"))
        let started = try run(
            wrapper + [Repository.program, "serve", ledger, "--socket", folder.path + "/s"])
        #expect(started.status == 78 && started.error.contains("user namespace"))
    }

    @Test(.enabled(if: Repository.isRoot, "only root can make namespaces and file systems"))
    func `disks without room or endurance, and loose units, are found`() throws {
        let folder = try TemporaryFolder()
        defer { withExtendedLifetime(folder) {} }
        let script = """
            set -e
            mount -t tmpfs -o size=9m tmpfs '\(folder.path)'
            '\(Repository.program)' init '\(folder.path)/ledger' >/dev/null
            mkdir -p /etc/systemd/system
            mount -t tmpfs tmpfs /etc/systemd/system
            mkdir /etc/systemd/system/stardust.service.d
            printf '[Service]\\nUMask=0077\\nNoNewPrivileges=true\\nPrivateUsers=yes\\nProtectSystem=full\\n' \
                >/etc/systemd/system/stardust.service.d/mine.conf
            exec "$@"
            """
        let visit = try Visit(
            [folder.path + "/ledger"],
            wrapper: ["unshare", "--mount", "bash", "-c", script, "bash"])
        #expect(visit.codes("FAIL") == ["space"])
        #expect(visit.text("file_system").contains("tmpfs"))
        let unit = visit.text("unit")
        #expect(unit.contains("PrivateUsers=yes") && unit.contains("ProtectSystem=full"))
        #expect(!unit.contains("NoNewPrivileges") && !unit.contains("UMask"))
    }
}
