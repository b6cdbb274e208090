import DaemonTestSupport
import Foundation
import TestSupport
import Testing

/// The cases of decision-chain reconstruction, on the real program.
@Suite struct ChainTests {
    @Test func `diamond`() throws {
        let story = try Story()
        var number = 0
        var last: [Int] = []
        for _ in 0..<10 {
            let layer = (0..<4).map { number + $0 }
            for packet in layer {
                try story.emit(Story.packet(packet, parents: last.map { Story.parent($0) }))
            }
            (last, number) = (layer, number + 4)
        }
        try story.emit(Story.packet(40, parents: last.map { Story.parent($0) }))
        let document = try story.chain(40)
        #expect(document.positions == Array(0...40) && document.isComplete)
        #expect(document.list("edges").count == 9 * 16 + 4)
        #expect(document.list("packets").first?["depth"] as? Int == 10)
    }

    @Test func `depth 100,000, and a parent with 100,000 children`() throws {
        // Processor time is judged below; on a busy machine it takes longer than queries may.
        let story = try Story(configuration: "{\"query_ms_max\": 60000}")
        var body = Data()
        for number in 0..<100_000 {
            let parents = number == 0 ? [] : [Story.parent(number - 1)]
            body += Data((Story.packet(number, parents: parents) + "\n").utf8)
        }
        for number in 100_000..<200_000 {
            body += Data((Story.packet(number, parents: [Story.parent(7)]) + "\n").utf8)
        }
        #expect(try story.client.emitLines(Array(body)).lines.count == 200_000)
        let short = try story.chain(99_999)
        #expect(short.positions.count == 65 && short.reasons == ["max_depth"])
        #expect(short.list("frontier").map { $0["position"] as! Int } == [99_934])
        let start = try story.daemon.processorTime()
        let long = try story.client.get(
            "/v1/packets/\(Story.id(99_999))/chain?max_depth=1000000&max_packets=100000")
        #expect(long.status == 200 && long.text.contains("\"complete\":true"))
        #expect(long.text.contains("\"counts\":{\"packets\":100000,\"edges\":99999,"))
        let hub = try story.chain(7, "direction=downstream&max_depth=1")
        #expect(
            hub.positions.count == 10_000 && hub.reasons == ["max_depth", "max_packets"]
                || hub.reasons == ["max_packets"])
        #expect(try story.daemon.processorTime() - start < .seconds(30))
        // Every child is listed, page by page.
        let children = try story.client.allIDs("/v1/packets/\(Story.id(7))/children")
        #expect(children.count == 100_001 && Set(children).count == 100_001)
        #expect(try story.daemon.metric("process_resident_bytes") < 900 << 20)
    }

    @Test func `two-node cycle through late edges, and a self parent`() throws {
        let story = try Story()
        try story.emit(Story.packet(1, parents: [Story.parent(2), Story.parent(1)]))
        try story.emit(Story.packet(2, parents: [Story.parent(1)]))
        let document = try story.chain(2)
        #expect(document.positions == [0, 1] && document.reasons == ["cycles_cut"])
        #expect(
            document.list("cycles_cut").map { [$0["from"] as! Int, $0["to"] as! Int] } == [[0, 1]])
        let orders = document.list("edges").map { $0["order"] as! String }
        #expect(orders == ["late", "self", "earlier"])
    }

    @Test func `parent after child, and parent never`() throws {
        let story = try Story()
        let card = "{\"stardust_id\":\"\(Story.id(9))\",\"why\":\"model card\"}"
        try story.emit(Story.packet(1, parents: [Story.parent(2), card]))
        var document = try story.chain(1)
        #expect(document.reasons == ["missing_parents"] && document.positions == [0])
        try story.emit(Story.packet(2))
        document = try story.chain(1)
        // What came later is a parent all the same, and comes first.
        #expect(document.positions == [1, 0])
        #expect(document.list("edges").map { $0["found_by"] as! String } == ["id", "none"])
        #expect(document.list("frontier").count == 1)
        let text = try story.client.get("/v1/packets/\(Story.id(1))/chain?format=text").text
        #expect(text.contains("INCOMPLETE: missing_parents") && text.contains("(“model card”)"))
        #expect(try story.chain(1, "as_of=1").positions == [0])
    }

    @Test func `replayed packet, and conflicting id`() throws {
        let story = try Story()
        #expect(try story.emit(Story.packet(1)).status == 201)
        #expect(try story.emit(Story.packet(1)).status == 200)
        #expect(try story.emit(Story.packet(1, entity: 5)).status == 409)
        try story.emit(Story.packet(2, parents: [Story.parent(1)]))
        #expect(try story.chain(2).positions == [0, 1])
    }

    @Test func `two revisions of one clip`() throws {
        let story = try Story()
        try story.emit(Story.packet(1, event: "clip.created"))
        try story.emit(Story.packet(2, parents: [Story.parent(1, "revision_of")]))
        try story.emit(Story.packet(3, parents: [Story.parent(1, "revision_of")]))
        try story.emit(Story.packet(4, event: "created"))
        // The other revision is not upstream of this one, and is found all the same.
        let document = try story.chain(2)
        #expect(document.positions == [0, 1] && document.conflicts("fork") == [[1, 2]])
        let whole = try story.document(
            "/v1/entities/clips/bbbbbbbb-0000-4000-8000-000000000000/chain")
        #expect(whole.conflicts("double_created") == [[0, 3]] && whole.positions == [0, 1, 2, 3])
    }

    static func decision(_ chosen: String, key: String = "clip.select") -> String {
        """
        {"decision_key":"\(key)","nodes":[{"id":"a","kind":"selection","chosen":\(chosen)}]}
        """
    }

    @Test func `contradictory selections`() throws {
        let story = try Story()
        try story.emit(Story.packet(1, chain: Self.decision("1")))
        try story.emit(Story.packet(2, chain: Self.decision("1.0")))
        let entity = "/v1/entities/clips/bbbbbbbb-0000-4000-8000-000000000000/chain"
        #expect(try story.document(entity).conflicts("contradiction") == [])
        try story.emit(Story.packet(3, chain: Self.decision("2")))
        #expect(try story.document(entity).conflicts("contradiction") == [[0, 1, 2]])
        // Texts that look alike are two keys.
        try story.emit(Story.packet(4, chain: Self.decision("1", key: "\u{E9}")))
        try story.emit(Story.packet(5, chain: Self.decision("2", key: "e\u{301}")))
        #expect(try story.document(entity).conflicts("contradiction").count == 1)
    }

    @Test func `analysis v1 superseded by v2 while a clip used v1`() throws {
        let story = try Story()
        try story.emit(Story.packet(1, entity: 1, type: "analysis", chain: Self.decision("1")))
        try story.emit(
            Story.packet(
                2, parents: [Story.parent(1, "supersedes")], entity: 1, type: "analysis",
                chain: Self.decision("2")))
        try story.emit(Story.packet(3, parents: [Story.parent(1)]))
        let document = try story.chain(3)
        #expect(document.positions == [0, 2] && document.conflicts("contradiction") == [])
        let downstream = try story.chain(1, "direction=downstream")
        #expect(downstream.positions == [0, 1, 2])
    }

    @Test func `a retracted packet in use taints what was built on it, as of after the correction`()
        throws
    {
        let story = try Story()
        try story.emit(Story.packet(1))
        try story.emit(Story.packet(2, parents: [Story.parent(1)]))
        try story.emit(Story.packet(3, parents: [Story.parent(2)]))
        try story.emit(Story.packet(4, parents: [Story.parent(1, "retracts")]))
        let document = try story.chain(3)
        #expect(document.conflicts("retracted") == [[0, 3]] && document.tainted == [1, 2])
        let before = try story.chain(3, "as_of=3")
        #expect(before.conflicts("retracted") == [] && before.tainted == [])
        // Nobody built on it here.
        #expect(try story.chain(4).conflicts("retracted") == [])
    }

    @Test func `a trace over two creators, and an entity without packets`() throws {
        let story = try Story()
        let other = "8d3f0a526f0d4f6e8c1b1a2b3c4d5e6f"
        try story.emit(Story.packet(1, entity: 1, type: "creators"))
        try story.emit(Story.packet(2, entity: 2, type: "creators"))
        try story.emit(Story.packet(3, entity: 3, trace: other))
        let trace = Story.trace.replacingOccurrences(of: "-", with: "").uppercased()
        let document = try story.document("/v1/traces/\(trace)/chain")
        #expect(document.positions == [0, 1])
        #expect((document.json["target"] as? [String: String])?["trace"] == trace.lowercased())
        let none = try story.document(
            "/v1/entities/clips/cccccccc-0000-4000-8000-000000000000/chain")
        #expect(none.isComplete && none.positions == [])
        #expect(try story.client.get("/v1/packets/\(Story.id(77))/chain").status == 404)
    }

    @Test func `non-ASCII rationale, and votes as numbers, strings and objects`() throws {
        let story = try Story()
        let chain = """
            [{"id":"v","kind":"vote","agent":{"id":"pantheon"},"votes":{"athena":0.90,"hermes":"seg-b",\
            "apollo":{"option":"seg-a","score":0.74,"weight":1,"rationale":"schön 日本"},"zeus":null}},
            {"id":"s","kind":"selection","parents":["v"],"chosen":"seg-a","confidence":0.820,\
            "rationale":"für \\u202E alle","alternatives":[{"id":"seg-b","why_not":"leiser"}]}]
            """
        try story.emit(Story.packet(1, chain: chain))
        let document = try story.client.get("/v1/packets/\(Story.id(1))/chain").text
        // Repeated as they were sent.
        #expect(document.contains("\"athena\":0.90") && document.contains("für \\u202E alle"))
        let text = try story.client.get("/v1/packets/\(Story.id(1))/chain?format=text").text
        for line in [
            "     athena  0.90", "     hermes  \"seg-b\"", "     apollo  seg-a 0.74 ×1 “schön 日本”",
            " ▶2. selection: chose \"seg-a\" (confidence 0.820)",
            "     because “für \\u{202e} alle”", "     not seg-b: “leiser”",
        ] {
            #expect(text.contains(line + "\n"), "\(line)\n\(text)")
        }
    }

    @Test func `limits hit exactly`() throws {
        let story = try Story()
        for number in 0..<6 {
            try story.emit(
                Story.packet(number, parents: number == 0 ? [] : [Story.parent(number - 1)]))
        }
        #expect(try story.chain(5, "max_depth=5").isComplete)
        #expect(try story.chain(5, "max_packets=6").isComplete)
        #expect(try story.chain(5, "max_depth=4").reasons == ["max_depth"])
        #expect(try story.chain(5, "max_packets=5").reasons == ["max_packets"])
        #expect(try story.chain(0, "direction=downstream&max_packets=6").isComplete)
        #expect(try story.chain(0, "direction=downstream&max_packets=5").reasons == ["max_packets"])
        #expect(try story.chain(2, "direction=both").positions == Array(0..<6))
    }

    @Test func `a limit downstream keeps the edges between what it lets in`() throws {
        let story = try Story()
        try story.emit(Story.packet(1))
        try story.emit(Story.packet(2, parents: [Story.parent(1)]))
        try story.emit(Story.packet(3, parents: [Story.parent(1), Story.parent(2)]))
        try story.emit(Story.packet(4, parents: [Story.parent(2), Story.parent(3)]))
        let document = try story.chain(1, "direction=downstream&max_depth=1")
        #expect(document.positions == [0, 1, 2] && document.list("edges").count == 3)
        #expect(try story.chain(1, "direction=downstream&max_packets=3").positions == [0, 1, 2])
    }

    @Test func `what one direction leaves out is told, also where the other has walked it`() throws
    {
        let story = try Story()
        try story.emit(Story.packet(1, entity: 1))
        try story.emit(Story.packet(2, parents: [Story.parent(1)], entity: 2))
        try story.emit(Story.packet(3, parents: [Story.parent(2)], entity: 3))
        try story.emit(Story.packet(4, parents: [Story.parent(3)], entity: 1))
        try story.emit(Story.packet(5, parents: [Story.parent(2)], entity: 1))
        try story.emit(Story.packet(6, parents: [Story.parent(3)], entity: 4))
        let path = "/v1/entities/clips/bbbbbbbb-0000-4000-8000-000000000001/chain?direction=both"
        #expect(try story.document(path).positions.count == 6)
        #expect(try story.document(path + "&max_depth=1").reasons == ["max_depth"])
    }

    @Test func `references by hash, entity and address, pins and disagreements`() throws {
        let story = try Story()
        let receipt = try story.emit(Story.packet(1, entity: 1)).json
        let hash = receipt["payload_sha256"] as! String
        let entity =
            "\"entity_type\":\"clips\",\"entity_id\":\"bbbbbbbb-0000-4000-8000-000000000001\""
        let wrong = "sha256:" + String(repeating: "0", count: 64)
        let references = [
            "{\"packet_hash\":\"\(hash)\"}", "{\(entity)}", "{\"uri\":\"https://example.com/a\"}",
            "{\"stardust_id\":\"\(Story.id(1))\",\"packet_hash\":\"\(wrong)\"}",
            "{\"stardust_id\":\"\(Story.id(1))\",\"entity_type\":\"posts\",\"entity_id\":\"bbbbbbbb-0000-4000-8000-000000000001\"}",
            "{\"packet_hash\":\"blake3:\(String(repeating: "0", count: 64))\"}",
            "{\"stardust_id\":\"\(Story.id(8))\",\"packet_hash\":\"\(hash)\"}",
            "\"\(Story.id(1))\"",
        ]
        try story.emit(Story.packet(2, parents: references, entity: 2))
        let document = try story.chain(2)
        let edges = document.list("edges")
        #expect(
            edges.map { $0["found_by"] as! String }
                == ["hash", "entity", "uri", "id", "id", "none", "none", "id"])
        #expect(
            edges.map { $0["pin"] as! String }
                == ["match", "none", "none", "mismatch", "none", "unsupported", "none", "none"])
        #expect(document.conflicts("reference").count == 3)
        let children = try story.client.get("/v1/packets/\(Story.id(1))/children").json
        #expect((children["edges"] as! [Any]).count == 5)
        let parents = try story.client.get("/v1/packets/\(Story.id(2))/parents").json
        #expect((parents["edges"] as! [Any]).count == 8)
        #expect((parents["packets"] as! [Any]).count == 1)
    }

    @Test func `nodes build on nodes, of other packets too, and on outcomes where nothing is said`()
        throws
    {
        let story = try Story()
        try story.emit(
            Story.packet(
                1,
                chain: """
                    {"nodes":[{"id":"b","kind":"tally","parents":["a"]},{"id":"a","kind":"vote"},
                    {"id":"c","kind":"note","parents":["missing","b"]}],"outcome":"b"}
                    """))
        let own = "stardust:\(Story.id(2))#y"
        try story.emit(
            Story.packet(
                2, parents: [Story.parent(1), Story.parent(1, "input_to")],
                chain: """
                    [{"id":"x","kind":"selection","parents":["\(own)"]},{"id":"y","kind":"note"},
                    {"id":"y","kind":"note"},{"id":"z","kind":"note","parents":["stardust:\(Story.id(1))#a"]}]
                    """))
        let document = try story.chain(2)
        let steps = document.list("steps")
        let ids = steps.map { ($0["id"] as! String).suffix(2) }
        #expect(
            ids == ["#a", "#b", "#c", "#y", "#x", "#y", "#z"]
                || ids == ["#a", "#b", "#c", "#y", "#y", "#x", "#z"])
        let implied = steps.first { ($0["id"] as! String).hasSuffix("2#y") }
        #expect(implied?["parents"] as? [String] == ["\(Story.id(1))#b"])
        #expect(implied?["parents_implied"] as? Bool == true)
        #expect(steps.filter { $0["outcome"] as! Bool }.count == 2)
        #expect(document.conflicts("duplicate_node") == [[1]])
        #expect(document.conflicts("unknown_node_parent") == [[0]])
    }

    @Test func `graphs and PROV are what their readers read`() throws {
        let story = try Story()
        try story.emit(
            Story.packet(1, event: "x\\\"\u{301}]; evil [label=\\\"|<b>", chain: Self.decision("1"))
        )
        try story.emit(Story.packet(2, parents: [Story.parent(1), Story.parent(9)]))
        let dot = try story.client.get("/v1/packets/\(Story.id(2))/chain?format=dot").text
        #expect(dot.contains("p1 -> p0") && dot.contains("x\\\"\u{301}]"))
        let mermaid = try story.client.get("/v1/packets/\(Story.id(2))/chain?format=mermaid").text
        #expect(mermaid.hasPrefix("graph BT\n") && mermaid.contains("p1 --> p0"))
        #expect(!mermaid.contains("<b>"))
        let prov = try story.client.get("/v1/packets/\(Story.id(2))/chain?format=prov").body
        let script = """
            import sys, prov.model
            document = prov.model.ProvDocument.deserialize(content=sys.stdin.read(), format='json')
            kinds = [type(record).__name__ for record in document.get_records()]
            print(kinds.count('ProvEntity'), kinds.count('ProvActivity'), kinds.count('ProvDerivation'))
            again = prov.model.ProvDocument.deserialize(content=document.serialize(), format='json')
            assert again == document
            """
        guard Repository.has("python3"),
            try run(["/usr/bin/python3", "-c", "import prov"]).status == 0
        else {
            try Repository.skip(lacking: "python3-prov")
        }
        let result = try run(["/usr/bin/python3", "-c", script], input: prov)
        #expect(result.status == 0 && result.output == "4 2 2\n", "\(result.error)")
    }

    @Test func `hostile chains end within the time limit`() throws {
        let story = try Story()
        let nodes = (0..<4096).map { "{\"id\":\"n\($0)\",\"kind\":\"note\"}" }
        try story.emit(Story.packet(1, chain: "[\(nodes.joined(separator: ","))]"))
        let parents = (0..<4000).map { "\"stardust:\(Story.id(1))#n\($0)\"" }.joined(separator: ",")
        let hostile = (0..<4).map {
            "{\"id\":\"m\($0)\",\"kind\":\"note\",\"parents\":[\(parents)]}"
        }
        #expect(
            try story.emit(Story.packet(2, chain: "[\(hostile.joined(separator: ","))]")).status
                == 201)
        for number in 10..<2010 { try story.emit(Story.packet(number)) }
        let retracted = (10..<2010).map { Story.parent($0, "retracts") }
        #expect(try story.emit(Story.packet(3, parents: retracted)).status == 201)
        let start = try story.daemon.processorTime()
        #expect(try story.chain(2).conflicts("unknown_node_parent") == [])
        #expect(try story.chain(3).positions.count == 2001)
        #expect(try story.daemon.processorTime() - start < .seconds(8))
    }
}
