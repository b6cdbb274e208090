import DaemonTestSupport
import Foundation
import Platform
import TestSupport
import Testing

/// What the log has, and who may read whose reads.
struct LogTests {
    private static func lines(_ text: String) -> [[String: Any]] {
        text.split(separator: "\n").compactMap { line in
            (try? JSONSerialization.jsonObject(with: Data(line.utf8))) as? [String: Any]
        }
    }

    private static func event(_ line: [String: Any]) -> LoggedEvent? {
        (line["event"] as? String).flatMap { LoggedEvent(rawValue: $0) }
    }

    /// Requests as a user without any role; returns their answers' statuses.
    private static func request(_ daemon: Daemon, _ paths: [String], uid: Int = 64_200) throws
        -> [String]
    {
        #expect(chmod(daemon.folder.path, 0o711) == 0 && chmod(daemon.socket, 0o666) == 0)
        let script = """
            import http.client, os, socket, sys
            os.setgroups([]); os.setgid(\(uid)); os.setuid(\(uid))
            class C(http.client.HTTPConnection):
                def connect(self): self.sock = socket.socket(socket.AF_UNIX); self.sock.connect(sys.argv[1])
            c = C('stardust')
            for path in sys.argv[2:]:
                c.request('GET', path); r = c.getresponse(); r.read(); print(r.status)
            """
        let result = try run(["python3", "-c", script, daemon.socket] + paths)
        return result.output.split(separator: "\n").map(String.init)
    }

    @Test func `each line has an event, and the level that goes with it`() throws {
        let daemon = try Daemon()
        #expect(daemon.stop() == 0)
        let lines = Self.lines(daemon.log)
        #expect(lines.compactMap { Self.event($0) } == [.listening, .stopped])
        for line in lines {
            #expect(line["level"] as? String == Self.event(line)?.level.rawValue)
        }
    }

    @Test(.enabled(if: Repository.isRoot, "only root can act as another user"))
    func `denials of one user are one line a minute, and all are counted`() throws {
        let daemon = try Daemon()
        let paths = [String](repeating: "/v1/packets", count: 40) + ["/v1/status"]
        #expect(try Self.request(daemon, paths).allSatisfy { $0 == "403" })
        #expect(daemon.logs("access_denied"))
        #expect(try daemon.number(#"denied_total{role="read"}"#) == 40)
        #expect(try daemon.number(#"denied_total{role="admin"}"#) == 1)
        #expect(daemon.stop() == 0)
        let denials = Self.lines(daemon.log).filter { Self.event($0) == .accessDenied }
        #expect(denials.count == 1)
        #expect(denials.first?["uid"] as? String == "64200")
    }

    @Test func `lines for the journal begin with their priority, and only they`() throws {
        let daemon = try Daemon(starts: false)
        let log = try daemon.folder.file("log", [])
        var status = stat()
        #expect(stat(log, &status) == 0)
        daemon.wrapper = ["env", "JOURNAL_STREAM=\(status.st_dev):\(status.st_ino)"]
        try daemon.start()
        #expect(daemon.stop() == 0)
        #expect(daemon.log.split(separator: "\n").allSatisfy { $0.hasPrefix("<5>{") })
        daemon.wrapper = ["env", "JOURNAL_STREAM=\(status.st_dev):1"]
        try daemon.start()
        #expect(daemon.stop() == 0)
        #expect(daemon.log.split(separator: "\n").count { $0.hasPrefix("{") } == 2)
    }

    @Test func `a level keeps lines out`() throws {
        let daemon = try Daemon(configuration: #"{"log_level": "warning"}"#)
        #expect(daemon.stop() == 0)
        #expect(daemon.log == "")
    }

    @Test func `who read what is in a file that can be rotated`() throws {
        let folder = try TemporaryFolder()
        defer { withExtendedLifetime(folder) {} }
        let path = folder.path + "/access"
        let settings = "{\"access_log\": \"\(path)\"}"
        let daemon = try Daemon(configuration: settings)
        try daemon.emit(0..<3)
        let client = try HTTPClient(daemon.socket)
        let id = Sample.numbered(0).id
        #expect(try client.get("/v1/packets/\(id)").status == 200)
        #expect(try client.get("/v1/packets?limit=2").status == 200)
        let search = #"{"lineage": {"event": "nothing"}}"#
        #expect(
            try client.request("POST", "/v1/find", Array(search.utf8), type: "application/json")
                .status == 200)
        // Operators' own requests are no reads.
        _ = try client.get("/metrics")
        func read(_ path: String, count: Int) throws -> [[String: Any]] {
            let deadline = Date() + 60
            while true {
                let found = Self.lines((try? String(contentsOfFile: path, encoding: .utf8)) ?? "")
                if found.count >= count { return found }
                guard Date() < deadline else { throw Failure("\(found)") }
                usleep(10_000)
            }
        }
        let lines = try read(path, count: 3)
        #expect(
            lines.map { $0["route"] as? String } == [
                "GET /v1/packets/{stardust_id}", "GET /v1/packets", "POST /v1/find",
            ])
        #expect(lines[0]["target"] as? String == "/v1/packets/\(id)")
        #expect(lines[1]["target"] as? String == "/v1/packets?limit=2")
        #expect(lines[2]["query"] as? String == search)
        for line in lines {
            #expect(line["uid"] as? Int == Int(getuid()) && line["role"] as? String == "read")
            #expect(line["ledger_size"] as? Int == 3)
        }
        #expect(rename(path, path + ".1") == 0)
        try daemon.reload(settings)
        #expect(try client.get("/v1/packets/\(id)").status == 200)
        #expect(try read(path, count: 1).count == 1 && read(path + ".1", count: 3).count == 3)
        // Nothing that the daemon reads is written to, and no pipe without a reader is waited for.
        #expect(mkfifo(folder.path + "/pipe", 0o600) == 0)
        for bad in [
            daemon.ledger + "/identity", daemon.ledger + "/segments/log",
            daemon.folder.path + "/config.json", folder.path + "/pipe", "/dev/full", folder.path,
        ] {
            try daemon.reload("{\"access_log\": \"\(bad)\"}")
            #expect(try daemon.metric("config_reload_ok") == 0, "\(bad)")
        }
        #expect(try daemon.verify().status == 0)
        // Whoever rotates the log need not have right settings.
        #expect(rename(path, path + ".2") == 0)
        try daemon.reload("{\"access_log\": ")
        #expect(try client.get("/v1/packets/\(id)").status == 200)
        #expect(try read(path, count: 1).count == 1)
        // A folder that is not there changes nothing.
        try daemon.reload(#"{"access_log": "/nowhere/access"}"#)
        #expect(try daemon.metric("config_reload_ok") == 0)
        try daemon.reload(#"{"access_log": "journal", "log_level": "error"}"#)
        #expect(try client.get("/v1/packets/\(id)").status == 200)
        #expect(daemon.logs("/v1/packets/\(id)"))
    }
}
