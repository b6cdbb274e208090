import DaemonTestSupport
import Foundation
import LedgerFormat
import PipelineWorkload
import TestSupport
import Testing

/// Clients and files that mean no good, or are only clumsy.
@Suite struct HostileTests {
    @Test func `a request whose body is still to come is answered behind the one before`() throws {
        let daemon = try Daemon()
        for cut in [60, 100, 200] {
            let client = try HTTPClient(daemon.socket)
            let packets = (0..<2).map {
                Sample.packet("5b0f6c1e-2a47-4d7e-9a51-0c2f3d9b\(cut + $0 + 1000)")
            }
            let second = Sample.request(packets[1])
            try client.send(Sample.request(packets[0]) + second[..<cut])
            #expect(try client.receive().status == 201)
            usleep(50_000)
            try client.send(Array(second[cut...]))
            #expect(try client.receive().status == 201)
        }
        let client = try HTTPClient(daemon.socket)
        try client.send(
            "GET /livez HTTP/1.1\r\nhost: x\r\n\r\nHEAD /livez HTTP/1.1\r\nhost: x\r\n\r\n"
                + "GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        #expect(try client.receive().status == 200)
        #expect(try client.receive(isHead: true).status == 200)
        #expect(try client.receive().json["ready"] != nil)
        #expect(client.isClosed())
    }

    @Test func `connections that are left give everything back`() throws {
        let daemon = try Daemon()
        var generator = SeededGenerator(seed: 6)
        let packet = Sample.packet(Sample.id)
        let stream =
            "POST /v1/packets HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n"
        for _ in 0..<60 {
            let client = try HTTPClient(daemon.socket)
            let lines = packet + [0x0A] + packet
            let chunk =
                Array("\(String(lines.count, radix: 16))\r\n".utf8) + lines + Array("\r\n".utf8)
            let whole =
                Bool.random(using: &generator)
                ? Sample.request(packet) + Sample.request(packet)
                : Array(stream.utf8) + chunk + chunk
            try client.send(Array(whole[..<Int.random(in: 1..<whole.count, using: &generator)]))
        }
        let deadline = Date() + 60
        while Date() < deadline {
            let counts = try [daemon.metric("connections"), daemon.metric("bytes_in_flight")]
            if counts == [1, 0] { return }
            usleep(10_000)
        }
        let counts = try [daemon.metric("connections"), daemon.metric("bytes_in_flight")]
        Issue.record("something is still held: \(counts)")
    }

    @Test func `half a line counts as bytes in flight`() throws {
        let daemon = try Daemon()
        let client = try HTTPClient(daemon.socket)
        try client.send(
            "POST /v1/packets HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-ndjson\r\ncontent-length: 900000\r\n\r\n"
        )
        try client.send([UInt8](repeating: 0x61, count: 500_000))
        let deadline = Date() + 60
        while try daemon.metric("bytes_in_flight") != 500_000, Date() < deadline { usleep(10_000) }
        #expect(try daemon.metric("bytes_in_flight") == 500_000)
    }

    @Test func `one byte at a time costs time linear in the bytes`() throws {
        let daemon = try Daemon()
        let client = try HTTPClient(daemon.socket)
        try client.send(
            "POST /v1/packets HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n80000\r\n"
        )
        try client.send([UInt8](repeating: 0x61, count: 0x80000))
        try client.send("\r\n" + String(repeating: "1\r\na\r\n", count: 20_000) + "0\r\n\r\n")
        #expect(try client.receive().lines.count == 1)
        #expect(try daemon.processorTime() < .seconds(2))
    }

    @Test func `a client that has sent everything may close its half`() throws {
        let daemon = try Daemon()
        let packet = Sample.packet(Sample.id)
        let file = try daemon.folder.file("packet", packet + [0x0A])
        let script = """
            import socket, sys
            s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); body = open(sys.argv[2], 'rb').read()
            s.sendall(b'POST /v1/packets HTTP/1.1\\r\\nhost: x\\r\\ncontent-type: ' + sys.argv[3].encode() + b'\\r\\ncontent-length: %d\\r\\n\\r\\n' % len(body) + body)
            s.shutdown(socket.SHUT_WR); print(s.makefile('rb').read().decode())
            """
        for type in ["application/json", "application/x-ndjson"] {
            let result = try run(["python3", "-c", script, daemon.socket, file, type])
            #expect(result.output.contains("\"position\":0"), "\(result.output)\(result.error)")
        }
    }

    @Test func `a million lines that nobody takes the answers of end the connection`() throws {
        let daemon = try Daemon()
        let client = try HTTPClient(daemon.socket)
        try client.send(
            "POST /v1/packets HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        let chunk =
            Array("186a0\r\n".utf8) + Array(String(repeating: "x\n", count: 50_000).utf8)
            + Array("\r\n".utf8)
        #expect(throws: Failure.self) {
            for _ in 0..<100 { try client.send(chunk) }
        }
        #expect(try daemon.metric("process_resident_bytes") < 200 << 20)
    }

    @Test func `a forged cursor is refused`() throws {
        let daemon = try Daemon()
        let client = try HTTPClient(daemon.socket)
        #expect(try client.emit(Sample.packet(Sample.id)).status == 201)
        let entity = "clips/c11b0000-0000-4000-8000-00000000c11b"
        for order in ["desc", "asc"] {
            for next in [UInt64.max, 1 << 63, 1] {
                var bytes = [UInt8](repeating: 0, count: 20)
                var span = bytes.mutableSpan
                span.store(UInt64(1), at: 0)
                span.store(next, at: 8)
                let query = Array("\(order) entity \(entity.replacing("/", with: " "))".utf8)
                span.store(CRC32C().continued(over: query.span).value, at: 16)
                let cursor = String(hexadecimal: bytes)
                let answer = try client.get(
                    "/v1/entities/\(entity)/packets?order=\(order)&cursor=\(cursor)")
                #expect(answer.status == 400, "\(next) \(answer.text)")
            }
        }
    }

    /// Whoever can write a run can also make its checksum. Without the flag, look-ups by hash and
    /// entity would pass over packets.
    @Test(
        arguments: [
            (offset: 12, was: 2, forged: 0), (offset: 144, was: 0, forged: 1),
            (offset: 160, was: nil, forged: 1),
        ] as [(offset: Int, was: UInt64?, forged: UInt64)])
    func `what a run says of all its packets is held against them`(
        field: (offset: Int, was: UInt64?, forged: UInt64)
    ) throws {
        let daemon = try Daemon()
        let client = try HTTPClient(daemon.socket)
        #expect(try client.emit(Sample.packet(Sample.id)).status == 201)
        let parent =
            "{\"entity_type\":\"clips\",\"entity_id\":\"c11b0000-0000-4000-8000-00000000c11b\"}"
        let child = String(
            decoding: Sample.packet("5b0f6c1e-2a47-4d7e-9a51-0c2f3d9b7e11"), as: UTF8.self
        ).replacing("\"_meta_parents\":[]", with: "\"_meta_parents\":[\(parent)]")
        #expect(try client.emit(Array(child.utf8)).status == 201)
        #expect(daemon.stop() == 0)
        #expect(try daemon.verify("--index").status == 0)
        let folder = daemon.ledger + "/index"
        let runs = try FileManager.default.contentsOfDirectory(atPath: folder)
        let run = folder + "/" + (try #require(runs.first))
        var bytes = Array(try Data(contentsOf: URL(fileURLWithPath: run)))
        let isFlags = field.offset == 12
        let found =
            isFlags
            ? UInt64(bytes.span.littleEndian(UInt32.self, at: 12))
            : bytes.span.littleEndian(UInt64.self, at: field.offset)
        #expect(field.was == nil || found == field.was)
        var span = bytes.mutableSpan
        if isFlags {
            span.store(UInt32(field.forged), at: 12)
        } else {
            span.store(field.forged, at: field.offset)
        }
        let checksum = CRC32C().continued(over: span.span.extracting(0..<176))
        span.store(checksum.value, at: 176)
        try Data(bytes).write(to: URL(fileURLWithPath: run))
        let result = try daemon.verify("--index")
        #expect(result.status == 1, "\(result.output)")
    }

    @Test func `a block of the index that is damaged while it is read is made again`() throws {
        let daemon = try Daemon()
        #expect(try HTTPClient(daemon.socket).emit(Sample.packet(Sample.id)).status == 201)
        #expect(daemon.stop() == 0)
        let folder = daemon.ledger + "/index"
        let runs = try FileManager.default.contentsOfDirectory(atPath: folder)
        let run = folder + "/" + (try #require(runs.first))
        var bytes = Array(try Data(contentsOf: URL(fileURLWithPath: run)))
        // Within the first block of pairs, which opening does not read: behind header and filter.
        let filterBytes = Int(bytes.span.littleEndian(UInt64.self, at: 168)) * 32
        bytes[1024 + (filterBytes + 1023) / 1024 * 1024 + 76] ^= 0x40
        try Data(bytes).write(to: URL(fileURLWithPath: run))
        #expect(try daemon.verify("--index").status == 1)
        try daemon.start()
        let path = "/v1/entities/clips/c11b0000-0000-4000-8000-00000000c11b/packets"
        let client = try HTTPClient(daemon.socket)
        let deadline = ContinuousClock.now + .seconds(10)
        while try client.get(path).status == 503, ContinuousClock.now < deadline { usleep(10_000) }
        #expect(try client.get(path).text.contains(Sample.id))
        #expect(daemon.stop() == 0)
        #expect(try daemon.verify("--index").status == 0)
    }

    @Test func `what is no file in a file's place is a finding, and holds nobody up`() throws {
        let daemon = try Daemon()
        #expect(daemon.stop() == 0)
        let path = daemon.ledger + "/segments/00000000000000000009.seg"
        for make in [["mkfifo", path], ["mkdir", path]] {
            #expect(try run(make).status == 0)
            let result = try daemon.verify()
            #expect(
                result.status == 1 && result.output.contains("segment_header_damaged"),
                "\(result.output)")
            #expect(try run(["rm", "-r", path]).status == 0)
        }
        #expect(try run(["mkfifo", daemon.ledger + "/pipe"]).status == 0)
        #expect(try run(["mv", daemon.ledger + "/pipe", daemon.ledger + "/closed"]).status == 0)
        #expect(try daemon.verify().status == 74)
        #expect(try daemon.secondOpinion().status == 74)
    }

    @Test func `what is missing or no file has the same exit code of both verifiers`() throws {
        let daemon = try Daemon()
        #expect(try HTTPClient(daemon.socket).emit(Sample.packet(Sample.id)).status == 201)
        _ = try daemon.checkpoint(covering: 1)
        #expect(daemon.stop() == 0)
        let kept = daemon.folder.path + "/kept"
        try FileManager.default.copyItem(atPath: daemon.ledger, toPath: kept)
        let segment = "segments/00000000000000000000.seg"
        for (file, statuses) in [
            ("identity", [66, 74, 74]), ("closed", [0, 74, 74]), ("checkpoint", [0, 74, 74]),
            ("checkpoints", [1, 74, 74]), ("segments", [1, 1, 74]), (segment, [1, 1, 1]),
            ("tree", [0, 0, 0]), ("ids", [0, 0, 0]),
        ] {
            let path = daemon.ledger + "/" + file
            let name = String(path.split(separator: "/").last!)
            let changes = [["true"], ["mkdir", path], ["ln", "-s", name, path]]
            for (change, status) in zip(changes, statuses) {
                try FileManager.default.removeItem(atPath: daemon.ledger)
                try FileManager.default.copyItem(atPath: kept, toPath: daemon.ledger)
                #expect(try run(["rm", "-r", path]).status == 0)
                #expect(try run(change).status == 0)
                let (own, other) = (try daemon.verify(), try daemon.secondOpinion())
                #expect(own.status == status, "\(file) \(change): \(own)")
                #expect(other.status == status, "\(file) \(change): \(other)")
            }
        }
    }

    @Test func `a live socket is not taken from another daemon`() throws {
        let daemon = try Daemon()
        let other = try Daemon(starts: false)
        let result = try run([Repository.program, "serve", other.ledger, "--socket", daemon.socket])
        #expect(result.status == 73 && result.error.contains("another daemon"), "\(result.error)")
        #expect(try HTTPClient(daemon.socket).get("/livez").status == 200)
    }

    @Test func `emit passes a huge line on, and ends when its daemon does`() throws {
        let daemon = try Daemon()
        let long = [UInt8](repeating: 0x61, count: 20_000_000)
        let input = long + [0x0A] + Sample.packet(Sample.id)
        let result = try run([Repository.program, "emit", "--socket", daemon.socket], input: input)
        #expect(result.status == 65 && result.output.contains("\"position\":0"), "\(result.error)")
        let folder = try run([
            Repository.program, "emit", "--socket", daemon.socket, daemon.folder.path,
        ])
        #expect(folder.status == 66)
        // Standard input that stays open while the daemon is killed.
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Repository.program)
        process.arguments = ["emit", "--socket", daemon.socket]
        process.standardInput = Pipe()
        process.standardError = FileHandle.nullDevice
        try process.run()
        usleep(300_000)
        daemon.kill()
        let deadline = Date() + 120
        while process.isRunning, Date() < deadline { usleep(20_000) }
        #expect(!process.isRunning)
        if process.isRunning {
            kill(process.processIdentifier, SIGKILL)
        } else {
            #expect(process.terminationStatus == 69)
        }
    }

    @Test func `a look-up that waits for the index holds up nobody else`() throws {
        let daemon = try Daemon(starts: false)
        #expect(try run(["touch", daemon.ledger + "/index"]).status == 0)
        try daemon.start()
        let path = "/v1/entities/clips/c11b0000-0000-4000-8000-00000000c11b/packets"
        var waiting: [HTTPClient] = []
        for _ in 0..<6 {
            let client = try HTTPClient(daemon.socket)
            try client.send("GET \(path) HTTP/1.1\r\nhost: x\r\n\r\n")
            waiting.append(client)
        }
        let client = try HTTPClient(daemon.socket)
        #expect(try client.get("/livez").status == 200)
        #expect([200, 201].contains(try client.emit(Sample.packet(Sample.id)).status))
        #expect(try client.get("/v1/packets/\(Sample.id)").status == 200)
        withExtendedLifetime(waiting) {}
        #expect(daemon.stop() == 0)
    }

    @Test func `HTTP/1.0 and a target with a host are understood`() throws {
        let daemon = try Daemon()
        #expect(try HTTPClient(daemon.socket).get("http://stardust/livez").status == 200)
        let client = try HTTPClient(daemon.socket)
        let body = Sample.packet(Sample.id)
        try client.send(
            "POST /v1/packets HTTP/1.0\r\ncontent-type: application/x-ndjson\r\ncontent-length: \(body.count)\r\n\r\n"
        )
        try client.send(body)
        let answer = try client.receive()
        #expect(answer.status == 200 && answer.headers["transfer-encoding"] == nil)
    }
}
