import DaemonTestSupport
import Foundation
import TestSupport
import Testing

/// The socket's answers to packets, from the real daemon.
@Suite struct EmitTests {
    @Test func `a packet gets a receipt once, and the same receipt ever after`() throws {
        let daemon = try Daemon()
        let client = try HTTPClient(daemon.socket)
        let packet = Sample.packet(Sample.id, more: ",\"n\":[1,2.50]")
        let first = try client.emit(packet)
        #expect(first.status == 201 && first.headers["content-type"] == "application/json")
        #expect(first.json["position"] as? Int == 0 && first.json["replayed"] as? Bool == false)
        #expect(first.json["stardust_id"] as? String == Sample.id)
        // The same bytes; the same value with white space, other numbers, escapes and order.
        let same = String(decoding: packet, as: UTF8.self)
            .replacingOccurrences(of: "[1,2.50]", with: " [ 1.0 , 25e-1 ] ")
            .replacingOccurrences(of: "\"clips\"", with: "\"\\u0063lips\"")
        for body in [packet, Array(same.utf8), Array("\n \(same)\t ".utf8)] {
            let again = try client.emit(body)
            #expect(again.status == 200 && again.json["replayed"] as? Bool == true)
            for member in ["position", "entry_hash", "payload_sha256", "received_at"] {
                #expect("\(again.json[member]!)" == "\(first.json[member]!)")
            }
        }
        let other = try client.emit(Sample.packet(Sample.id, more: ",\"n\":[1,2.51]"))
        #expect(other.status == 409 && other.problemCode == "stardust_id_conflict")
        #expect(other.json["position"] as? Int == 0)
        daemon.kill()
        try daemon.start()
        #expect(try HTTPClient(daemon.socket).emit(packet).status == 200)
        #expect(try daemon.verify().status == 0)
    }

