import DaemonTestSupport
import Foundation
import PipelineWorkload
import Synchronization
import TestSupport
import Testing

/// Settings that are read again while the daemon runs.
struct ReloadTests {
    /// A Python program that is told lines and answers with lines.
    private struct TalkingProcess {
        private let process = Process()
        private let input = Pipe()
        private let output = Pipe()

        init(_ arguments: [String]) throws {
            process.executableURL = URL(fileURLWithPath: "/usr/bin/python3")
            process.arguments = arguments
            (process.standardInput, process.standardOutput) = (input, output)
            try process.run()
        }

        func say(_ line: String) {
            input.fileHandleForWriting.write(Data((line + "\n").utf8))
        }

        /// Empty if none comes.
        func line() -> String {
            let descriptor = output.fileHandleForReading.fileDescriptor
            var (bytes, byte) = ([UInt8](), UInt8(0))
            while true {
                var ready = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
                guard poll(&ready, 1, 60_000) == 1, read(descriptor, &byte, 1) == 1, byte != 0x0A
                else { return String(decoding: bytes, as: UTF8.self) }
                bytes.append(byte)
            }
        }

        /// Its end is not waited for: others may have inherited its pipes.
        func end() { process.terminate() }
    }

    private static func status(_ daemon: Daemon) throws -> [String: Any] {
        try HTTPClient(daemon.socket).get("/v1/status").json
    }

    private static func value(_ status: [String: Any], _ name: String) -> Any? {
        ((status["settings"] as? [String: Any])?[name] as? [String: Any])?["value"]
    }

    private static func reload(of status: [String: Any]) -> [String: Any] {
        status["reload"] as? [String: Any] ?? [:]
    }

