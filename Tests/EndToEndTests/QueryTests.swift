import DaemonTestSupport
import Foundation
import LedgerFormat
import PipelineWorkload
import TestSupport
import Testing

/// Lists of packets on the real program.
@Suite struct QueryTests {
    @Test func `a type that no packet can have, and a time that is too fine, are refused`() throws {
        let daemon = try ExamplePipeline.daemon()
        let client = try HTTPClient(daemon.socket)
        for (path, words) in [
            ("/v1/entities/clip/\(ExamplePipeline.clip)/chain", "did you mean clips?"),
            ("/v1/entities/clip/\(ExamplePipeline.clip)/packets", "did you mean clips?"),
            ("/v1/packets?entity_type=nonsense", "known are creators"),
            ("/v1/packets?created_from=2026-01-01T00:00:00.0000006Z", "at most six digits"),
        ] {
            let answer = try client.get(path)
            #expect(answer.status == 400 && answer.problemCode == "bad_parameter", "\(path)")
            #expect(answer.text.contains(words), "\(answer.text)")
        }
        for path in [
            "/v1/packets?entity_type=x_mine",
            "/v1/packets?created_from=2026-01-01T00:00:00.000001Z&limit=1",
        ] {
            #expect(try client.get(path).status == 200, "\(path)")
        }
    }

    @Test func `every filter, alone and with others, finds what a plain search finds`() throws {
        let (daemon, client, packets) = try ExamplePipeline.asked()
        defer { _ = daemon }
        var generator = SeededGenerator(seed: 3)
        for _ in 0..<300 {
            let sample = packets.randomElement(using: &generator)!
            var query: [String] = []
            var tests: [([String: Any]) -> Bool] = []
            func use(_ share: Double) -> Bool {
                Double.random(in: 0..<1, using: &generator) < share
            }
            if use(0.4) {
                let type = sample["entity_type"] as! String
                query.append("entity_type=\(type)")
                tests.append { $0["entity_type"] as! String == type }
            }
            if use(0.2) {
                let id = sample["entity_id"] as! String
                query.append("entity_id=\(id.uppercased())")
                tests.append { $0["entity_id"] as! String == id }
            }
            if use(0.4) {
                let trace = ExamplePipeline.lineage(sample)["trace_id"] as! String
                query.append("trace_id=\(trace)")
                tests.append { ExamplePipeline.lineage($0)["trace_id"] as! String == trace }
            }
            if use(0.4) {
                let event = ExamplePipeline.lineage(sample)["event"] as! String
                query.append("lineage=\("{\"event\":\"\(event)\"}".percentEncoded)")
                tests.append { ExamplePipeline.lineage($0)["event"] as! String == event }
            }
            if use(0.3) {
                let time = sample["created_at"] as! String
                query.append("created_from=\(time.percentEncoded)")
                tests.append { ($0["created_at"] as! String) >= time }
            }
            if use(0.3) {
                let time = packets.randomElement(using: &generator)!["created_at"] as! String
                query.append("created_before=\(time.percentEncoded)")
                tests.append { ($0["created_at"] as! String) < time }
            }
            let asOf =
                use(0.3) ? Int.random(in: 0...packets.count, using: &generator) : packets.count
            if asOf < packets.count { query.append("as_of=\(asOf)") }
            let isDescending = use(0.5)
            if isDescending { query.append("order=desc") }
            var expected = packets.prefix(asOf).filter { packet in tests.allSatisfy { $0(packet) } }
                .map { $0["stardust_id"] as! String }
            if isDescending { expected.reverse() }
            let path = "/v1/packets?" + query.joined(separator: "&")
            let limit = Int.random(in: 1...70, using: &generator)
            #expect(try client.allIDs(path, limit: limit) == expected, "\(path)")
            let counted = try client.get(path + "&count=true&limit=1").json
            #expect(counted["total"] as? Int == expected.count, "\(path)")
            #expect(counted["total_exact"] as? Bool == true)
        }
    }

    @Test func `times of receipt bound a list`() throws {
        let (daemon, client, packets) = try ExamplePipeline.asked()
        defer { _ = daemon }
        usleep(2000)
        let between = "\(Timestamp.systemNow())".percentEncoded
        usleep(2000)
        #expect(try client.emit(Sample.packet(Sample.id)).status == 201)
        #expect(try client.allIDs("/v1/packets?received_from=\(between)") == [Sample.id])
        #expect(try client.allIDs("/v1/packets?received_before=\(between)").count == packets.count)
    }

    @Test func `pages fit together while packets arrive`() throws {
        let (daemon, client, packets) = try ExamplePipeline.asked()
        defer { _ = daemon }
        for order in ["asc", "desc"] {
            var (ids, cursor): ([String], String?) = ([], nil)
            let before = try client.get("/v1/packets?limit=1").json["ledger_size"] as! Int
            repeat {
                let answer = try client.get(
                    "/v1/packets?order=\(order)&limit=7" + (cursor.map { "&cursor=\($0)" } ?? ""))
                #expect(answer.json["ledger_size"] as? Int == before)
                ids += (answer.json["packets"] as! [[String: Any]]).map {
                    $0["stardust_id"] as! String
                }
                cursor = answer.json["next"] as? String
                let new = UUID().uuidString.lowercased()
                #expect(try client.emit(Sample.packet(new)).status == 201)
            } while cursor != nil
            #expect(ids.count == before && Set(ids).count == before)
            if order == "asc" {
                #expect(ids.prefix(60) == packets.map { $0["stardust_id"] as! String }.prefix(60))
            }
        }
    }

    @Test func `an answer has every receipt that was given before it was asked for`() throws {
        let daemon = try Daemon()
        let (writer, reader) = (try HTTPClient(daemon.socket), try HTTPClient(daemon.socket))
        let path =
            "/v1/entities/clips/c11b0000-0000-4000-8000-00000000c11b/packets?order=desc&limit=1"
        for number in 0..<300 {
            let id = UUID().uuidString.lowercased()
            #expect(try writer.emit(Sample.packet(id)).status == 201)
            let answer = try reader.get(path).json
            let newest = (answer["packets"] as? [[String: Any]])?.first
            #expect(newest?["stardust_id"] as? String == id)
            #expect(answer["ledger_size"] as? Int == number + 1)
        }
    }

    @Test func `as_of answers as it was then, on every read`() throws {
        let (daemon, client, packets) = try ExamplePipeline.asked()
        defer { _ = daemon }
        let id = packets[10]["stardust_id"] as! String
        for path in [
            "/v1/packets/\(id)", "/v1/packets/\(id)/raw", "/v1/entries/10",
            "/v1/packets/\(id)/chain",
            "/v1/packets/\(id)/parents", "/v1/packets/\(id)/children",
        ] {
            #expect(try client.get(path + "?as_of=11").status == 200, "\(path)")
            #expect(try client.get(path + "?as_of=10").status == 404, "\(path)")
            #expect(try client.get(path + "?as_of=61").status == 400, "\(path)")
        }
    }

    @Test(arguments: [
        ("lineage=%7B", "lineage"), ("lineage=%7B%22a%22:1,%22a%22:2%7D", "lineage"),
        ("lineage=\(String(repeating: "%5B", count: 65))", "lineage"), ("lineage=nul", "lineage"),
        ("decision_chain=%FF", "decision_chain"), ("limit=0", "limit"), ("limit=1001", "limit"),
        ("order=up", "order"), ("as_of=99", "as_of"), ("as_of=-1", "as_of"), ("count=yes", "count"),
        ("colour=red", "colour"), ("limit=1&limit=2", "limit"), ("cursor=00", "cursor"),
        ("entity_id=7", "entity_id"), ("trace_id=7", "trace_id"),
        ("created_from=today", "created_from"),
        ("received_before=2026-02-30T00:00:00Z", "received_before"), ("after=3", "after"),
    ])
    func `a wrong parameter is a 400 that names it`(query: String, name: String) throws {
        let daemon = try Daemon()
        let answer = try HTTPClient(daemon.socket).get("/v1/packets?" + query)
        #expect(
            answer.status == 400 && answer.text.contains("\"detail\":\"\(name): "), "\(answer.text)"
        )
    }

