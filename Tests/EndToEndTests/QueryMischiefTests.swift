import DaemonTestSupport
import Foundation
import TestSupport
import Testing

/// Packets and requests that mean to mislead.
@Suite struct QueryMischiefTests {
    private static func packet(
        _ id: String, _ parents: String = "", worker: String = "w", nodes: String = "[]"
    ) -> String {
        """
        {"stardust_id":"\(id)","entity_type":"clips","entity_id":"\(id)","lineage":{"trace_id":"\(id)",\
        "_producer":{"worker":"\(worker)"},"_meta_parents":[\(parents)]},"decision_chain":\(nodes),\
        "created_at":"2026-01-01T00:00:00Z"}
        """
    }

    private static func id(_ number: Int) -> String {
        String(format: "%08x-0000-4000-8000-000000000000", number)
    }

    @Test func `a packet writes no line that passes for the ledger's`() throws {
        let daemon = try Daemon()
        let client = try HTTPClient(daemon.socket)
        let forged = #"x\nretracted  clips/00000009-0000-4000-8000-000000000000 [9]"#
        let node = #"[{"id":"n","kind":"vote","agent":"\#(forged)","chosen":"\#(forged)"}]"#
        let why = #"ok”\nretracted  clips/x [9]: chose “select"#
        let lines = [
            Self.packet(Self.id(1), nodes: node),
            Self.packet(
                Self.id(2),
                #"{"stardust_id":"\#(Self.id(1))","relation":"retracts","why":"\#(why)"}"#,
                worker: forged),
        ]
        _ = try client.emitLines(Array(lines.joined(separator: "\n").utf8))
        for command in [
            ["conflicts"], ["find"], ["steps"], ["path", Self.id(1), Self.id(2)], ["diff", "0"],
            ["find", "--count-by", "worker"], ["steps", "--count-by", "chosen"],
        ] {
            let result = try daemon.stardust(command)
            #expect(result.status == 0, "\(result)")
            let forgeries = result.output.split(separator: "\n").filter {
                $0.hasPrefix("retracted") && !$0.contains(Self.id(1))
            }
            #expect(forgeries.isEmpty, "\(command): \(result.output)")
        }
    }

    @Test func `a body that says nothing clearly is refused`() throws {
        let daemon = try Daemon()
        let client = try HTTPClient(daemon.socket)
        for (path, body, word) in [
            ("packets", #"{"stardust_id":[]}"#, "stardust_id"),
            ("packets", #"{"text":[]}"#, "text"),
            ("packets", #"{"lineage_any":[]}"#, "lineage_any"),
            ("steps", #"{"agent":[]}"#, "agent"),
            ("steps", #"{"has":[]}"#, "not a parameter"),
            ("packets", #"{"group_by":[]}"#, "group_by"),
            ("packets", #"{"limit":1,"limit":2}"#, "limit"),
            ("packets", #"{"text_any":["a"]}"#, "not a parameter"),
            ("packets", #"{"lineage_any":{"a":1}}"#, "array"),
            ("chains", #"{"text":[]}"#, "not a parameter"),
            ("packets", #"{"as_of":"now"}"#, "neither a size"),
            ("steps", #"{"confidence_below":"0x1"}"#, "number"),
            ("packets", #"{"group_by":"day","limit":1}"#, "limit"),
        ] {
            let answer = try client.request(
                "POST", "/v1/\(path)/query", Array(body.utf8), type: "application/json")
            #expect(answer.status == 400 && answer.text.contains(word), "\(body) \(answer.text)")
        }
        let many = (0..<10_001).map { "\"\(Self.id($0))\"" }.joined(separator: ",")
        let answer = try client.request(
            "POST", "/v1/packets/query", Array("{\"stardust_id\":[\(many)]}".utf8),
            type: "application/json")
        #expect(answer.status == 400 && answer.text.contains("10000"), "\(answer.text)")
    }

    @Test func `a way through a cycle is found, and not said to be the only one`() throws {
        let daemon = try Daemon()
        let client = try HTTPClient(daemon.socket)
        let lines = [(1, 2), (2, 3), (3, 1)].map { Self.packet(Self.id($0), "\"\(Self.id($1))\"") }
        _ = try client.emitLines(Array(lines.joined(separator: "\n").utf8))
        let answer = try client.get("/v1/paths?from=\(Self.id(3))&to=\(Self.id(1))").json
        #expect(answer["length"] as? Int == 2 && answer["routes"] as? Int == 1)
        #expect(answer["exhaustive"] as? Bool == false && answer["routes_exact"] as? Bool == false)
        #expect(answer["incomplete_because"] as? [String] == ["cycles_cut"])
    }

    @Test func `votes are counted one by one, each with its end`() throws {
        let daemon = try Daemon()
        let client = try HTTPClient(daemon.socket)
        let nodes = #"[{"id":"n","kind":"vote","votes":{"a":"x","b":"y","c":0.5},"chosen":"x"}]"#
        _ = try client.emitLines(Array(Self.packet(Self.id(1), nodes: nodes).utf8))
        func groups(_ query: String) throws -> [String] {
            let answer = try client.get("/v1/steps?" + query).json
            return (answer["groups"] as? [[String: Any]] ?? []).map { group in
                let prevailed = (group["prevailed"] as? Bool).map { "\($0)" } ?? "-"
                return "\(group["voter"] ?? "") \(prevailed) \(group["count"]!)"
            }.sorted()
        }
        let all = try groups("group_by=voter&group_by=prevailed")
        #expect(all == ["a true 1", "b false 1", "c - 1"])
        #expect(try groups("vote_of=b&group_by=voter&group_by=prevailed") == ["b false 1"])
    }

    @Test func `a size in the past gives the bytes that it gave`() throws {
        let daemon = try Daemon()
        let client = try HTTPClient(daemon.socket)
        _ = try client.emitLines(try Repository.content("Docs/Examples/pipeline.ndjson"))
        let requests = [
            "/v1/packets?text=hook&as_of=40", "/v1/steps?kind=vote&as_of=40&limit=3",
            "/v1/conflicts?as_of=40&limit=3", "/v1/diff?from=3&to=40&limit=2",
            "/v1/diff?from=3&to=40&trace_id=6dc6507795ec445c8c3fcb2eb2c73e14",
            "/v1/packets?group_by=event&as_of=40",
            "/v1/evidence/sha256:d154de3994446185bedafa3237c7953d036dc683711b0f7923c4412d42112a65?as_of=40",
            "/v1/paths?from=0cf9380b-8edb-424a-ab24-8a1e924e8fd0&to=087610cd-eb0f-4131-bf10-e69b565c4555&as_of=40",
        ]
        let before = try requests.map { try client.get($0) }
        #expect(before.allSatisfy { $0.status == 200 })
        for number in 0..<200 {
            let answer = try client.emit(Array(Self.packet(Self.id(number + 1)).utf8))
            #expect(answer.status == 201)
        }
        for (request, answer) in zip(requests, before) {
            #expect(try client.get(request).body == answer.body, "\(request)")
        }
    }
}
