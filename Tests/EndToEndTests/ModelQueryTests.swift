import DaemonTestSupport
import Foundation
import LedgerFormat
import TestSupport
import Testing

/// Queries to the read model: rows beside packets, and drift.
@Suite struct ModelQueryTests {

    static func rows(_ answer: HTTPClient.Answer) -> [[String: Any]] {
        answer.json["rows"] as? [[String: Any]] ?? []
    }

    // MARK: Rows

    @Test func `tables and views come by pages and filters`() throws {
        let daemon = try ExamplePipeline.daemonWithRows()
        let client = try HTTPClient(daemon.socket)
        var (ids, cursor): ([String], String?) = ([], nil)
        repeat {
            let more = cursor.map { "&cursor=\($0.percentEncoded)" } ?? ""
            let page = try client.get("/v1/model/tables/clips?limit=3\(more)")
            #expect(page.status == 200, "\(page.text)")
            ids += Self.rows(page).compactMap { $0["clip_id"] as? String }
            cursor = page.json["next"] as? String
        } while cursor != nil
        #expect(ids.count == 7 && Set(ids).count == 7)
        let all = try client.get("/v1/model/tables/clips").json["rows"] as? [[String: Any]]
        #expect(all?.compactMap { $0["clip_id"] as? String } == ids)
        let done = try client.get("/v1/model/tables/edit_jobs?status=DONE&gpu_required=false")
        let counted = try daemon.sqlite(
            "SELECT count(*) FROM edit_jobs WHERE status = 'DONE' AND NOT gpu_required")
        #expect("\(Self.rows(done).count)" == counted && counted != "0")
        let one = try client.get(
            "/v1/model/tables/clips?clip_id=\(ExamplePipeline.clip.uppercased())")
        #expect(Self.rows(one).count == 1)
        for view in [
            "latest_analysis_per_video", "best_clip_per_video", "pending_edit_jobs",
            "active_analysis_per_video",
        ] {
            let answer = try client.get("/v1/model/views/\(view)?limit=1")
            let standing = Int(try daemon.sqlite("SELECT count(*) FROM \(view)"))!
            #expect(Self.rows(answer).count == min(1, standing), "\(answer.text)")
        }
        #expect(try client.get("/v1/model/views/upcoming_upload_schedule").status == 200)
        for (path, status, words) in [
            ("/v1/model/tables/sqlite_schema", 404, "there are creators, posts"),
            ("/v1/model/tables/model_state", 404, "not_found"),
            ("/v1/model/views/clips", 404, "best_clip_per_video"),
            ("/v1/model/tables/clips?colour=red", 400, "colour"),
            ("/v1/model/tables/clips?confidence=high", 400, "confidence"),
            ("/v1/model/tables/clips?limit=0", 400, "limit"),
            ("/v1/model/tables/clips?cursor=xyz", 400, "cursor"),
            ("/v1/model/tables/clips/nonsense", 400, "nonsense"),
            ("/v1/model/tables/clips/803dc396-5342-4b6b-9521-000000000000", 404, "has no row"),
        ] {
            let answer = try client.get(path)
            #expect(
                answer.status == status && answer.text.contains(words), "\(path) \(answer.text)")
        }
    }

    @Test func `a row has its packets and those that it names`() throws {
        let daemon = try ExamplePipeline.daemonWithRows()
        let client = try HTTPClient(daemon.socket)
        let answer = try client.get("/v1/model/tables/clips/\(ExamplePipeline.clip)").json
        let history = try client.allIDs("/v1/entities/clips/\(ExamplePipeline.clip)/packets")
        let packets = answer["packets"] as? [[String: Any]] ?? []
        #expect(packets.compactMap { $0["stardust_id"] as? String } == history && !history.isEmpty)
        let names = answer["names"] as? [[String: Any]] ?? []
        #expect(names.contains { $0["column"] as? String == "metadata" && $0["position"] is Int })
        // A log leads to the packet that it mirrors.
        let log = try daemon.sqlite(
            "SELECT log_id FROM logs WHERE metadata LIKE '%\(ExamplePipeline.clip)%' LIMIT 1")
        let named = try client.get("/v1/model/tables/logs/\(log)").json["names"] as? [[String: Any]]
        let id = try #require(named?.first?["stardust_id"] as? String)
        #expect(try client.get("/v1/packets/\(id)").status == 200)
    }

    @Test func `chains carry the rows of their entities`() throws {
        let daemon = try ExamplePipeline.daemonWithRows()
        let client = try HTTPClient(daemon.socket)
        let path = "/v1/entities/upload_jobs/ea449f21-0b86-453d-b01c-f829430c2e33/chain"
        let plain = try client.get(path)
        #expect(plain.status == 200 && plain.json["rows"] == nil)
        let rows = try client.get(path + "?rows=true").json["rows"] as? [String: Any]
        let entities = rows?["entities"] as? [[String: Any]] ?? []
        #expect(
            Set(entities.compactMap { $0["entity_type"] as? String }).isSuperset(of: [
                "clips", "videos", "upload_jobs", "creators",
            ]))
        #expect(entities.allSatisfy { $0["row"] is [String: Any] })
        try daemon.feed(#"{"table":"clips","op":"truncate"}"#)
        let after = try client.get(path + "?rows=true").json["rows"] as? [String: Any]
        let clips = (after?["entities"] as? [[String: Any]] ?? []).filter {
            $0["entity_type"] as? String == "clips"
        }
        #expect(!clips.isEmpty && clips.allSatisfy { $0["row"] is NSNull })
        #expect(try client.get(path + "?rows=true&format=dot").status == 400)
        let shown = try daemon.stardust(
            "chain", "upload_jobs", "ea449f21-0b86-453d-b01c-f829430c2e33", "--rows")
        #expect(shown.status == 0 && shown.output.contains(#""rows":{"lsn":"#))
        #expect(try client.get(path + "?rows=perhaps").status == 400)
        let bare = try ExamplePipeline.daemon()
        #expect(try HTTPClient(bare.socket).get(path + "?rows=true").problemCode == "no_model")
        #expect(try HTTPClient(bare.socket).get(path).status == 200)
    }

    // MARK: Agreement

    @Test func `drift is nothing, or told by kind and place`() throws {
        let daemon = try ExamplePipeline.daemonWithRows()
        let clean = try daemon.stardust("model", "drift")
        #expect(
            clean.status == 0 && clean.output.contains("clips         7 of 7 rows"),
            "\(clean.output)\(clean.error)")
        let upload = "ea449f21-0b86-453d-b01c-f829430c2e33"
        let other = try daemon.sqlite(
            "SELECT clip_id FROM clips WHERE clip_id <> '\(ExamplePipeline.clip)' LIMIT 1")
        let embedded = try daemon.sqlite(
            "SELECT json_extract(metadata, '$.stardust_id') FROM clips WHERE clip_id = '\(other)'")
        try daemon.feed(
            [
                #"{"table":"creators","op":"insert","row":{"creator_id":"00000000-0000-4000-8000-000000000001","platform":"p","username":"u"}}"#,
                #"{"table":"upload_jobs","op":"delete","row":{"upload_job_id":"\#(upload)"}}"#,
                #"{"table":"clips","op":"update","row":{"clip_id":"\#(ExamplePipeline.clip)","metadata":{"stardust_id":"\#(embedded)"},"pantheon_votes":{"nobody":1}}}"#,
                #"{"table":"clips","op":"update","row":{"clip_id":"\#(other)","metadata":{"stardust_id":"00000000-0000-4000-8000-000000000001"}}}"#,
                #"{"table":"logs","op":"insert","row":{"log_id":"00000000-0000-4000-8000-000000000001","source":"s","level":"l","message":"m","metadata":{"entity_type":"clips"}}}"#,
                #"{"table":"logs","op":"insert","row":{"log_id":"00000000-0000-4000-8000-000000000002","source":"s","level":"l","message":"m","metadata":{"free":true}}}"#,
                #"{"table":"edit_jobs","op":"insert","row":{"edit_job_id":"00000000-0000-4000-8000-000000000001","clip_id":"00000000-0000-4000-8000-000000000009","operations":[{"op":"trim","stardust_id":"00000000-0000-4000-8000-000000000077"},{"stardust_id":"\#(embedded)"}]}}"#,
            ].joined(separator: "\n"))
        let answer = try HTTPClient(daemon.socket).get("/v1/model/drift").json
        let findings = answer["findings"] as? [[String: Any]] ?? []
        func found(_ kind: String) -> [String] {
            findings.filter { $0["kind"] as? String == kind }.map { "\($0["table"]!)/\($0["id"]!)" }
        }
        #expect(
            found("row_without_packet").sorted() == [
                "creators/00000000-0000-4000-8000-000000000001",
                "edit_jobs/00000000-0000-4000-8000-000000000001",
            ])
        #expect(found("packet_without_row") == ["upload_jobs/\(upload)"])
        #expect(
            Set(found("wrong_stardust_id")) == [
                "clips/\(ExamplePipeline.clip)", "clips/\(other)",
                "edit_jobs/00000000-0000-4000-8000-000000000001",
            ])
        #expect(
            findings.contains {
                ($0["detail"] as? String)?.hasPrefix("operations/0/stardust_id: there is no packet")
                    == true
            })
        #expect(found("votes_differ") == ["clips/\(ExamplePipeline.clip)"])
        #expect(found("log_unfit") == ["logs/00000000-0000-4000-8000-000000000001"])
        let counts = answer["counts"] as? [String: Int]
        #expect(counts?.values.reduce(0, +) == findings.count)
        let told = try daemon.stardust("model", "drift")
        #expect(
            told.status == 1 && told.output.contains("votes_differ  clips/\(ExamplePipeline.clip)"))
        let status = try HTTPClient(daemon.socket).get("/v1/model/status").json
        #expect(status["logs_unfit"] as? Int == 1)
        let orphans = status["orphans"] as? [[String: Any]] ?? []
        #expect(
            orphans.contains { $0["table"] as? String == "edit_jobs" && $0["rows"] as? Int == 1 })
        #expect((status["tables"] as? [String: Int])?["creators"] == 2)
    }

    @Test func `votes that are equal as JSON are no drift, and votes without a packet are`() throws
    {
        let daemon = try ExamplePipeline.daemonWithRows()
        let votes = try daemon.sqlite(
            "SELECT pantheon_votes FROM clips WHERE clip_id = '\(ExamplePipeline.clip)'")
        let object = try JSONDecoder().decode([String: Double].self, from: Data(votes.utf8))
        let spelt = object.map { #""\#($0.key)":\#($0.value)00e0"# }.joined(separator: ",")
        try daemon.feed(
            #"{"table":"clips","op":"update","row":{"clip_id":"\#(ExamplePipeline.clip)","pantheon_votes":{\#(spelt)}}}"#
        )
        func kinds() throws -> [String: Int] {
            try HTTPClient(daemon.socket).get("/v1/model/drift").json["counts"] as? [String: Int]
                ?? [:]
        }
        #expect(try kinds()["votes_differ"] == 0)
        try daemon.feed(
            #"{"table":"clips","op":"update","row":{"clip_id":"\#(ExamplePipeline.clip)","pantheon_votes":null}}"#
        )
        #expect(try kinds()["votes_differ"] == 1)
        let id = "00000000-0000-4000-8000-000000000031"
        _ = try HTTPClient(daemon.socket).emit(
            Array(
                #"{"stardust_id":"\#(id)","entity_type":"clips","entity_id":"\#(id)","created_at":"2026-01-01T00:00:00Z","lineage":{"trace_id":"6dc6507795ec445c8c3fcb2eb2c73e14","event":"clip.made","worker":"w","_meta_parents":[]}}"#
                    .utf8))
        try daemon.feed(
            #"{"table":"clips","op":"insert","row":{"clip_id":"\#(id)","video_id":"d15057b1-5998-4f94-8c74-11d717f14579","start_time":1,"end_time":2,"pantheon_votes":{"a":1}}}"#
        )
        #expect(
            try kinds()["votes_differ"] == 2)
    }

    @Test(.needs(Repository.has("python3"), "python3 is not installed"))
    func `unfit logs are those that the schema refuses`() throws {
        let daemon = try Daemon()
        let documents = [
            "{}", "[]", "1", "\"text\"", "null", #"{"free":[1,{"deep":null}]}"#,
            #"{"entity_type":"clips","entity_id":"803dc396-5342-4b6b-9521-0fe8bd5ae575"}"#,
            #"{"entity_type":"clips"}"#, #"{"entity_id":"803dc396-5342-4b6b-9521-0fe8bd5ae575"}"#,
            #"{"entity_type":"clops","entity_id":"803dc396-5342-4b6b-9521-0fe8bd5ae575"}"#,
            #"{"entity_type":1,"entity_id":"803dc396-5342-4b6b-9521-0fe8bd5ae575"}"#,
            #"{"entity_type":"logs","entity_id":"803DC396-5342-4B6B-9521-0FE8BD5AE575"}"#,
            #"{"entity_type":"logs","entity_id":"803dc39653424b6b95210fe8bd5ae575"}"#,
            #"{"stardust_id":"803dc396-5342-4b6b-9521-0fe8bd5ae575"}"#, #"{"stardust_id":null}"#,
            #"{"stardust_id":"none"}"#,
            #"{"stardust_id":["803dc396-5342-4b6b-9521-0fe8bd5ae575"]}"#,
            #"{"entity_type":null,"entity_id":null}"#,
        ]
        for (number, document) in documents.enumerated() {
            let id = "00000000-0000-4000-8000-\(String(format: "%012x", number))"
            let answers = try daemon.feed(
                #"{"table":"logs","op":"insert","row":{"log_id":"\#(id)","source":"s","level":"l","message":"\#(number)","metadata":\#(document)}}"#
            )
            #expect(answers[0]["status"] as? Int == 200)
        }
        let findings =
            try HTTPClient(daemon.socket).get("/v1/model/drift").json["findings"]
            as? [[String: Any]] ?? []
        let ours = Set(
            findings.filter { $0["kind"] as? String == "log_unfit" }.compactMap {
                ($0["id"] as? String)?.suffix(2)
            }.compactMap { Int($0, radix: 16) })
        let script = """
            import json, sys, jsonschema
            schema = json.load(open('Docs/log-metadata.schema.json'))
            check = jsonschema.Draft202012Validator(schema)
            print(json.dumps([n for n, d in enumerate(json.load(sys.stdin)) if d is not None and not check.is_valid(d)]))
            """
        let result = try run(
            ["bash", "-c", "cd \(Repository.root) && python3 -c \"$1\"", "-", script],
            input: Array("[\(documents.joined(separator: ","))]".utf8))
        guard !result.error.contains("No module named 'jsonschema'") else {
            try Repository.skip(lacking: "python3-jsonschema")
        }
        let theirs = try JSONDecoder().decode(Set<Int>.self, from: Data(result.output.utf8))
        #expect(
            ours == theirs && theirs.count > 8,
            "\(ours.symmetricDifference(theirs)) \(result.error)")
    }

    @Test func `who may ask what`() throws {
        let daemon = try ExamplePipeline.daemonWithRows()
        let sqlite = try run([
            "sqlite3", "-readonly", daemon.ledger + "/model.sqlite",
            "PRAGMA integrity_check; PRAGMA foreign_key_check; SELECT count(*) FROM best_clip_per_video;",
        ])
        #expect(
            sqlite.status == 0 && sqlite.output.hasPrefix("ok\n"), "\(sqlite.output)\(sqlite.error)"
        )
        #expect(
            try HTTPClient(daemon.socket).request(
                "POST", "/v1/model/tables/clips", [], type: "application/json"
            ).status == 405)
        #expect(try HTTPClient(daemon.socket).get("/v1/model/changes").status == 405)
    }
}