    @Test func `a cursor belongs to its question`() throws {
        let (daemon, client, _) = try ExamplePipeline.asked()
        defer { _ = daemon }
        let cursor = try client.get("/v1/packets?limit=3").json["next"] as! String
        for other in ["order=desc&", "entity_type=clips&", "lineage=%7B%7D&"] {
            let answer = try client.get("/v1/packets?\(other)cursor=\(cursor)")
            #expect(answer.status == 400 && answer.text.contains("another query"))
        }
        #expect(try client.get("/v1/packets?limit=9&cursor=\(cursor)").status == 200)
    }

    @Test func `what no index helps is scanned within the time limit, page by page`() throws {
        let daemon = try Daemon(configuration: "{\"query_ms_max\": 10}")
        let client = try HTTPClient(daemon.socket)
        var body = Data()
        for number in 0..<40_000 {
            body += Data((Story.packet(number) + "\n").utf8)
        }
        #expect(try client.emitLines(Array(body)).lines.count == 40_000)
        // No packet has facets, and an empty object has no term.
        var (path, pages) = ("/v1/packets?lineage=%7B%22facets%22:%7B%7D%7D", 0)
        while true {
            let answer = try client.get(path)
            #expect(answer.status == 200 && (answer.json["packets"] as? [Any])?.isEmpty == true)
            pages += 1
            guard let cursor = answer.json["next"] as? String, pages < 1000 else { break }
            #expect(answer.json["cut"] as? Bool == true)
            path = "/v1/packets?lineage=%7B%22facets%22:%7B%7D%7D&cursor=\(cursor)"
        }
        #expect(pages > 1 && pages < 1000, "\(pages) pages")
        let counted = try client.get("/v1/packets?lineage=%7B%22facets%22:%7B%7D%7D&count=true")
            .json
        #expect(counted["total_exact"] as? Bool == false)
        // Without a filter everything is a page away.
        #expect(try client.allIDs("/v1/packets?lineage=%7B%7D", limit: 1000).count == 40_000)
    }