    @Test func `a bad file changes nothing, and a good one mends it`() throws {
        let daemon = try Daemon(configuration: #"{"query_ms_max": 1000}"#)
        for bad in [
            #"{"query_ms_max": 2000"#, #"{"query_ms_max": 2000, "packet_byte_max": 4096}"#,
            #"{"query_ms_max": 2000, "segment_bytes": 65536, "packet_bytes_max": 1048576}"#,
        ] {
            try daemon.reload(bad)
            let status = try Self.status(daemon)
            #expect(Self.value(status, "query_ms_max") as? Int == 1000)
            #expect((Self.reload(of: status)["error"] as? String)?.contains("config.json") == true)
            #expect(try daemon.metric("config_reload_ok") == 0)
        }
        #expect(daemon.logs("did you mean packet_bytes_max?"))
        try daemon.reload(#"{"query_ms_max": "2s"}"#)
        let status = try Self.status(daemon)
        #expect(Self.value(status, "query_ms_max") as? String == "2s")
        #expect(Self.reload(of: status)["error"] is NSNull)
        #expect(Self.reload(of: status)["at"] is String)
        #expect(try daemon.metric("config_reload_ok") == 1)
    }

    @Test func `what waits for a restart is named, and stays`() throws {
        let stores = #""stores": [{"url": "file:///srv/a"}]"#
        let daemon = try Daemon(configuration: "{\"archive\": {\(stores)}, \"machine\": \"one\"}")
        try daemon.reload(
            """
            {"archive": {"stores": [{"url": "file:///srv/b"}], "retain_local": {"days": 5}},
             "machine": "two", "socket": "/elsewhere", "query_ms_max": 50}
            """)
        let status = try Self.status(daemon)
        #expect(
            Self.reload(of: status)["waiting_for_restart"] as? [String]
                == ["socket", "archive.stores", "machine"])
        #expect(Self.value(status, "machine") as? String == "one")
        #expect(Self.value(status, "query_ms_max") as? Int == 50)
        let archive = Self.value(status, "archive") as? [String: Any]
        let stays = ((archive?["stores"] as? [[String: Any]])?.first)?["url"] as? String
        #expect(stays == "file:///srv/a")
        #expect((archive?["retain_local"] as? [String: Any])?["days"] as? Int == 5)
        #expect(daemon.logs("some wait for a restart"))
    }

    @Test(.enabled(if: Repository.isRoot, "only root can act as another user"))
    func `roles count from the next request of an open connection`() throws {
        let daemon = try Daemon(configuration: "{}")
        #expect(chmod(daemon.folder.path, 0o711) == 0 && chmod(daemon.socket, 0o666) == 0)
        let script = """
            import os, socket, sys
            os.setgroups([]); os.setgid(64100); os.setuid(64100)
            s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); f = s.makefile('rb')
            print('open', flush=True)
            for path in sys.stdin:
                s.sendall(('GET %s HTTP/1.1\\r\\nhost: a\\r\\n\\r\\n' % path.strip()).encode())
                status = f.readline().split()[1].decode(); length = 0
                while (line := f.readline()) != b'\\r\\n':
                    if line.lower().startswith(b'content-length:'): length = int(line.split(b':')[1])
                f.read(length); print(status, flush=True)
            """
        let client = try TalkingProcess(["-c", script, daemon.socket])
        defer { client.end() }
        func status(of path: String) -> String {
            client.say(path)
            return client.line()
        }
        #expect(client.line() == "open")
        #expect(status(of: "/v1/packets") == "403")
        try daemon.reload(#"{"access": [{"user": 64100, "roles": ["read"]}]}"#)
        #expect(status(of: "/v1/packets") == "200")
        #expect(status(of: "/v1/status") == "403")
        try daemon.reload(#"{"access": [{"user": 64100, "roles": ["admin"]}]}"#)
        #expect(status(of: "/v1/status") == "200")
        try daemon.reload("{}")
        #expect(status(of: "/v1/packets") == "403")
    }

    @Test(.enabled(if: Repository.isRoot, "only root can act as another user"))
    func `what lasts ends once it is no longer granted`() throws {
        let granted = #"{"access": [{"user": 64101, "roles": ["read", "append"]}]}"#
        let daemon = try Daemon(configuration: granted)
        #expect(chmod(daemon.folder.path, 0o711) == 0 && chmod(daemon.socket, 0o666) == 0)
        let script = """
            import json, os, socket, sys
            os.setgroups([]); os.setgid(64101); os.setuid(64101)
            def connect(head):
                s = socket.socket(socket.AF_UNIX); s.settimeout(60); s.connect(sys.argv[1]); s.sendall(head.encode())
                return s, s.makefile('rb')
            def line(f):
                while True:
                    text = f.readline()
                    if not text or text.startswith(b'{'): return text.decode().strip()
            follow, fs = connect('GET /v1/follow HTTP/1.1\\r\\nhost: a\\r\\n\\r\\n')
            print('following' if 'heartbeat' in line(fs) else 'odd', flush=True)
            emit, es = connect('POST /v1/packets HTTP/1.1\\r\\nhost: a\\r\\ncontent-type: application/x-ndjson\\r\\ntransfer-encoding: chunked\\r\\n\\r\\n')
            for text in sys.stdin:
                body = text.strip().encode() + b'\\n'
                emit.sendall(b'%x\\r\\n' % len(body) + body + b'\\r\\n')
                print('emitted', line(es)[:300], flush=True)
                print('followed', line(fs)[:200], flush=True)
            """
        let client = try TalkingProcess(["-c", script, daemon.socket])
        defer { client.end() }
        #expect(client.line() == "following")
        client.say(String(decoding: Sample.numbered(1).bytes, as: UTF8.self))
        #expect(client.line().contains("\"position\":0"))
        #expect(client.line().contains(Sample.numbered(1).id))
        try daemon.reload("{}")
        client.say(String(decoding: Sample.numbered(2).bytes, as: UTF8.self))
        #expect(client.line().contains("urn:stardust:error:forbidden"))
        // The next look for packets ends the stream.
        try daemon.emit(3..<4)
        #expect(client.line().contains("urn:stardust:error:forbidden"))
    }

    @Test func `larger packets find room, although the next segment was made for smaller ones`()
        throws
    {
        let daemon = try Daemon(
            configuration: #"{"segment_bytes": 65536, "packet_bytes_max": 2048}"#)
        func emit(_ number: Int, bytes: Int) throws -> Int {
            let client = try HTTPClient(daemon.socket)
            let (_, packet) = Sample.numbered(number)
            let padded = packet.dropLast() + [UInt8](repeating: 0x20, count: bytes) + [0x7D]
            return try client.emit(Array(padded)).status
        }
        #expect(try emit(1, bytes: 300_000) == 413)
        try daemon.reload(#"{"segment_bytes": "4MiB", "packet_bytes_max": "1MiB"}"#)
        for number in 2..<30 { #expect(try emit(number, bytes: 300_000) == 201) }
        try daemon.reload(#"{"segment_bytes": 65536, "packet_bytes_max": 2048}"#)
        #expect(try emit(31, bytes: 300_000) == 413)
        #expect(try emit(32, bytes: 100) == 201)
        #expect(daemon.stop() == 0)
        #expect(try daemon.verify().status == 0)
    }

    /// What clients saw while settings changed.
    private final class Seen: Sendable {
        let problems = Mutex<[String]>([])
        let answers = Atomic(0)
        let isOver = Atomic(false)
        private let group = DispatchGroup()

        /// Repeats requests until it is over; `body` returns what is wrong.
        func `repeat`(_ body: @escaping @Sendable () throws -> String?) {
            DispatchQueue(label: "client").async(group: group) {
                while !self.isOver.load(ordering: .relaxed) {
                    do {
                        if let problem = try body() {
                            self.problems.withLock { $0.append(problem) }
                        }
                    } catch { self.problems.withLock { $0.append("\(error)") } }
                    self.answers.add(1, ordering: .relaxed)
                }
            }
        }

        func end() {
            isOver.store(true, ordering: .relaxed)
            group.wait()
        }
    }

    private static let kinds = [
        #"{"packet_bytes_max": 2048, "query_ms_max": 1000, "segment_bytes": 65536, "log_level": "warning"}"#,
        #"{"packet_bytes_max": 65536, "query_ms_max": 3000, "segment_bytes": 1048576, "log_level": "error"}"#,
    ]

    @Test func `settings are wholly old or wholly new, and no request is lost`() throws {
        let daemon = try Daemon(configuration: Self.kinds[0])
        let (seen, socket) = (Seen(), daemon.socket)
        let next = Mutex(0)
        for _ in 0..<2 {
            let client = Mutex(try HTTPClient(socket))
            seen.repeat {
                let ordinal = next.withLock {
                    $0 += 1
                    return $0
                }
                let packet = Sample.numbered(ordinal).bytes
                let isLarge = ordinal % 3 == 0
                let more = [UInt8](repeating: 0x20, count: isLarge ? 4096 : 0)
                let status = try client.withLock {
                    try $0.emit(packet.dropLast() + more + [0x7D]).status
                }
                // The large one is refused or taken, as the settings are; then its connection ends.
                if status == 413 { try client.withLock { $0 = try HTTPClient(socket) } }
                return status == 201 || isLarge && status == 413 ? nil : "emitting: \(status)"
            }
        }
        let client = Mutex(try HTTPClient(socket))
        seen.repeat {
            let status = try client.withLock { try $0.get("/v1/status") }.json
            let found = ["packet_bytes_max", "query_ms_max", "segment_bytes"].map {
                Self.value(status, $0) as? Int ?? 0
            }
            return found == [2048, 1000, 65536] || found == [65536, 3000, 1_048_576]
                ? nil : "settings: \(found)"
        }
        var times: [Duration] = []
        try Soak.seeds("reload", 50, soak: 1000) { seed in
            var generator = SeededGenerator(seed: seed)
            let whole = Self.kinds[Int(generator.next() % 2)]
            let text: String
            switch generator.next() % 4 {
            case 0: text = String(whole.prefix(Int(generator.next() % UInt64(whole.count))))
            case 1: text = whole.replacing("query_ms_max", with: "query_ms_maxx")
            default: text = whole
            }
            let start = ContinuousClock.now
            try daemon.reload(text)
            times.append(ContinuousClock.now - start)
            return try daemon.metric("config_reload_ok") == (text == whole ? 1 : 0)
        }
        seen.end()
        #expect(seen.problems.withLock { $0 } == [])
        #expect(seen.answers.load(ordering: .relaxed) > 0)
        if let longest = times.max() {
            print("reload: median \(times.sorted()[times.count / 2]), longest \(longest)")
        }
        #expect(daemon.stop() == 0)
        #expect(try daemon.verify().status == 0)
    }
}
