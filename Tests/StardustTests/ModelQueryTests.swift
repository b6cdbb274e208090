import Foundation
import TestSupport
import Testing

/// Questions to the read model: rows beside packets, SQL, drift.
@Suite struct ModelQueryTests {
    static let clip = ModelFeedTests.clip

    static func sql(
        _ daemon: Daemon, _ sql: String, _ parameters: Any? = nil
    ) throws -> HTTPClient.Answer {
        var body: [String: Any] = ["sql": sql]
        body["parameters"] = parameters
        return try HTTPClient(daemon.socket).request(
            "POST", "/v1/model/sql", Array(try JSONSerialization.data(withJSONObject: body)),
            type: "application/json")
    }

    static func rows(_ answer: HTTPClient.Answer) -> [[String: Any]] {
        answer.json["rows"] as? [[String: Any]] ?? []
    }

    // MARK: Rows

    @Test func `tables and views come by pages and filters`() throws {
        let daemon = try ModelFeedTests.daemon()
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
        let counted = try ModelFeedTests.sqlite(
            daemon, "SELECT count(*) FROM edit_jobs WHERE status = 'DONE' AND NOT gpu_required")
        #expect("\(Self.rows(done).count)" == counted && counted != "0")
        let one = try client.get("/v1/model/tables/clips?clip_id=\(Self.clip.uppercased())")
        #expect(Self.rows(one).count == 1)
        for view in [
            "latest_analysis_per_video", "best_clip_per_video", "pending_edit_jobs",
            "active_analysis_per_video",
        ] {
            let answer = try client.get("/v1/model/views/\(view)?limit=1")
            let standing = Int(try ModelFeedTests.sqlite(daemon, "SELECT count(*) FROM \(view)"))!
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
        let daemon = try ModelFeedTests.daemon()
        let client = try HTTPClient(daemon.socket)
        let answer = try client.get("/v1/model/tables/clips/\(Self.clip)").json
        let history = try client.allIDs("/v1/entities/clips/\(Self.clip)/packets")
        let packets = answer["packets"] as? [[String: Any]] ?? []
        #expect(packets.compactMap { $0["stardust_id"] as? String } == history && !history.isEmpty)
        let names = answer["names"] as? [[String: Any]] ?? []
        #expect(names.contains { $0["column"] as? String == "metadata" && $0["position"] is Int })
        // A log leads to the packet that it mirrors.
        let log = try ModelFeedTests.sqlite(
            daemon, "SELECT log_id FROM logs WHERE metadata LIKE '%\(Self.clip)%' LIMIT 1")
        let named = try client.get("/v1/model/tables/logs/\(log)").json["names"] as? [[String: Any]]
        let id = try #require(named?.first?["stardust_id"] as? String)
        #expect(try client.get("/v1/packets/\(id)").status == 200)
    }

    @Test func `chains carry the rows of their entities`() throws {
        let daemon = try ModelFeedTests.daemon()
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
        try ModelFeedTests.feed(daemon, #"{"table":"clips","op":"truncate"}"#)
        let after = try client.get(path + "?rows=true").json["rows"] as? [String: Any]
        let clips = (after?["entities"] as? [[String: Any]] ?? []).filter {
            $0["entity_type"] as? String == "clips"
        }
        #expect(!clips.isEmpty && clips.allSatisfy { $0["row"] is NSNull })
        #expect(try client.get(path + "?rows=true&format=dot").status == 400)
        let shown = try QueryCommandTests.stardust(
            daemon, "chain", "upload_jobs", "ea449f21-0b86-453d-b01c-f829430c2e33", "--rows")
        #expect(shown.status == 0 && shown.output.contains(#""rows":{"lsn":"#))
        #expect(try client.get(path + "?rows=perhaps").status == 400)
        let bare = try QueryCommandTests.pipeline()
        #expect(try HTTPClient(bare.socket).get(path + "?rows=true").problemCode == "no_model")
        #expect(try HTTPClient(bare.socket).get(path).status == 200)
    }

    // MARK: SQL

    @Test func `SQL reads tables, views and the ledger`() throws {
        let daemon = try ModelFeedTests.daemon()
        let joined = try Self.sql(
            daemon,
            "SELECT c.clip_id, m.stardust_id, m.position, m.lineage FROM stardust_metadata m JOIN clips c ON c.clip_id = m.entity_id WHERE m.entity_type = :type AND m.entity_id = :id ORDER BY m.position",
            ["type": "clips", "id": Self.clip])
        let rows = joined.json["rows"] as? [[Any]] ?? []
        let history = try HTTPClient(daemon.socket).allIDs(
            "/v1/entities/clips/\(Self.clip)/packets")
        #expect(
            rows.map { $0[1] as? String } == history && rows.first?[3] is [String: Any],
            "\(joined.text)")
        #expect(
            joined.json["columns"] as? [String] == [
                "clip_id", "stardust_id", "position", "lineage",
            ])
        #expect(joined.json["ledger_size"] as? Int == 60)
        let count = try Self.sql(
            daemon, "SELECT count(*) FROM stardust_metadata WHERE created_at >= ?",
            ["2026-01-01T00:00:00Z"])
        #expect((count.json["rows"] as? [[Int]])?.first == [60])
        let page = try Self.sql(
            daemon,
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n")
        #expect(
            page.json["cut"] as? Bool == true && (page.json["rows"] as? [[Int]])?.count == 10_000)
        #expect(
            try Self.sql(daemon, "SELECT json_extract(metadata, '$.stardust_id') FROM clips").status
                == 200)
        #expect(try Self.sql(daemon, "EXPLAIN QUERY PLAN SELECT * FROM clips").status != 500)
    }

    @Test func `SQL can do nothing but read`() throws {
        let daemon = try ModelFeedTests.daemon()
        let before = try ModelFeedTests.content(daemon)
        for sql in [
            "DELETE FROM clips", "INSERT INTO logs DEFAULT VALUES",
            "UPDATE clips SET confidence = 1",
            "DROP TABLE clips", "CREATE TABLE t (a)", "CREATE TEMP TABLE t (a)",
            "CREATE TEMP VIEW v AS SELECT 1",
            "ATTACH '/tmp/x' AS x", "ATTACH ':memory:' AS x", "DETACH main", "VACUUM",
            "VACUUM INTO '/tmp/x'",
            "PRAGMA journal_mode", "PRAGMA query_only = OFF",
            "SELECT * FROM pragma_table_info('clips')",
            "SELECT load_extension('x')", "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT s", "REINDEX",
            "ANALYZE",
            "DELETE FROM stardust_metadata", "REPLACE INTO model_state (id) VALUES (1)",
            "CREATE VIRTUAL TABLE t USING fts5(a)", "SELECT 1 FROM clips; DELETE FROM clips",
            "WITH x AS (SELECT 1) DELETE FROM clips",
            "SELECT * FROM clips WHERE clip_id = (DELETE FROM clips RETURNING 1)",
            "DELETE FROM clips RETURNING clip_id", "SELECT writefile('/tmp/x', 'y')",
            "SELECT readfile('/etc/passwd')",
        ] {
            let answer = try Self.sql(daemon, sql)
            #expect([400, 403].contains(answer.status), "\(sql): \(answer.text)")
        }
        for sql in [
            "DELETE FROM clips", "ATTACH ':memory:' AS x", "PRAGMA journal_mode",
            "CREATE TABLE t (a)", "VACUUM", "INSERT INTO logs DEFAULT VALUES",
        ] {
            #expect(try Self.sql(daemon, sql).status == 403, "\(sql)")
        }
        #expect(try ModelFeedTests.content(daemon) == before)
        for (sql, parameters, status, words) in [
            ("SELEC 1", nil, 400, "syntax error"), ("", nil, 400, "no statement"),
            ("SELECT colour FROM clips", nil, 400, "no such column"),
            ("SELECT ?", [1, 2], 400, "1 parameters, not 2"),
            ("SELECT :a", ["b": 1], 400, "no parameter b"),
        ] as [(String, Any?, Int, String)] {
            let answer = try Self.sql(daemon, sql, parameters)
            #expect(
                answer.status == status && answer.text.contains(words), "\(sql): \(answer.text)")
        }
        let client = try HTTPClient(daemon.socket)
        for body in ["[]", "{}", "{\"sql\":1}", "{"] {
            #expect(
                try client.request(
                    "POST", "/v1/model/sql", Array(body.utf8), type: "application/json"
                ).status == 400)
        }
        #expect(try client.get("/v1/model/sql").status == 405)
    }

    @Test func `SQL has bounds of time and memory, and others go on`() throws {
        let daemon = try Daemon(configuration: "{\"query_ms_max\": 400}")
        try ModelFeedTests.feed(
            daemon, String(decoding: try ModelFeedTests.changes(), as: UTF8.self))
        let endless =
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
        let start = ContinuousClock.now
        #expect(try Self.sql(daemon, endless).problemCode == "time_is_over")
        #expect(ContinuousClock.now - start < .seconds(5))
        for sql in [
            "SELECT length(trim(printf('%.*c', 200000, 'a'), printf('%.*c', 200000, 'b') || 'a'))",
            "SELECT instr(printf('%.*c', 4000000, 'a'), printf('%.*c', 2000000, 'a') || 'b')",
            "SELECT length(replace(printf('%.*c', 2000000, 'a'), printf('%.*c', 1000000, 'a') || 'b', 'c'))",
        ] {
            let start = ContinuousClock.now
            #expect(try Self.sql(daemon, sql).status == 200, "\(sql)")
            #expect(ContinuousClock.now - start < .seconds(10), "\(sql)")
        }
        #expect(
            try Self.sql(daemon, "SELECT replace(printf('%.*c', 1000000, 'a'), 'a', 'bbbbbbbb')")
                .status == 400)
        // Preparing has the same bounds.
        var bomb = "WITH a0 AS (SELECT 1 n)"
        for level in 1...30 {
            bomb += ", a\(level) AS (SELECT count(*) n FROM a\(level - 1) x, a\(level - 1) y)"
        }
        #expect(try Self.sql(daemon, bomb + " SELECT * FROM a30").problemCode == "too_much_memory")
        #expect(try HostileTests.metric("process_resident_bytes", daemon) < 400 << 20)
        let wide = "SELECT " + (0..<20).map { _ in "m" }.joined(separator: ", ")
        let answer = try Self.sql(
            daemon, wide + " FROM (SELECT printf('%.*c', 4000000, char(1)) AS m)")
        #expect(answer.json["cut"] as? Bool == true && answer.body.count < 1000)
        let greedy =
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100000000) SELECT count(DISTINCT printf('%.*c', 1000 + i % 100000, 'x') || i) FROM n"
        #expect([400, 503].contains(try Self.sql(daemon, greedy).status))
        #expect(try HostileTests.metric("process_resident_bytes", daemon) < 400 << 20)
        #expect(try Self.sql(daemon, "SELECT count(*) FROM clips").status == 200)
    }

    @Test func `functions of SQL are those that compute, and give what SQLite's give`() throws {
        let daemon = try ModelFeedTests.daemon()
        for sql in [
            "SELECT fts3_tokenizer('simple')",
            "SELECT fts3_tokenizer('simple', x'4141414141414141')",
            "SELECT randomblob(9)", "SELECT zeroblob(9)", "SELECT sqlite_version()",
            "SELECT sqlite_source_id()",
            "SELECT * FROM fts3tokenize('simple')", "SELECT * FROM pragma_table_info('clips')",
            "SELECT * FROM dbstat", "SELECT * FROM sqlite_dbpage", "SELECT load_extension('x')",
        ] {
            let answer = try Self.sql(daemon, sql)
            #expect([400, 403].contains(answer.status), "\(sql): \(answer.text)")
        }
        for (sql, expected) in [
            ("SELECT value FROM json_each('[1,\"a\"]')", #"[[1],["a"]]"#),
            ("SELECT count(*) > 5 FROM clips, json_each(semantic_tags)", "[[1]]"),
            ("SELECT count(*) > 5 FROM clips, json_tree(pantheon_votes)", "[[1]]"),
            (
                "SELECT instr('ü🎬a', 'a'), instr('abc', 'x'), instr('abc', ''), instr(NULL, 'a'), instr(12345, 34)",
                "[[3,0,1,null,3]]"
            ),
            (
                "SELECT replace('aXbX', 'X', '--'), replace('a', '', 'b'), replace('a', 'a', NULL), replace('aaa', 'aa', 'b')",
                #"[["a--b--","a",null,"ba"]]"#
            ),
            (
                "SELECT trim('xxüyx', 'xü'), ltrim('xay', 'xy'), rtrim('xay', 'yx'), trim('  b '), trim('b', '')",
                #"[["y","ay","xa","b","b"]]"#
            ),
            // What is not JSON is a string, whatever the first part of a union was declared as.
            (
                #"SELECT metadata FROM clips WHERE 0 UNION ALL SELECT '], "rows": [nope'"#,
                #"[["], \"rows\": [nope"]]"#
            ),
            ("SELECT gpu_required FROM edit_jobs WHERE 0 UNION ALL SELECT 7", "[[7]]"),
            ("SELECT count(*) FROM stardust_metadata WHERE position = 3.0", "[[1]]"),
            (
                "SELECT count(*) FROM stardust_metadata WHERE position >= 50 AND position < 55.5",
                "[[6]]"
            ),
            (
                "SELECT count(*) FROM stardust_metadata WHERE position > 50 AND position <= 55",
                "[[5]]"
            ),
            (
                "SELECT count(*) FROM stardust_metadata WHERE entity_type = 'CLIPS' COLLATE NOCASE AND entity_id = '\(Self.clip)'",
                "[[1]]"
            ),
            ("SELECT position FROM stardust_metadata ORDER BY position LIMIT 2", "[[0],[1]]"),
        ] {
            let answer = try Self.sql(daemon, sql)
            #expect(answer.text.contains("\"rows\":\(expected),"), "\(sql): \(answer.text)")
        }
    }

    @Test func `long questions hold up nobody else, and one's memory is not another's`() throws {
        let daemon = try ModelFeedTests.daemon()
        let slow =
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
        let clients = try (0..<8).map { _ in try HTTPClient(daemon.socket) }
        let body = #"{"sql": "\#(slow)"}"#
        for client in clients {
            try client.send(
                "POST /v1/model/sql HTTP/1.1\r\nhost: x\r\ncontent-length: \(body.utf8.count)\r\n\r\n\(body)"
            )
        }
        usleep(300_000)
        let client = try HTTPClient(daemon.socket)
        let start = ContinuousClock.now
        for path in [
            "/v1/model/status", "/v1/model/tables/clips", "/v1/packets?entity_type=clips",
            "/metrics",
        ] {
            #expect(try client.get(path).status == 200)
        }
        #expect(ContinuousClock.now - start < .seconds(3))
        for client in clients { #expect(try client.receive().problemCode == "time_is_over") }
        // And nobody who asks holds up the end.
        for client in clients {
            try client.send(
                "POST /v1/model/sql HTTP/1.1\r\nhost: x\r\ncontent-length: \(body.utf8.count)\r\n\r\n\(body)"
            )
        }
        usleep(200_000)
        let stopping = ContinuousClock.now
        #expect(daemon.stop() == 0)
        #expect(ContinuousClock.now - stopping < .seconds(3))
    }

    @Test func `the command shows rows, and says what was wrong`() throws {
        let daemon = try ModelFeedTests.daemon()
        let shown = try QueryCommandTests.stardust(
            daemon, "model", "sql", "SELECT clip_id, confidence FROM clips ORDER BY 1")
        let lines = shown.output.split(separator: "\n")
        #expect(lines.count == 8 && lines[0].hasPrefix("clip_id") && shown.status == 0)
        let json = try QueryCommandTests.stardust(
            daemon, "model", "sql", "SELECT ?", "--parameters", "[null]", "--json")
        #expect(
            json.output.hasPrefix(#"{"columns":["?"],"rows":[[null]],"cut":false"#),
            "\(json.output)")
        let refused = try QueryCommandTests.stardust(daemon, "model", "sql", "DELETE FROM clips")
        #expect(refused.status == 77 && refused.error.contains("only statements that read"))
        #expect(
            try QueryCommandTests.stardust(daemon, "model", "sql", "SELECT", "--parameters", "{")
                .status == 65)
    }

    // MARK: Agreement

    @Test func `drift is nothing, or told by kind and place`() throws {
        let daemon = try ModelFeedTests.daemon()
        let clean = try QueryCommandTests.stardust(daemon, "model", "drift")
        #expect(
            clean.status == 0 && clean.output.contains("clips         7 of 7 rows"),
            "\(clean.output)\(clean.error)")
        let upload = "ea449f21-0b86-453d-b01c-f829430c2e33"
        let other = try ModelFeedTests.sqlite(
            daemon, "SELECT clip_id FROM clips WHERE clip_id <> '\(Self.clip)' LIMIT 1")
        let embedded = try ModelFeedTests.sqlite(
            daemon,
            "SELECT json_extract(metadata, '$.stardust_id') FROM clips WHERE clip_id = '\(other)'")
        try ModelFeedTests.feed(
            daemon,
            [
                #"{"table":"creators","op":"insert","row":{"creator_id":"00000000-0000-4000-8000-000000000001","platform":"p","username":"u"}}"#,
                #"{"table":"upload_jobs","op":"delete","row":{"upload_job_id":"\#(upload)"}}"#,
                #"{"table":"clips","op":"update","row":{"clip_id":"\#(Self.clip)","metadata":{"stardust_id":"\#(embedded)"},"pantheon_votes":{"nobody":1}}}"#,
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
                "clips/\(Self.clip)", "clips/\(other)",
                "edit_jobs/00000000-0000-4000-8000-000000000001",
            ])
        #expect(
            findings.contains {
                ($0["detail"] as? String)?.hasPrefix("operations/0/stardust_id: there is no packet")
                    == true
            })
        #expect(found("votes_differ") == ["clips/\(Self.clip)"])
        #expect(found("log_unfit") == ["logs/00000000-0000-4000-8000-000000000001"])
        let counts = answer["counts"] as? [String: Int]
        #expect(counts?.values.reduce(0, +) == findings.count)
        let told = try QueryCommandTests.stardust(daemon, "model", "drift")
        #expect(told.status == 1 && told.output.contains("votes_differ  clips/\(Self.clip)"))
        let status = try HTTPClient(daemon.socket).get("/v1/model/status").json
        #expect(status["logs_unfit"] as? Int == 1)
        let orphans = status["orphans"] as? [[String: Any]] ?? []
        #expect(
            orphans.contains { $0["table"] as? String == "edit_jobs" && $0["rows"] as? Int == 1 })
        #expect((status["tables"] as? [String: Int])?["creators"] == 2)
    }

    @Test func `votes that are equal as JSON are no drift, and votes without a packet are`() throws
    {
        let daemon = try ModelFeedTests.daemon()
        let votes = try ModelFeedTests.sqlite(
            daemon, "SELECT pantheon_votes FROM clips WHERE clip_id = '\(Self.clip)'")
        let object = try JSONDecoder().decode([String: Double].self, from: Data(votes.utf8))
        let spelt = object.map { #""\#($0.key)":\#($0.value)00e0"# }.joined(separator: ",")
        try ModelFeedTests.feed(
            daemon,
            #"{"table":"clips","op":"update","row":{"clip_id":"\#(Self.clip)","pantheon_votes":{\#(spelt)}}}"#
        )
        func kinds() throws -> [String: Int] {
            try HTTPClient(daemon.socket).get("/v1/model/drift").json["counts"] as? [String: Int]
                ?? [:]
        }
        #expect(try kinds()["votes_differ"] == 0)
        try ModelFeedTests.feed(
            daemon,
            #"{"table":"clips","op":"update","row":{"clip_id":"\#(Self.clip)","pantheon_votes":null}}"#
        )
        #expect(try kinds()["votes_differ"] == 1)
        let id = "00000000-0000-4000-8000-000000000031"
        _ = try HTTPClient(daemon.socket).emit(
            Array(
                #"{"stardust_id":"\#(id)","entity_type":"clips","entity_id":"\#(id)","created_at":"2026-01-01T00:00:00Z","lineage":{"trace_id":"6dc6507795ec445c8c3fcb2eb2c73e14","event":"clip.made","worker":"w","_meta_parents":[]}}"#
                    .utf8))
        try ModelFeedTests.feed(
            daemon,
            #"{"table":"clips","op":"insert","row":{"clip_id":"\#(id)","video_id":"d15057b1-5998-4f94-8c74-11d717f14579","start_time":1,"end_time":2,"pantheon_votes":{"a":1}}}"#
        )
        #expect(
            try kinds()["votes_differ"] == 2)
    }

    @Test(.enabled(if: Repository.has("python3"), "python3 is not installed"))
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
            let answers = try ModelFeedTests.feed(
                daemon,
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
            #expect(
                ProcessInfo.processInfo.environment["CI"] == nil, "python3-jsonschema is missing")
            return
        }
        let theirs = try JSONDecoder().decode(Set<Int>.self, from: Data(result.output.utf8))
        #expect(
            ours == theirs && theirs.count > 8,
            "\(ours.symmetricDifference(theirs)) \(result.error)")
    }

    @Test func `who may ask what`() throws {
        let daemon = try ModelFeedTests.daemon()
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
