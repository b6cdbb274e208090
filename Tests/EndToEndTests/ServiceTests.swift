import DaemonTestSupport
import Foundation
import Synchronization
import TestSupport
import Testing

/// The daemon under a service manager: its notices, and sockets that it is passed.
struct ServiceTests {
    @Test func `the manager hears of the start, the state and the end`() throws {
        let manager = try ServiceManagedDaemon()
        try manager.waitFor("READY=1")
        try manager.waitFor("STATUS=serving")
        try manager.waitFor("WATCHDOG=1", count: 3)
        let client = try HTTPClient(manager.socket)
        #expect(try client.emit(Sample.packet(Sample.id)).status == 201)
        let environment = try String(
            contentsOfFile: "/proc/\(manager.pid)/environ", encoding: .utf8)
        // What a child would inherit is asked of the program, not of what it was started with.
        #expect(environment.contains("NOTIFY_SOCKET"))
        try manager.restart()
        try manager.waitFor("STOPPING=1")
        try manager.waitFor("READY=1", count: 2)
        #expect(manager.text("ended") == "0\n")
        #expect(try HTTPClient(manager.socket).get("/v1/packets/\(Sample.id)").status == 200)
    }

    @Test func `the manager hears of a reload, taken or not`() throws {
        let manager = try ServiceManagedDaemon(["--config", "/dev/null"], wrapper: [])
        let deadline = Date() + 60
        while manager.text("ended").isEmpty, Date() < deadline { usleep(20_000) }
        #expect(manager.text("ended") == "78\n")
        let folder = try TemporaryFolder()
        defer { withExtendedLifetime(folder) {} }
        let file = try folder.file("stardust.json", Array("{}".utf8))
        let other = try ServiceManagedDaemon(["--config", file])
        try other.waitFor("READY=1")
        Foundation.kill(other.pid, SIGHUP)
        try other.waitFor("RELOADING=1")
        try other.waitFor("MONOTONIC_USEC=")
        try other.waitFor("READY=1", count: 2)
        _ = try folder.file("stardust.json", Array("{".utf8))
        Foundation.kill(other.pid, SIGHUP)
        try other.waitFor("RELOADING=1", count: 2)
        try other.waitFor("READY=1", count: 3)
        #expect(try HTTPClient(other.socket).get("/livez").status == 200)
    }

    @Test func `metrics are on their own socket, and nothing else`() throws {
        let manager = try ServiceManagedDaemon()
        try manager.waitFor("READY=1")
        func get(_ path: String) throws -> String {
            try run([
                "curl", "-s", "-w", "\n%{http_code}",
                "http://127.0.0.1:\(manager.text("port"))\(path)",
            ]).output
        }
        let metrics = try get("/metrics")
        #expect(metrics.contains("stardust_ledger_size") && metrics.hasSuffix("200"), "\(metrics)")
        #expect(try get("/livez").hasSuffix("200"))
        #expect(try get("/readyz").hasSuffix("200"))
        for path in ["/", "/v1/status", "/v1/packets", "/openapi.yaml", "/tile/0/000"] {
            #expect(try get(path).hasSuffix("404"), "\(path)")
        }
    }

    @Test(arguments: [
        ("clients:else", "FileDescriptorName= must be clients or metrics"),
        ("metrics:clients", "wrong family"), ("", "FileDescriptorName="),
    ])
    func `other sockets are refused`(names: String, words: String) throws {
        let manager = try ServiceManagedDaemon(environment: ["NAMES": names])
        let deadline = Date() + 60
        while manager.text("ended").isEmpty, Date() < deadline { usleep(20_000) }
        #expect(manager.text("ended") == "78\n", "\(words)")
    }

    @Test func `another path than the passed one is refused`() throws {
        let manager = try ServiceManagedDaemon(["--socket", "/tmp/other.sock"])
        let deadline = Date() + 60
        while manager.text("ended").isEmpty, Date() < deadline { usleep(20_000) }
        #expect(manager.text("ended") == "78\n")
    }

    private final class Counts: Sendable {
        let refused = Atomic(0)
        let answered = Atomic(0)
        let isOver = Atomic(false)
    }

