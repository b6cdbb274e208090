import DaemonTestSupport
import Foundation
import TestSupport
import Testing

/// Standing queries on the real program.
@Suite struct FollowTests {
    /// Reads lines of a chunked answer as they come.
    final class Reader {
        let client: HTTPClient
        private var rest: [UInt8] = []

        init(_ daemon: Daemon, _ query: String) throws {
            client = try HTTPClient(daemon.socket)
            try client.send("GET /v1/follow?\(query) HTTP/1.1\r\nhost: x\r\n\r\n")
            let head = try client.receiveHead()
            guard head.status == 200 else { throw Failure("follow: \(head.status)") }
        }

        /// The next line; nil at the end.
        func line() throws -> [String: Any]? {
            while true {
                if let end = rest.firstIndex(of: 0x0A) {
                    let line = Data(rest[..<end])
                    rest.removeSubrange(...end)
                    return try JSONSerialization.jsonObject(with: line) as? [String: Any]
                }
                guard let chunk = try client.receiveChunk() else { return nil }
                rest += chunk
            }
        }

        /// The next packet's position.
        func position() throws -> Int? {
            while let line = try line() {
                if let position = line["position"] as? Int { return position }
            }
            return nil
        }
    }

    @Test func `a follower that leaves at once gives its place back`() throws {
        let daemon = try Daemon()
        for number in 0..<60 {
            let client = try HTTPClient(daemon.socket)
            let after = number.isMultiple(of: 2) ? "" : "?after=-1"
            try client.send("GET /v1/follow\(after) HTTP/1.1\r\nhost: x\r\n\r\n")
            if number.isMultiple(of: 3) { client.finishSending() }
        }
        func held(_ resource: String) throws -> Int {
            let name = "stardust_budget_used{resource=\"\(resource)\"} "
            let lines = try HTTPClient(daemon.socket).get("/metrics").lines
            return lines.first { $0.hasPrefix(name) }.flatMap { Int($0.dropFirst(name.count)) }
                ?? -1
        }
        // The connection of one question may still be closing when the next one is asked.
        let deadline = Date() + 60
        var last = try (held("followers"), held("connections"))
        while last != (0, 1), Date() < deadline {
            usleep(20_000)
            last = try (held("followers"), held("connections"))
        }
        #expect(last == (0, 1))
    }

    @Test func `packets come in order, without loss or repetition, also after resuming`() throws {
        let daemon = try Daemon()
        let load = Load()
        load.start(daemon.socket, connections: 4)
        defer { load.stop() }
        var next = 0
        for _ in 0..<6 {
            let reader = try Reader(daemon, "after=\(next - 1)")
            for _ in 0..<150 {
                #expect(try reader.position() == next)
                next += 1
            }
        }
    }

    @Test func `filters hold, and the stream says where it begins`() throws {
        let daemon = try Daemon()
        let client = try HTTPClient(daemon.socket)
        _ = try client.emit(Sample.packet(Sample.id))
        let reader = try Reader(daemon, "entity_type=posts")
        #expect(try reader.line()?["heartbeat"] as? Int == 0)
        for packet in try Repository.examplePackets().prefix(20) {
            #expect(try client.emit(packet).status == 201)
        }
        let line = try #require(try reader.line())
        #expect(line["entity_type"] as? String == "posts" && line["position"] as? Int == 2)
    }

    @Test func `a packet of several lines is one line here`() throws {
        let daemon = try Daemon()
        let reader = try Reader(daemon, "after=-1")
        let packet = String(decoding: Sample.packet(Sample.id), as: UTF8.self)
            .replacingOccurrences(of: ",\"", with: ",\r\n  \"")
        #expect(try HTTPClient(daemon.socket).emit(Array(packet.utf8)).status == 201)
        #expect(try reader.line()?["stardust_id"] as? String == Sample.id)
    }

    @Test func `a reader that takes nothing is cut off, and costs no memory`() throws {
        let daemon = try Daemon()
        let client = try HTTPClient(daemon.socket)
        let long = Sample.packet(UUID().uuidString.lowercased())
        let filler = "\"why\":\"\(String(repeating: "x", count: 60_000))\",\"_meta_parents\""
        let template = String(decoding: long, as: UTF8.self)
            .replacingOccurrences(of: "\"_meta_parents\"", with: filler)
        let slow = try Reader(daemon, "after=-1")
        for _ in 0..<600 {
            let packet = template.replacing(
                /"stardust_id":"[^"]*"/,
                with: "\"stardust_id\":\"\(UUID().uuidString.lowercased())\"")
            #expect(try client.emit(Array(packet.utf8)).status == 201)
        }
        let deadline = ContinuousClock.now + .seconds(25)
        while try daemon.metric("connections_cut_total") == 0,
            ContinuousClock.now < deadline
        {
            usleep(200_000)
        }
        #expect(try daemon.metric("connections_cut_total") == 1)
        #expect(try daemon.metric("process_resident_bytes") < 250 << 20)
        withExtendedLifetime(slow) {}
    }

    @Test func `wrong parameters are refused, and a stopping daemon ends the stream`() throws {
        let daemon = try Daemon()
        let client = try HTTPClient(daemon.socket)
        for (query, name) in [
            ("after=0", "after"), ("after=x", "after"), ("limit=3", "limit"),
            ("lineage=%7B", "lineage"),
        ] {
            let answer = try client.get("/v1/follow?\(query)")
            #expect(answer.status == 400 && answer.text.contains(name), "\(answer.text)")
        }
        #expect(try client.request("HEAD", "/v1/follow").status == 200)
        #expect(try client.request("POST", "/v1/follow").status == 405)
        let reader = try Reader(daemon, "after=-1")
        #expect(daemon.stop() == 0)
        #expect(try reader.line() == nil)
    }
}
