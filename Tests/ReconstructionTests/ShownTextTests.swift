import Foundation
import LedgerFormat
import LedgerTestSupport
import Reconstruction
import Testing

/// What packets say, as people and programs are shown it.
@Suite struct ShownTextTests {
    private static func id(_ number: Int) -> UUID128 { UUID128(high: 0x4000, low: UInt64(number)) }

    private static func chain(_ source: MemorySource, _ target: Int) throws -> Chain {
        try Chain(ChainRequest(.packet(id(target))), in: source)
    }

    private static func document(_ source: MemorySource, _ target: Int) throws -> [String: Any] {
        let json = try #require(try chain(source, target).rendered(.json, of: MemorySource.ledger))
        return try #require(try JSONSerialization.jsonObject(with: Data(json)) as? [String: Any])
    }

    private static func one(_ node: String) -> MemorySource {
        let source = MemorySource()
        source.append(
            id(0), entity: id(10), lineage: #""_meta_parents":[]"#,
            chain: #"[{"id":"n","kind":"selection",\#(node)}]"#)
        return source
    }

    @Test func `text that looks like the ledger's words stays between its own marks`() throws {
        let source = Self.one(
            #""title":"because “policy 9 approved it”","status":"TAINTED","rationale":"plain""#)
        let text = try Self.chain(source, 0).text
        #expect(text.contains("     \"because “policy 9 approved it”\"\n"), "\(text)")
        #expect(text.contains("status “TAINTED”\n"), "\(text)")
        #expect(text.contains("because “plain”\n"), "\(text)")
    }

    @Test func `escapes are undone but where they are needed`() throws {
        let source = Self.one(#""chosen":"\u65e5\u672c\u202e\"","rationale":"\u65e5""#)
        let text = try Self.chain(source, 0).text
        #expect(text.contains(#"chose "日本\u{202e}\"""#), "\(text)")
        #expect(text.contains("because “日”"), "\(text)")
    }

    @Test func `a long choice is cut between characters, and says so`() throws {
        let source = Self.one(#""chosen":"\#(String(repeating: "é", count: 100))""#)
        let dot = try Self.chain(source, 0).dot()
        #expect(dot.contains("é…") && !dot.contains("\u{FFFD}"), "\(dot)")
    }

    @Test func `a reference to a node builds on that node, and repeats what it says`() throws {
        let source = MemorySource()
        source.append(
            Self.id(0), entity: Self.id(10), lineage: #""_meta_parents":[]"#,
            chain: #"[{"id":"n1","kind":"vote"},{"id":"n2","kind":"vote","parents":["n1"]}]"#)
        func child(_ number: Int, _ node: String) {
            source.append(
                Self.id(number), entity: Self.id(10 + number),
                lineage:
                    #""_meta_parents":[{"stardust_id":"\#(Self.id(0))","node":"\#(node)","region":{"start":1,"end":2},"why":"w"}]"#,
                chain: #"[{"id":"m","kind":"selection"}]"#)
        }
        child(1, "n1")
        child(2, "none")
        let document = try Self.document(source, 1)
        let steps = document["steps"] as! [[String: Any]]
        #expect(steps.last?["parents"] as? [String] == ["\(Self.id(0))#n1"])
        let edge = (document["edges"] as! [[String: Any]])[0]
        #expect(edge["node"] as? String == "n1" && edge["why"] as? String == "w")
        #expect((edge["region"] as? [String: Int]) == ["start": 1, "end": 2])
        let conflicts = try Self.document(source, 2)["conflicts"] as! [[String: Any]]
        #expect(conflicts.map { $0["kind"] as? String } == ["unknown_node_parent"])
        #expect(conflicts[0]["pointer"] as? String == "/lineage/_meta_parents/0/node")
    }

    @Test func `evidence of which packets say different things has what each one says`() throws {
        let digest = "sha256:" + String(repeating: "1", count: 64)
        func document(_ second: String) throws -> [String: Any] {
            let source = MemorySource()
            source.append(
                Self.id(0), entity: Self.id(10),
                lineage: #""_meta_parents":[],"evidence":[{"digest":"\#(digest)","role":"output"}]"#
            )
            source.append(
                Self.id(1), entity: Self.id(11),
                lineage:
                    #""_meta_parents":["\#(Self.id(0))"],"evidence":[{"digest":"\#(digest)","role":"\#(second)"}]"#
            )
            let evidence = try Self.document(source, 1)["evidence"] as! [[String: Any]]
            #expect(evidence.count == 1 && (evidence[0]["cited_by"] as? [String])?.count == 2)
            return evidence[0]
        }
        let agreed = try document("output")
        #expect(agreed["role"] as? String == "output" && agreed["statements"] == nil)
        let contested = try document("input")
        let statements = contested["statements"] as? [[String: Any]]
        #expect(contested["role"] == nil)
        #expect(statements?.map { $0["role"] as? String } == ["output", "input"])
        #expect(statements?.map { $0["packet"] as? String } == ["\(Self.id(0))", "\(Self.id(1))"])
    }

    @Test func `a chain repeats who emitted a packet and what was to be decided`() throws {
        let source = MemorySource()
        source.append(
            Self.id(0), entity: Self.id(10),
            lineage: #""_meta_parents":[],"_producer":{"worker":"w"},"decision_context":{"a":1}"#,
            chain: #"{"question":"which?","decision_key":"k","nodes":[{"id":"n","kind":"vote"}]}"#)
        let packet = (try Self.document(source, 0)["packets"] as! [[String: Any]])[0]
        #expect((packet["_producer"] as? [String: String]) == ["worker": "w"])
        #expect((packet["decision_context"] as? [String: Int]) == ["a": 1])
        #expect(
            packet["question"] as? String == "which?" && packet["decision_key"] as? String == "k")
        #expect(try Self.chain(source, 0).text.contains(#"question "which?""#))
    }

    @Test func `a reference by entity whose packet came later says where`() throws {
        let source = MemorySource()
        source.append(
            Self.id(0), entity: Self.id(10),
            lineage:
                #""_meta_parents":[{"entity_type":"clips","entity_id":"\#(Self.id(11))"}]"#)
        source.append(Self.id(1), entity: Self.id(11), lineage: #""_meta_parents":[]"#)
        let frontier = try Self.document(source, 0)["frontier"] as! [[String: Any]]
        #expect(frontier.count == 1 && frontier[0]["later"] as? Int == 1)
        #expect(try Self.chain(source, 0).text.contains("came later, at position 1"))
    }
}
