import DaemonTestSupport
import Foundation
import TestSupport
import Testing

/// What others chose does not steer whoever looks at it, nor fill their memory.
@Suite struct TerminalTests {
    /// Runs a command on a terminal; what it printed there.
    private static func onTerminal(_ daemon: String, _ command: String) throws -> String {
        try run(
            ["script", "-qec", "\(Repository.program) \(command)", "/dev/null"], input: [],
            environment: ["STARDUST_SOCKET": daemon, "PAGER": "", "TERM": "dumb", "NO_COLOR": "1"]
        ).output
    }

    private static let unsafe: [Unicode.Scalar] = [
        "\u{1B}", "\u{7F}", "\u{9B}", "\u{202E}", "\u{2066}", "\u{200F}",
    ]

    @Test(.needs(Repository.has("script"), "script is missing; install bsdutils"))
    func `no command prints what could control a terminal`() throws {
        let daemon = try Daemon()
        // As JSON allows: C1 controls, DEL and marks of direction in the text itself.
        let text = String(String.UnicodeScalarView(Self.unsafe.dropFirst()))
        let packet = Sample.packet(Sample.id, more: #","note":"a\#(text)b""#)
        #expect(try HTTPClient(daemon.socket).emit(packet).status == 201)
        for command in [
            "get 0", "get 0 --raw", "get 0 --json", "find", "find --json",
            "history clips c11b0000-0000-4000-8000-00000000c11b --json",
            "chain --packet \(Sample.id)", "chain --packet \(Sample.id) --json",
        ] {
            let shown = try Self.onTerminal(daemon.socket, command)
            #expect(shown.contains("c11b"), "\(command): \(shown)")
            let found = shown.unicodeScalars.filter(Self.unsafe.contains)
            #expect(found.isEmpty, "\(command): \(found)")
        }
        #expect(try Self.onTerminal(daemon.socket, "get 0 --raw").contains("\\u009b"))
        // Through a pipe, the bytes are the packet's.
        let piped = try daemon.stardust("get", "0", "--raw").output
        #expect(Array(piped.utf8).starts(with: packet))
    }

    /// A daemon that is none: `answer` in Python, sent once or without end.
    private static func impostor(
        _ folder: TemporaryFolder, _ answer: String, isEndless: Bool
    ) throws -> (
        socket: String, process: Background
    ) {
        let socket = folder.path + "/impostor"
        let script = """
            import socket, sys, threading
            s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(16)
            def serve(c):
                c.recv(65536)
                try:
                    c.sendall(b'HTTP/1.1 200 OK\\r\\ncontent-type: application/json\\r\\ntransfer-encoding: chunked\\r\\n\\r\\n')
                    piece = \(answer)
                    while True:
                        c.sendall(b'%x\\r\\n%s\\r\\n' % (len(piece), piece))
                        if sys.argv[2] == 'once': break
                    c.sendall(b'0\\r\\n\\r\\n')
                except OSError: pass
            while True:
                c, _ = s.accept()
                threading.Thread(target=serve, args=(c,), daemon=True).start()
            """
        let process = try Background(
            ["-c", script, socket, isEndless ? "endless" : "once"], program: "/usr/bin/python3")
        let end = Date() + 60
        while !FileManager.default.fileExists(atPath: socket), Date() < end { usleep(10_000) }
        return (socket, process)
    }

    @Test func `an answer without an end is given up`() throws {
        let folder = try TemporaryFolder()
        let (socket, process) = try Self.impostor(folder, "b'x' * 1048576", isEndless: true)
        for command in ["status", "checkpoint", "prove 0", "get 0", "find", "follow"] {
            let result = try run(
                [
                    "bash", "-c", "ulimit -v 4000000; timeout 60 \"$0\" \(command)",
                    Repository.program,
                ],
                environment: ["STARDUST_SOCKET": socket])
            #expect(result.status == 74 || result.status == 65, "\(command): \(result)")
            #expect(!result.error.isEmpty && result.error.count < 1_000, "\(command)")
        }
        _ = process.stop()
    }

    @Test(.needs(Repository.has("script"), "script is missing; install bsdutils"))
    func `a false daemon's answers do not steer the terminal`() throws {
        let folder = try TemporaryFolder()
        let (socket, process) = try Self.impostor(
            folder, "b'{\\\"detail\\\": \\\"' + '\\u009b31m\\u202e\\x1b[2J'.encode() + b'\\\"}\\n'",
            isEndless: false)
        for command in ["status", "checkpoint", "prove 0", "get 0", "find", "follow"] {
            let shown = try Self.onTerminal(socket, command)
            let found = shown.unicodeScalars.filter(Self.unsafe.contains)
            #expect(found.isEmpty, "\(command): \(found)")
        }
        _ = process.stop()
    }

    @Test(.needs(Repository.isRoot && Repository.has("unshare"), "unmounting /proc needs root"))
    func `without proc, a command says so`() throws {
        for command in ["status", "verify /tmp", "--help"] {
            let result = try run([
                "unshare", "--mount", "bash", "-c",
                "umount -l /proc && exec \(Repository.program) \(command)",
            ])
            #expect(result.status == 71 && result.error.contains("/proc"), "\(command): \(result)")
        }
    }
}