    @Test func `clients wait through restarts, and none is refused`() throws {
        let manager = try ServiceManagedDaemon()
        try manager.waitFor("READY=1")
        let socket = manager.socket
        let counts = Counts()
        let clients = DispatchGroup()
        for _ in 0..<16 {
            DispatchQueue(label: "client").async(group: clients) {
                while !counts.isOver.load(ordering: .relaxed) {
                    // An answer may be cut off with its connection; a connection is never refused.
                    guard let client = try? HTTPClient(socket) else {
                        counts.refused.add(1, ordering: .relaxed)
                        continue
                    }
                    if (try? client.get("/livez"))?.status == 200 {
                        counts.answered.add(1, ordering: .relaxed)
                    }
                }
            }
        }
        let restarts = Soak.isSoak ? 300 : 20
        for number in 0..<restarts {
            try manager.restart()
            try manager.waitFor("READY=1", count: number + 2)
        }
        counts.isOver.store(true, ordering: .relaxed)
        clients.wait()
        #expect(counts.refused.load(ordering: .relaxed) == 0)
        #expect(counts.answered.load(ordering: .relaxed) > 0)
        #expect(Set(manager.text("ended").split(separator: "\n")) == ["0"])
    }

    @Test(.needs(Repository.has("strace"), "strace is not installed"))
    func `a slow opening says how far it is, and asks for time`() throws {
        let daemon = try Daemon(
            configuration: #"{"segment_bytes": 65536, "packet_bytes_max": 2048}"#)
        try daemon.emit(0..<600)
        #expect(daemon.stop() == 0)
        // What could be taken from derived files must be read.
        try FileManager.default.removeItem(atPath: daemon.ledger + "/ids")
        let manager = try ServiceManagedDaemon(
            ledger: daemon.ledger,
            wrapper: [
                "strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=pread64", "-e",
                "inject=pread64:delay_enter=100000:when=1+",
            ])
        try manager.waitFor("STATUS=the ledger is being opened: segment ")
        try manager.waitFor("EXTEND_TIMEOUT_USEC=60000000")
        try manager.waitFor("READY=1")
        let opening = manager.notices.prefix { $0 != "READY=1" }
        #expect(opening.contains { $0.hasPrefix("EXTEND_TIMEOUT_USEC=") })
        #expect(try HTTPClient(manager.socket).get("/livez").status == 200)
    }

    @Test(.needs(Repository.has("strace"), "strace is not installed"))
    func `a slow disk never stops the signs of life`() throws {
        let manager = try ServiceManagedDaemon(
            wrapper: [
                "strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync", "-e",
                "inject=fdatasync:delay_enter=4000000:when=1+",
            ], environment: ["WATCHDOG": "1000000"])
        try manager.waitFor("READY=1")
        let client = try HTTPClient(manager.socket)
        let before = manager.notices.count { $0 == "WATCHDOG=1" }
        #expect(try client.emit(Sample.packet(Sample.id)).status == 201)
        // It waited for 4 s in one call.
        #expect(manager.notices.count { $0 == "WATCHDOG=1" } > before + 2)
    }

    @Test func `a manager that reads nothing holds nothing up`() throws {
        let folder = try TemporaryFolder()
        defer { withExtendedLifetime(folder) {} }
        let script = """
            import os, socket, sys
            s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(sys.argv[1]); s.setblocking(False)
            t = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); t.setblocking(False)
            try:
                while True: t.sendto(b'x' * 1000, sys.argv[1])
            except BlockingIOError: print('full', file=sys.stderr, flush=True)
            sys.stdin.read()
            """
        let path = folder.path + "/notify"
        let manager = try Background(["-c", script, path], program: "/usr/bin/python3")
        defer { manager.kill() }
        try manager.waitFor("full")
        let daemon = try Daemon(configuration: "{}", starts: false)
        daemon.wrapper = ["env", "NOTIFY_SOCKET=\(path)"]
        try daemon.start()
        try daemon.reload(#"{"query_ms_max": 777}"#)
        #expect(try HTTPClient(daemon.socket).get("/v1/status").text.contains("777"))
        #expect(daemon.stop() == 0)
    }

    @Test func `a stopped daemon gives no sign of life`() throws {
        let manager = try ServiceManagedDaemon(environment: ["WATCHDOG": "300000"])
        try manager.waitFor("WATCHDOG=1", count: 3)
        Foundation.kill(manager.pid, SIGSTOP)
        // What was sent before may still be on its way.
        var count = -1
        let deadline = Date() + 60
        while count != manager.notices.count, Date() < deadline {
            count = manager.notices.count
            usleep(2_000_000)
        }
        #expect(manager.notices.count == count)
        Foundation.kill(manager.pid, SIGCONT)
        try manager.waitFor("WATCHDOG=1", count: count)
    }
}
