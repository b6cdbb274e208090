import DaemonTestSupport
import Foundation
import TestSupport
import Testing

/// Who gets a connection when many want one.
@Suite struct AcceptTests {
    private static let stranger = 64_003

    private static func daemon() throws -> Daemon {
        let daemon = try Daemon()
        #expect(chmod(daemon.folder.path, 0o711) == 0 && chmod(daemon.socket, 0o666) == 0)
        return daemon
    }

    /// Python that runs as a user without any role, with the socket's path in `path`.
    private static func strange(_ script: String) -> String {
        "import os, socket, sys\nos.setgroups([]); os.setgid(\(stranger)); os.setuid(\(stranger))\n"
            + "path = sys.argv[1]\n" + script
    }

    @Test(.needs(Repository.isRoot, "only root can be another user"))
    func `users without a role share a few connections, and refusals are answered and logged`()
        throws
    {
        let daemon = try Self.daemon()
        let script = Self.strange(
            """
            held = []
            for _ in range(200):
                held.append(socket.socket(socket.AF_UNIX)); held[-1].connect(path); held[-1].settimeout(60)
            refused = [c for c in held[64:] if c.recv(4096).startswith(b'HTTP/1.1 503 ')]
            held[0].sendall(b'GET /livez HTTP/1.1\\r\\nhost: x\\r\\n\\r\\n')
            print(len(refused), held[0].recv(4096)[:12].decode())
            """)
        let result = try run(["python3", "-c", script, daemon.socket])
        #expect(result.output == "136 HTTP/1.1 200\n", "\(result.error)")
        #expect(daemon.logs("\"event\":\"connections_refused\""))
        #expect(daemon.log.contains("\"count\":\"1\",\"uid\":\"\(Self.stranger)\""))
        #expect(try daemon.metric("connections_cut_total") == 136)
    }

    @Test(.needs(Repository.isRoot, "only root can be another user"))
    func `a stranger that connects and leaves in a loop keeps nobody out`() throws {
        let daemon = try Self.daemon()
        let loop = try Background(
            [
                "-c",
                Self.strange(
                    "while True:\n  c = socket.socket(socket.AF_UNIX); c.connect(path); c.close()"),
                daemon.socket,
            ], program: "/usr/bin/python3")
        #expect(daemon.logs("refused"))
        for _ in 0..<10 {
            #expect(try daemon.stardust("status", "--socket", daemon.socket).status == 0)
        }
        // He is still at it, and few of his connections cost more than a refusal.
        let before = try daemon.metric("connections_cut_total")
        while try daemon.metric("connections_cut_total") < before + 100 { usleep(10_000) }
        _ = loop.stop()
        #expect(
            try daemon.metric("connections_opened_total")
                < daemon.metric("connections_cut_total"))
    }

    @Test(.needs(Repository.isRoot, "only root may change the limits of a running process"))
    func `connections wait while no descriptor is free, and the log says so`() throws {
        let daemon = try Self.daemon()
        func limit(_ count: Int) throws {
            let result = try run(["prlimit", "--pid", "\(daemon.pid)", "--nofile=\(count):"])
            try #require(result.status == 0, "\(result.error)")
        }
        #expect(try HTTPClient(daemon.socket).get("/livez").status == 200)
        // Descriptors are numbered from below: none is left below the highest that is used.
        try limit(3)
        let client = try HTTPClient(daemon.socket)
        try client.send("GET /livez HTTP/1.1\r\nhost: x\r\n\r\n")
        #expect(daemon.logs("connections wait to be accepted: Too many open files"))
        try limit(1024)
        #expect(try client.receive().status == 200)
        #expect(daemon.logs("connections are accepted again"))
    }
}
