import DaemonTestSupport
import Foundation
import LedgerFormat
import PipelineWorkload
import TestSupport
import Testing

/// Look-ups that are answered beside the HTTP decoder, among those that are not.
@Suite struct PlainRequestTests {
    /// A header that a plain request does not have.
    static let other = "x-other: 1"

    @Test func `a look-up is answered alike with and without headers that do not matter`() throws {
        let (daemon, client, packets) = try ExamplePipeline.asked()
        defer { _ = daemon }
        let id = packets[7]["stardust_id"] as! String
        let entity = "\(packets[7]["entity_type"]!)/\(packets[7]["entity_id"]!)"
        let trace = ExamplePipeline.lineage(packets[7])["trace_id"] as! String
        let pattern = "{\"trace_id\":\"\(trace)\"}".percentEncoded
        for path in [
            "/livez", "/readyz", "/openapi.yaml", "/v1/packets/\(id)", "/v1/packets/\(id)/raw",
            "/v1/packets/\(id.uppercased())", "/v1/entities/\(entity)/packets",
            "/v1/entities/\(entity)/packets?limit=1&order=desc", "/v1/packets?lineage=\(pattern)",
            "/v1/packets?count=true&limit=3", "/v1/packets/\(id)/parents",
            "/v1/packets/\(id)/children", "/v1/packets/\(id)/chain?format=text",
            "/v1/traces/\(trace)/chain", "/v1/entries/3", "/v1/packets/\(id)/proof", "/checkpoint",
            "/", "/nothing", "/v1/packets/none", "/v1/packets?lineage=%7B", "/v1/packets?x=1",
            "/v1/packets/7d3f0a52-6f0d-4f6e-8c1b-1a2b3c4d5e6f", "/v1/model/changes",
        ] {
            let decoded = try client.request("GET", path, headers: [Self.other])
            let plain = try HTTPClient(daemon.socket)
            for headers in [
                [], ["Accept: */*", "User-Agent: x/1.0"], ["accept-encoding:identity"],
            ] {
                let answer = try plain.request("GET", path, headers: headers)
                #expect(answer.status == decoded.status && answer.body == decoded.body, "\(path)")
                #expect(answer.headers == decoded.headers, "\(path) \(answer.headers)")
            }
        }
    }

    @Test func `what is not quite such a request is refused as before`() throws {
        let daemon = try Daemon()
        for (text, status) in [
            ("GET /livez HTTP/1.1\r\nhost: x\r\naccept : y\r\n\r\n", 400),
            ("GET /livez HTTP/1.1\r\nhost: x\u{1}y\r\n\r\n", 400),
            ("GET /livez HTTP/1.1\r\n folded: x\r\n\r\n", 400),
            ("GET /livez HTTP/2.7\r\nhost: x\r\n\r\n", 400),
            ("GET /l\u{7F} HTTP/1.1\r\nhost: x\r\n\r\n", 400),
            ("GET /livez HTTP/1.1\r\nhost: \(String(repeating: "x", count: 17_000))\r\n\r\n", 431),
            ("GET http://x/livez HTTP/1.1\r\nhost: x\r\n\r\n", 200),
            ("GET /livez HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n", 200),
            ("GET /livez HTTP/1.1\r\nHOST:x\r\n\r\n", 200),
            ("GET /livez HTTP/1.0\r\nhost: x\r\n\r\n", 200),
            ("POST /livez HTTP/1.1\r\nhost: x\r\n\r\n", 405),
        ] {
            let client = try HTTPClient(daemon.socket)
            try client.send(text)
            #expect(try client.receive().status == status, "\(text.prefix(60))")
        }
    }