    @Test func `every refusal says what was wrong and where, and the connection goes on`() throws {
        let daemon = try Daemon(configuration: "{\"packet_bytes_max\": 4096}")
        let client = try HTTPClient(daemon.socket)
        func expect(_ answer: HTTPClient.Answer, _ status: Int, _ code: String) {
            #expect(answer.status == status && answer.problemCode == code, "\(answer.text)")
            #expect(answer.headers["content-type"] == "application/problem+json")
            #expect((answer.json["detail"] as? String)?.isEmpty == false)
            #expect(answer.json["status"] as? Int == status)
        }
        let broken = try client.emit(Array("  {\"a\":tru}".utf8))
        expect(broken, 400, "unexpected_byte")
        #expect(broken.json["offset"] as? Int == 10)
        expect(try client.emit([]), 400, "unexpected_end")
        let invalid = try client.emit(Array("{\"entity_type\":\"nothing\"}".utf8))
        expect(invalid, 422, "unknown_value")
        #expect(
            invalid.json["pointer"] as? String == "/entity_type"
                && invalid.json["offset"] as? Int == 15)
        expect(try client.get("/v1/packets/\(Sample.id)"), 404, "not_found")
        expect(try client.get("/v1/packets/no-uuid"), 400, "bad_id")
        expect(try client.get("/v1/entries/0"), 404, "not_found")
        expect(try client.get("/v1/entries/x"), 400, "bad_position")
        expect(
            try client.get("/v1/entities/clips/\(Sample.id)/packets?limit=0"), 400, "bad_parameter")
        expect(try client.get("/v1/entities/clips/\(Sample.id)/packets?x=1"), 400, "bad_parameter")
        expect(
            try client.get("/v1/entities/clips/\(Sample.id)/packets?as_of=9"), 400, "bad_parameter")
        expect(
            try client.get("/v1/entities/clips/\(Sample.id)/packets?cursor=00"), 400,
            "bad_parameter")
        // These are answered before the body has come, so the daemon closes behind them.
        func fresh() throws -> HTTPClient { try HTTPClient(daemon.socket) }
        expect(try fresh().request("PUT", "/v1/packets", []), 405, "method_not_allowed")
        expect(try fresh().emit([0x7B], type: "text/plain"), 415, "unsupported_media_type")
        expect(try fresh().request("GET", "/nothing"), 404, "not_found")
        let large = try fresh().emit([UInt8](repeating: 0x20, count: 5000))
        expect(large, 413, "packet_too_large")
        #expect(large.json["limit"] as? Int == 4096)
        let many = (0..<70).map { "x-\($0): 1" }
        expect(try fresh().request("GET", "/livez", headers: many), 431, "header_too_large")
        let long = "x: " + String(repeating: "y", count: 17_000)
        expect(try fresh().request("GET", "/livez", headers: [long]), 431, "header_too_large")
        let garbage = try fresh()
        try garbage.send("nonsense\r\n\r\n")
        expect(try garbage.receive(), 400, "malformed_request")
        #expect(try fresh().emit(Sample.packet(Sample.id), type: nil).status == 201)
        #expect(
            try fresh().emit(Sample.packet(Sample.id), type: "application/x-www-form-urlencoded")
                .status
                == 200)
        #expect(try fresh().get("/v1/status").json["ledger_size"] as? Int == 1)
    }

    @Test func `a body too large is answered though the client goes on sending`() throws {
        let daemon = try Daemon()
        let client = try HTTPClient(daemon.socket)
        try client.send(
            "POST /v1/packets HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        let chunk = [UInt8](repeating: 0x20, count: 65_536)
        for _ in 0..<40 {
            try client.send("10000\r\n")
            try client.send(chunk)
            try client.send("\r\n")
        }
        try client.send("0\r\n\r\n")
        #expect(try client.receive().status == 413)
        #expect(client.isClosed())
    }

    @Test func `lines are answered in order, and a bad one harms no other`() throws {
        let daemon = try Daemon()
        let packets = try Repository.examplePackets()
        var body: [UInt8] = []
        var expected: [Int] = []
        for (number, packet) in packets.enumerated() {
            body += packet + [0x0A]
            expected.append(201)
            switch number % 5 {
            case 0:
                body += Array("{\"bad\"\n".utf8)
                expected.append(400)
            case 1: body += Array("  \r\n".utf8)
            case 2:
                body += packet + [0x0A]
                expected.append(200)
            case 3:
                body += Array("{}\n".utf8)
                expected.append(422)
            default: body += [0x0A]
            }
        }
        body.removeLast()
        let answer = try HTTPClient(daemon.socket).emitLines(body)
        #expect(answer.status == 200 && answer.headers["content-type"] == "application/x-ndjson")
        let lines = try answer.lines.map {
            try JSONSerialization.jsonObject(with: Data($0.utf8)) as! [String: Any]
        }
        #expect(lines.map { $0["status"] as? Int } == expected)
        let positions = lines.compactMap { ($0["receipt"] as? [String: Any])?["position"] as? Int }
        #expect(Set(positions) == Set(0..<packets.count))
        // The lines of the body, blank ones counted.
        let numbers = lines.compactMap { ($0["problem"] as? [String: Any])?["line"] as? Int }
        let bodyLines = body.split(separator: 0x0A, omittingEmptySubsequences: false)
        for number in numbers { #expect(bodyLines[number - 1].count <= 7, "line \(number)") }
        #expect(try daemon.verify("--packets").status == 0)
    }

    @Test func `a line that is too long is refused alone, before it is whole`() throws {
        let daemon = try Daemon(configuration: "{\"packet_bytes_max\": 2048}")
        let long = [UInt8](repeating: 0x61, count: 300_000)
        let body = Sample.packet(Sample.id) + [0x0A] + long + [0x0A] + Sample.packet(Sample.id)
        let answer = try HTTPClient(daemon.socket).emitLines(body)
        let statuses = answer.lines.map { $0.prefix(13) }
        #expect(statuses == ["{\"status\":201", "{\"status\":413", "{\"status\":200"])
        #expect(answer.lines[1].contains("\"line\":2"))
    }

    @Test func `a client may send everything before it reads anything`() throws {
        let daemon = try Daemon()
        var body: [UInt8] = []
        for number in 0..<60_000 {
            let digits = String(number, radix: 16)
            let tail = String(repeating: "0", count: 12 - digits.count) + digits
            body += Sample.packet("5b0f6c1e-2a47-4d7e-9a51-\(tail)") + [0x0A]
        }
        let client = try HTTPClient(daemon.socket)
        let answer = try client.emitLines(body)
        let lines = answer.lines
        #expect(lines.count == 60_000)
        #expect(
            lines.enumerated().allSatisfy {
                $1.hasPrefix("{\"status\":201,\"receipt\":{\"position\":\($0),")
            })
        // The same again: all are there already, and kept answers are those first receipts.
        let again = try client.emitLines(body)
        let expected = lines.map {
            $0.replacingOccurrences(of: "\"status\":201", with: "\"status\":200")
                .replacingOccurrences(of: "\"replayed\":false", with: "\"replayed\":true")
        }
        #expect(again.lines == expected)
    }

    @Test func `Expect 100-continue is answered before the body comes`() throws {
        let daemon = try Daemon()
        let client = try HTTPClient(daemon.socket)
        let packet = Sample.packet(Sample.id)
        try client.send(
            "POST /v1/packets HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: \(packet.count)\r\n\r\n"
        )
        #expect(try client.receive(isHead: true).status == 100)
        try client.send(packet)
        #expect(try client.receive().status == 201)
    }

    @Test func `requests may be pipelined`() throws {
        let daemon = try Daemon()
        let client = try HTTPClient(daemon.socket)
        let packet = Sample.packet(Sample.id)
        let request =
            "POST /v1/packets HTTP/1.1\r\nhost: x\r\ncontent-length: \(packet.count)\r\n\r\n"
        try client.send(
            Array(request.utf8) + packet + Array(request.utf8) + packet
                + Array("GET /livez HTTP/1.1\r\nhost: x\r\n\r\n".utf8))
        #expect(try client.receive().status == 201)
        #expect(try client.receive().status == 200)
        #expect(try client.receive().status == 200)
    }

    @Test func `a packet without an id gets one, and defaults stand in the entry`() throws {
        let daemon = try Daemon()
        let client = try HTTPClient(daemon.socket)
        let text = String(decoding: Sample.packet(Sample.id), as: UTF8.self)
            .replacingOccurrences(of: "\"stardust_id\":\"\(Sample.id)\",", with: "")
        let receipt = try client.emit(Array(text.utf8)).json
        let id = receipt["stardust_id"] as! String
        let shown = try client.get("/v1/packets/\(id.uppercased())").json
        #expect(shown["created_at"] as? String == receipt["received_at"] as? String)
        #expect(shown["stardust_id"] as? String == id)
        #expect(try client.get("/v1/packets/\(id)/raw").text == text)
        #expect(try daemon.verify().status == 0)
    }

    @Test func `what was emitted is looked up as it was sent`() throws {
        let daemon = try Daemon()
        let client = try HTTPClient(daemon.socket)
        let packets = try Repository.examplePackets()
        let body = Array(packets.joined(separator: [0x0A]))
        #expect(try client.emitLines(body).lines.count == packets.count)
        var byEntity: [String: [Int]] = [:]
        for (position, packet) in packets.enumerated() {
            let json = try JSONSerialization.jsonObject(with: Data(packet)) as! [String: Any]
            let id = json["stardust_id"] as! String
            byEntity["\(json["entity_type"]!)/\(json["entity_id"]!)", default: []].append(position)
            #expect(try client.get("/v1/packets/\(id)/raw").body == packet)
            let shown = try client.get("/v1/entries/\(position)").json
            #expect(shown["stardust_id"] as? String == id && shown["position"] as? Int == position)
            #expect(try client.get("/v1/entries/\(position)/raw").body.count == 160)
        }
        for (entity, positions) in byEntity {
            let path = "/v1/entities/\(entity)/packets"
            let all = try client.get(path).json
            let found = (all["packets"] as! [[String: Any]]).map { $0["position"] as! Int }
            #expect(found == positions && all["ledger_size"] as? Int == packets.count)
            #expect(all["next"] is NSNull)
            // A page at a time, both ways.
            for order in ["asc", "desc"] {
                var (paged, cursor): ([Int], String?) = ([], "")
                while let text = cursor {
                    let next = text.isEmpty ? "" : "&cursor=\(text)"
                    let page = try client.get("\(path)?limit=1&order=\(order)\(next)").json
                    paged += (page["packets"] as! [[String: Any]]).map { $0["position"] as! Int }
                    cursor = page["next"] as? String
                }
                #expect(paged == (order == "asc" ? positions : positions.reversed()))
            }
        }
        let nobody = try client.get("/v1/entities/clips/\(Sample.id)/packets").json
        #expect((nobody["packets"] as? [Any])?.isEmpty == true)
    }

    @Test func `a cursor shows the ledger as it stood when it was given`() throws {
        let daemon = try Daemon()
        let client = try HTTPClient(daemon.socket)
        let path = "/v1/entities/clips/c11b0000-0000-4000-8000-00000000c11b/packets"
        func emit(_ number: Int) throws {
            #expect(
                try client.emit(Sample.packet("5b0f6c1e-2a47-4d7e-9a51-0c2f3d9b7e0\(number)"))
                    .status
                    == 201)
        }
        for number in 0..<4 { try emit(number) }
        let first = try client.get(path + "?limit=3").json
        for number in 4..<8 { try emit(number) }
        let second = try client.get(path + "?limit=3&cursor=\(first["next"]!)").json
        #expect(second["ledger_size"] as? Int == 4)
        #expect((second["packets"] as? [Any])?.count == 1 && second["next"] is NSNull)
        #expect((try client.get(path + "?as_of=2").json["packets"] as? [Any])?.count == 2)
        #expect((try client.get(path).json["packets"] as? [Any])?.count == 8)
        #expect(
            try client.get(path + "?order=desc&cursor=\(first["next"]!)").problemCode
                == "bad_parameter")
    }

    @Test func `metrics are in Prometheus' text format`() throws {
        let daemon = try Daemon()
        let client = try HTTPClient(daemon.socket)
        _ = try client.emit(Sample.packet(Sample.id))
        let answer = try client.get("/metrics")
        #expect(answer.headers["content-type"]?.hasPrefix("text/plain; version=0.0.4") == true)
        #expect(answer.lines.contains("stardust_packets_appended_total 1"))
        let bytes = Sample.packet(Sample.id).count
        #expect(answer.lines.contains("stardust_payload_bytes_total \(bytes)"))
        for line in answer.lines where !line.hasPrefix("#") {
            #expect(line.wholeMatch(of: /stardust_[a-z_]+(\{.*\})? (\+Inf|[0-9.e-]+)/) != nil)
        }
    }
}
