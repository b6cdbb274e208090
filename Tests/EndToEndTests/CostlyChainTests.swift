import DaemonTestSupport
import Foundation
import TestSupport
import Testing

/// Packets that are small, admitted, and made so that their chain would be costly.
@Suite struct CostlyChainTests {
    /// The tests bound the processor's time: a busy machine takes longer.
    static let patience = "{\"query_ms_max\": 60000}"

    /// Nodes with names of one letter and more.
    static func nodes(_ count: Int, _ more: (Int) -> String = { _ in "" }) -> String {
        "["
            + (0..<count).map { "{\"id\":\"n\($0)\",\"kind\":\"vote\"\(more($0))}" }
            .joined(separator: ",") + "]"
    }

    @Test func `parents that nodes imply do not make a document of gigabytes`() throws {
        let story = try Story(configuration: Self.patience)
        let count = 1900
        let parents = (1...count).map {
            Story.packet($0, entity: $0, chain: Self.nodes(1))
        }
        _ = try story.client.emitLines(Array(parents.joined(separator: "\n").utf8))
        try story.emit(
            Story.packet(
                9000, parents: (1...count).map { Story.parent($0) },
                chain: Self.nodes(count) {
                    ",\"title\":\"\($0)\(String(repeating: "x", count: 60))\""
                }))
        let path = "/v1/packets/\(Story.id(9000))/chain"
        let answer = try story.client.get(path)
        #expect(
            answer.status == 400 && answer.problemCode == "answer_too_large",
            "\(answer.text.prefix(200))")
        #expect(answer.json["limit"] as? Int == 128 << 20)
        #expect(try story.client.get(path + "?max_depth=1&max_packets=100").status == 200)
        #expect(try story.client.get(path + "?format=dot").status == 200)
    }

    @Test func `more conflicts than anybody reads are cut, which the document says`() throws {
        let story = try Story(configuration: Self.patience)
        let list = "[" + Array(repeating: "\"none\"", count: 1000).joined(separator: ",") + "]"
        try story.emit(
            Story.packet(1, chain: Self.nodes(20) { _ in ",\"parents\":\(list)" }))
        let document = try story.chain(1)
        #expect(document.list("conflicts").count == 10_000)
        #expect(document.reasons == ["max_conflicts"])
    }

    @Test func `evidence cited many times costs time linear in the citations`() throws {
        let story = try Story(configuration: Self.patience)
        let items = (0..<4000).map {
            "{\"id\":\"e\($0)\",\"digest\":\"sha256:\(String(format: "%064x", $0))\"}"
        }.joined(separator: ",")
        let cites = "[" + Array(repeating: "\"z\"", count: 1000).joined(separator: ",") + "]"
        for number in 1...4 {
            let packet = Story.packet(
                number, parents: number == 1 ? [] : [Story.parent(number - 1)],
                chain: Self.nodes(100) { _ in ",\"evidence\":\(cites)" })
            let answer = try story.emit(
                packet.replacing(
                    "\"_meta_parents\"", with: "\"evidence\":[\(items)],\"_meta_parents\""))
            #expect(answer.status == 201, "\(answer.text.prefix(300))")
        }
        let start = try story.daemon.processorTime()
        #expect(try story.chain(4).positions == [0, 1, 2, 3])
        // It took fifteen seconds when every citation was looked for in the list.
        #expect(try story.daemon.processorTime() - start < .seconds(4))
    }

    @Test func `the time limit holds behind the walk, too`() throws {
        let daemon = try Daemon(configuration: "{\"query_ms_max\": 500}")
        let client = try HTTPClient(daemon.socket)
        // Each names all others, so that most edges lead to later packets.
        let count = 800
        let packets = (1...count).map { number in
            Story.packet(
                number,
                parents: (1...count).filter { $0 != number }.map { Story.parent($0) })
        }
        _ = try client.emitLines(Array(packets.joined(separator: "\n").utf8))
        let start = try daemon.processorTime()
        let answer = try client.get("/v1/packets/\(Story.id(1))/chain")
        #expect(answer.status == 503 && answer.problemCode == "time_is_over", "\(answer.status)")
        #expect(try daemon.processorTime() - start < .seconds(3))
    }

    @Test func `a packet that amends thousands is looked at once`() throws {
        let story = try Story(configuration: Self.patience)
        let count = 2000
        let targets = (1...count).map { Story.packet($0, entity: $0) }
        let all = (1...count).map { Story.parent($0, "retracts") }
        let amending = (1...30).map { Story.packet(5000 + $0, parents: all) }
        let user = Story.packet(
            9000, parents: (1...count).map { Story.parent($0) })
        _ = try story.client.emitLines(
            Array((targets + amending + [user]).joined(separator: "\n").utf8))
        let document = try story.chain(9000)
        #expect(document.positions.count == count + 1)
        #expect(document.conflicts("retracted").count == count)
    }

    @Test func `an entity of many packets that name it costs no square of them`() throws {
        let story = try Story(configuration: Self.patience)
        let parent =
            "{\"entity_type\":\"clips\",\"entity_id\":\"bbbbbbbb-0000-4000-8000-000000000000\"}"
        let packets = (1...12_000).map {
            Story.packet($0, parents: $0 == 1 ? [] : [parent])
        }
        _ = try story.client.emitLines(Array(packets.joined(separator: "\n").utf8))
        let path = "/v1/entities/clips/bbbbbbbb-0000-4000-8000-000000000000/chain"
        // While all of them are in the index's newest buffer.
        let start = try story.daemon.processorTime()
        let answer = try story.client.get(
            path + "?direction=both&max_packets=20000&max_depth=20000")
        #expect(answer.status == 200 && (answer.json["packets"] as? [Any])?.count == 12_000)
        #expect(try story.daemon.processorTime() - start < .seconds(5))
    }
}