    @Test func `a pattern that is costly to compare holds up nobody, and is told`() throws {
        // What a comparison may cost is bounded by work, which comes before this time on any machine.
        let daemon = try Daemon(configuration: "{\"query_ms_max\": 600000}")
        let client = try HTTPClient(daemon.socket)
        let pairs = String(repeating: "[1],[2],", count: 6_000)
        let packet = Story.packet(1).replacingOccurrences(
            of: "\"_meta_parents\"", with: "\"x\":[\(pairs)[1,2]],\"_meta_parents\"")
        #expect(try client.emit(Array(packet.utf8)).status == 201)
        #expect(try client.emit(Array(Story.packet(2).utf8)).status == 201)
        let pattern = "[" + (0..<2_500).map { _ in "[2,1]" }.joined(separator: ",") + "]"
        let slow = try HTTPClient(daemon.socket)
        var answer: HTTPClient.Answer
        repeat {
            try slow.send(
                "GET /v1/packets?lineage=%7B%22x%22:\(pattern)%7D HTTP/1.1\r\nhost: x\r\n\r\n")
            #expect(try client.get("/livez").status == 200)
            answer = try slow.receive()
            // On a busy machine the thread may get no processor in time, or not enough for the page.
        } while answer.problemCode == "time_is_over" || answer.json["cut"] as? Bool == true
        #expect(
            answer.json["not_compared"] as? [Int] == [0],
            "\(answer.status) \(answer.text.prefix(300))")
    }

    @Test func `children that only look like it are passed over`() throws {
        let story = try Story()
        let entity =
            "\"entity_type\":\"clips\",\"entity_id\":\"bbbbbbbb-0000-4000-8000-000000000000\""
        try story.emit(Story.packet(1))
        try story.emit(Story.packet(2))
        try story.emit(Story.packet(3, parents: ["{\(entity)}"], entity: 9))
        for number in 10..<90 {
            let other = "{\"stardust_id\":\"\(Story.id(1))\",\(entity)}"
            let parent = number % 4 == 3 ? Story.parent(2) : other
            try story.emit(Story.packet(number, parents: [parent], entity: 9))
        }
        for order in ["asc", "desc"] {
            let path = "/v1/packets/\(Story.id(2))/children?order=\(order)"
            for limit in [1, 5, 1000] {
                #expect(try story.client.allIDs(path, limit: limit).count == 21, "\(limit)")
            }
        }
        let chain = try story.chain(2, "direction=downstream&max_packets=5")
        #expect(chain.positions.count == 5 && chain.reasons.contains("max_packets"))
    }

    @Test func `unknown ids are told in under a millisecond`() throws {
        let (daemon, client, _) = try ExamplePipeline.asked()
        defer { _ = daemon }
        var (missing, plain): ([Duration], [Duration]) = ([], [])
        for _ in 0..<200 {
            let start = ContinuousClock.now
            #expect(try client.get("/v1/packets/\(UUID().uuidString)").status == 404)
            let middle = ContinuousClock.now
            #expect(try client.get("/livez").status == 200)
            missing.append(middle - start)
            plain.append(.now - middle)
        }
        let (one, other) = (missing.sorted()[100], plain.sorted()[100])
        #expect(one < other * 10, "\(one), and \(other) for a request that looks up nothing")
    }

    @Test func `a rebuilt index answers the same, and reindexing does it on purpose`() throws {
        let (daemon, client, packets) = try ExamplePipeline.asked()
        let paths = packets.prefix(20).flatMap { packet -> [String] in
            let id = packet["stardust_id"] as! String
            return [
                "/v1/entities/\(packet["entity_type"]!)/\(packet["entity_id"]!)/packets",
                "/v1/packets/\(id)/chain", "/v1/packets/\(id)/children",
                "/v1/packets?lineage=\("{\"trace_id\":\"\(ExamplePipeline.lineage(packet)["trace_id"]!)\"}".percentEncoded)",
            ]
        }
        let before = try paths.map { try client.get($0).text }
        let locked = try run([Repository.program, "reindex", daemon.ledger])
        #expect(locked.status == 75, "\(locked.error)")
        #expect(daemon.stop() == 0)
        let result = try run([Repository.program, "reindex", daemon.ledger])
        #expect(
            result.status == 0 && result.output.hasPrefix("indexed 60 packets in "),
            "\(result.error)")
        #expect(try daemon.verify("--index").status == 0)
        #expect(
            try run([Repository.program, "reindex", daemon.folder.path + "/none"]).status == 66)
        try daemon.start()
        let again = try HTTPClient(daemon.socket)
        for (path, text) in zip(paths, before) {
            #expect(try again.get(path).text == text, "\(path)")
        }
    }
}