    @Test func `answers keep the order of requests of all kinds, however they are cut`() throws {
        let (daemon, _, packets) = try ExamplePipeline.asked()
        var generator = SeededGenerator(seed: 11)
        for _ in 0..<20 {
            let client = try HTTPClient(daemon.socket)
            var (bytes, wanted): ([UInt8], [Int?]) = ([], [])
            for _ in 0..<40 {
                let position = Int.random(in: 0..<packets.count, using: &generator)
                let path = "/v1/entries/\(position)"
                switch Int.random(in: 0..<5, using: &generator) {
                case 0:
                    bytes += Array("GET \(path) HTTP/1.1\r\nhost: x\r\n\(Self.other)\r\n\r\n".utf8)
                    wanted.append(position)
                case 1:
                    let body = try JSONSerialization.data(withJSONObject: packets[position])
                    bytes += Sample.request([UInt8](body))
                    wanted.append(nil)
                default:
                    bytes += Array("GET \(path) HTTP/1.1\r\nhost: x\r\n\r\n".utf8)
                    wanted.append(position)
                }
                if Bool.random(using: &generator) {
                    let cut = Int.random(in: 0...bytes.count, using: &generator)
                    try client.send(Array(bytes[..<cut]))
                    bytes.removeFirst(cut)
                    if Bool.random(using: &generator) { usleep(200) }
                }
            }
            try client.send(bytes)
            for position in wanted {
                let answer = try client.receive()
                // A packet that stands already, written in another way, is a conflict or a replay.
                if let position {
                    #expect(answer.status == 200 && answer.json["position"] as? Int == position)
                } else {
                    #expect([200, 409].contains(answer.status))
                }
            }
        }
        #expect(try daemon.verify().status == 0)
    }

    @Test func `a client that asks and then closes its half gets all of the answer`() throws {
        let (daemon, client, _) = try ExamplePipeline.asked()
        defer { _ = client }
        let script = """
            import socket, sys, time
            s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
            s.sendall(b'GET /v1/packets?limit=60 HTTP/1.1\\r\\nhost: x\\r\\n\\r\\n')
            s.shutdown(socket.SHUT_WR); time.sleep(0.2); print(len(s.makefile('rb').read()))
            """
        let wanted = try client.get("/v1/packets?limit=60").body.count
        let result = try run(["python3", "-c", script, daemon.socket])
        #expect(Int(result.output.dropLast())! > wanted, "\(result.output)\(result.error)")
    }

    @Test(arguments: [1, 500])
    func `who asks and does not read does not fill the memory`(atOnce: Int) throws {
        let (daemon, client, _) = try ExamplePipeline.asked()
        // Asks for 80 kB each time for as long as it is read from, and then reads all answers.
        let script = """
            import os, select, socket, sys, time
            s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.setblocking(False)
            request = b'GET /v1/packets?limit=100 HTTP/1.1\\r\\nhost: x\\r\\n\\r\\n'
            wanted, rest, last = 0, b'', time.time()
            while time.time() - last < 2 and wanted < 50_000:
                if not rest:
                    rest, wanted = request * int(sys.argv[2]), wanted + int(sys.argv[2])
                try:
                    rest, last = rest[s.send(rest):], time.time()
                except BlockingIOError:
                    time.sleep(0.01)
            print(wanted, flush=True)
            while not os.path.exists(sys.argv[3]): time.sleep(0.05)
            got, tail = 0, b''
            while got < wanted:
                readable, writable, _ = select.select([s], [s] if rest else [], [], 20)
                if not readable and not writable: break
                if writable: rest = rest[s.send(rest):]
                if not readable: continue
                piece = s.recv(1 << 20)
                if not piece: break
                got += (tail + piece).count(b'HTTP/1.1 200'); tail = piece[-11:]
            print(got)
            """
        let signal = daemon.folder.path + "/read-now"
        let flood = try Background(
            ["-c", script, daemon.socket, String(atOnce), signal], program: "/usr/bin/python3")
        let deadline = Date() + 600
        while flood.output.isEmpty, flood.isRunning, Date() < deadline { usleep(50_000) }
        #expect(try daemon.metric("process_resident_bytes") < 150 << 20)
        #expect(try client.get("/livez").status == 200)
        _ = try daemon.folder.file("read-now", [])
        while flood.isRunning, Date() < deadline { usleep(50_000) }
        let counts = flood.output.split(separator: "\n").compactMap { Int($0) }
        #expect(counts.count == 2 && counts.first == counts.last, "\(counts) \(flood.error)")
        #expect(counts.first ?? 0 > 100)
    }
}
