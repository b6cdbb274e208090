import DaemonTestSupport
import Foundation
import PipelineWorkload
import ReadModel
import TestSupport
import Testing

/// SQL of others, in the daemon: what it gives, and what it cannot do.
@Suite struct ModelSQLTests {
    static func sql(
        _ daemon: Daemon, _ sql: String, _ parameters: Any? = nil
    ) throws -> HTTPClient.Answer {
        var body: [String: Any] = ["sql": sql]
        body["parameters"] = parameters
        return try HTTPClient(daemon.socket).request(
            "POST", "/v1/model/sql", Array(try JSONSerialization.data(withJSONObject: body)),
            type: "application/json")
    }

    @Test func `SQL reads tables, views and the ledger`() throws {
        let daemon = try ExamplePipeline.daemonWithRows()
        let joined = try Self.sql(
            daemon,
            "SELECT c.clip_id, m.stardust_id, m.position, m.lineage FROM stardust_metadata m JOIN clips c ON c.clip_id = m.entity_id WHERE m.entity_type = :type AND m.entity_id = :id ORDER BY m.position",
            ["type": "clips", "id": ExamplePipeline.clip])
        let rows = joined.json["rows"] as? [[Any]] ?? []
        let history = try HTTPClient(daemon.socket).allIDs(
            "/v1/entities/clips/\(ExamplePipeline.clip)/packets")
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
    }

    @Test func `SQL can do nothing but read`() throws {
        let daemon = try ExamplePipeline.daemonWithRows()
        let before = try daemon.rows()
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
        #expect(try daemon.rows() == before)
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
        let daemon = try Daemon(configuration: "{\"query_ms_max\": 3000}")
        try daemon.feed(ExamplePipeline.changes())
        // What is not endless gets as much time as a busy machine needs.
        let patient = try Daemon(configuration: "{\"query_ms_max\": 120000}")
        try patient.feed(ExamplePipeline.changes())
        let endless =
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
        #expect(try Self.sql(daemon, endless).problemCode == "time_is_over")
        for sql in [
            "SELECT length(trim(printf('%.*c', 200000, 'a'), printf('%.*c', 200000, 'b') || 'a'))",
            "SELECT instr(printf('%.*c', 4000000, 'a'), printf('%.*c', 2000000, 'a') || 'b')",
            "SELECT length(replace(printf('%.*c', 2000000, 'a'), printf('%.*c', 1000000, 'a') || 'b', 'c'))",
        ] {
            #expect(try Self.sql(patient, sql).status == 200, "\(sql)")
        }
        #expect(
            try Self.sql(
                patient,
                "SELECT replace(printf('%.*c', 100000, 'a'), 'a', printf('%.*c', 1000, 'b'))"
            ).status == 400)
        // Preparing has the same bounds.
        var bomb = "WITH a0 AS (SELECT 1 n)"
        for level in 1...30 {
            bomb += ", a\(level) AS (SELECT count(*) n FROM a\(level - 1) x, a\(level - 1) y)"
        }
        let bombed = try Self.sql(daemon, bomb + " SELECT * FROM a30").problemCode ?? ""
        #expect(["too_much_memory", "time_is_over"].contains(bombed), "\(bombed)")
        #expect(try daemon.metric("process_resident_bytes") < 400 << 20)
        let wide = "SELECT " + (0..<20).map { _ in "m" }.joined(separator: ", ")
        let answer = try Self.sql(
            patient, wide + " FROM (SELECT printf('%.*c', 4000000, char(1)) AS m)")
        #expect(
            answer.json["cut"] as? Bool == true && answer.body.count < 1000,
            "\(answer.status) \(answer.text.prefix(300))")
        let greedy =
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100000000) SELECT count(DISTINCT printf('%.*c', 1000 + i % 100000, 'x') || i) FROM n"
        #expect([400, 503].contains(try Self.sql(daemon, greedy).status))
        #expect(try daemon.metric("process_resident_bytes") < 400 << 20)
        #expect(try Self.sql(daemon, "SELECT count(*) FROM clips").status == 200)
    }

    @Test func `functions of SQL are those that compute, and give what SQLite's give`() throws {
        let daemon = try ExamplePipeline.daemonWithRows()
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
                "SELECT count(*) FROM stardust_metadata WHERE entity_type = 'CLIPS' COLLATE NOCASE AND entity_id = '\(ExamplePipeline.clip)'",
                "[[1]]"
            ),
            ("SELECT position FROM stardust_metadata ORDER BY position LIMIT 2", "[[0],[1]]"),
        ] {
            let answer = try Self.sql(daemon, sql)
            #expect(answer.text.contains("\"rows\":\(expected),"), "\(sql): \(answer.text)")
        }
    }

    @Test func `the functions that the page lists are those that SQL may call`() throws {
        let page = try DocumentTests.blocks("text", in: "Docs/ReadModel.md")[0]
        let listed = page.split(whereSeparator: \.isWhitespace).map(String.init)
        #expect(listed == SQLFunctions.allowed.sorted())
        let daemon = try ExamplePipeline.daemonWithRows()
        for (sql, expected) in [
            (
                #"SELECT json_set('{"a":1}', '$.b', 2), json_remove('{"a":1}', '$.a')"#,
                #"{\"a\":1,\"b\":2}"#
            ),
            ("SELECT ceil(1.2), floor(-1.2), round(sqrt(2), 3), mod(7, 4)", "[2.0,-2.0,1.414,3.0]"),
        ] {
            let answer = try Self.sql(daemon, sql)
            #expect(answer.status == 200 && answer.text.contains(expected), "\(answer.text)")
        }
        let refused = try Self.sql(daemon, "SELECT json_patch('{}', '{}')")
        #expect(refused.status == 403 && refused.text.contains("Docs/ReadModel.md"))
        // The columns that the page lists are those that there are.
        let text = try Repository.text("Docs/ReadModel.md")
        for name in EngineSchema.tables.map(\.name) + EngineSchema.views + ["stardust_metadata"] {
            let answer = try Self.sql(daemon, "SELECT * FROM \(name) LIMIT 0")
            let columns = (answer.json["columns"] as? [String] ?? []).map { "`\($0)`" }
            #expect(text.contains("| `\(name)` | " + columns.joined(separator: ", ")), "\(name)")
        }
    }

    @Test func `lists and values may be long, and what is too long is said`() throws {
        let daemon = try Daemon(configuration: "{\"query_ms_max\": 60000}")
        try daemon.feed(ExamplePipeline.changes())
        let numbers = (0..<30_000).map(String.init).joined(separator: ",")
        let long = try Self.sql(daemon, "SELECT count(*) FROM clips WHERE rowid IN (\(numbers))")
        #expect(long.status == 200, "\(long.text)")
        let strings = (0..<10_000).map { "'\(SourceRow.id($0))'" }.joined(separator: ",")
        let longer = try Self.sql(daemon, "SELECT 1 FROM clips WHERE clip_id IN (\(strings))")
        #expect(
            longer.status == 400 && longer.text.contains("json_each(?)"), "\(longer.text)")
        let list = (0..<20_000).map { SourceRow.id($0) } + [ExamplePipeline.clip]
        let json = String(decoding: try JSONSerialization.data(withJSONObject: list), as: UTF8.self)
        let given = try Self.sql(
            daemon, "SELECT count(*) FROM clips WHERE clip_id IN (SELECT value FROM json_each(?))",
            [json])
        #expect((given.json["rows"] as? [[Int]])?.first == [1], "\(given.text)")
        try daemon.feed(
            #"{"table":"logs","op":"insert","row":{"log_id":"\#(SourceRow.id(1))","source":"s","level":"INFO","message":"\#(String(repeating: "m", count: 12 << 20))"}}"#
        )
        let counted = try Self.sql(daemon, "SELECT max(length(message)) FROM logs")
        #expect((counted.json["rows"] as? [[Int]])?.first == [12 << 20], "\(counted.text)")
    }

    @Test func `long questions hold up nobody else, and one's memory is not another's`() throws {
        let daemon = try ExamplePipeline.daemonWithRows()
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
        for path in [
            "/v1/model/status", "/v1/model/tables/clips", "/v1/packets?entity_type=clips",
            "/metrics",
        ] {
            #expect(try client.get(path).status == 200)
        }
        #expect(clients.contains { !$0.hasAnswer })
        for client in clients { #expect(try client.receive().problemCode == "time_is_over") }
        // And nobody who asks holds up the end.
        for client in clients {
            try client.send(
                "POST /v1/model/sql HTTP/1.1\r\nhost: x\r\ncontent-length: \(body.utf8.count)\r\n\r\n\(body)"
            )
        }
        usleep(200_000)
        #expect(daemon.stop() == 0)
    }

    @Test func `the command shows rows, and says what was wrong`() throws {
        let daemon = try ExamplePipeline.daemonWithRows()
        let shown = try daemon.stardust(
            "model", "sql", "SELECT clip_id, confidence FROM clips ORDER BY 1")
        let lines = shown.output.split(separator: "\n")
        #expect(lines.count == 8 && lines[0].hasPrefix("clip_id") && shown.status == 0)
        let json = try daemon.stardust(
            "model", "sql", "SELECT ?", "--parameters", "[null]", "--json")
        #expect(
            json.output.hasPrefix(#"{"columns":["?"],"rows":[[null]],"cut":false"#),
            "\(json.output)")
        let refused = try daemon.stardust("model", "sql", "DELETE FROM clips")
        #expect(refused.status == 77 && refused.error.contains("only statements that read"))
        #expect(
            try daemon.stardust("model", "sql", "SELECT", "--parameters", "{")
                .status == 65)
    }

    // MARK: Functions that take long

    @Test func `no function of SQL runs on past its time, nor holds up others or the end`() throws {
        let daemon = try Daemon(configuration: "{\"query_ms_max\": 500}")
        try daemon.feed(ExamplePipeline.changes())
        let long = "WITH t(s) AS MATERIALIZED (SELECT printf('%.*c', 4000000, 'a')) SELECT "
        let pattern = String(repeating: "%a", count: 90) + "%b"
        let calls = [
            "s LIKE '\(pattern)'", "s GLOB '\(pattern.replacing("%", with: "*"))'", "length(s)",
            "length(upper(s))", "instr(s, s || 'b')", "length(replace(s, 'a', 'b'))",
            "length(trim(s, 'a'))", "length(hex(s))", "length(s || s)", "unicode(s)",
        ]
        for call in calls {
            let sql = long + (0..<150).map { _ in call }.joined(separator: ", ") + " FROM t"
            let answer = try Self.sql(daemon, sql)
            #expect([200, 400, 503].contains(answer.status), "\(call): \(answer.text.prefix(200))")
            #expect(try Self.sql(daemon, "SELECT 1").status == 200)
        }
        let client = try HTTPClient(daemon.socket)
        let sql = long + (0..<150).map { _ in calls[0] }.joined(separator: ", ") + " FROM t"
        let body = String(
            decoding: try JSONSerialization.data(withJSONObject: ["sql": sql]), as: UTF8.self)
        try client.send(
            "POST /v1/model/sql HTTP/1.1\r\nhost: x\r\ncontent-length: \(body.utf8.count)\r\n\r\n\(body)"
        )
        #expect(daemon.stop() == 0)
    }

    @Test func `LIKE and GLOB match what SQLite's own match`() throws {
        let daemon = try Daemon()
        try daemon.feed(ExamplePipeline.changes())
        var generator = SeededGenerator(seed: 4)
        let letters = Array("abAB%_*?[]^-é\\").map(String.init)
        func text(_ most: Int) -> String {
            (0..<Int.random(in: 0...most, using: &generator)).map { _ in
                letters.randomElement(using: &generator)!
            }.joined()
        }
        var rows: [[String]] = []
        for _ in 0..<400 { rows.append([text(8), text(6)]) }
        let data = String(decoding: try JSONSerialization.data(withJSONObject: rows), as: UTF8.self)
        let sql =
            "SELECT json_extract(value, '$[0]') LIKE json_extract(value, '$[1]'), json_extract(value, '$[0]') GLOB json_extract(value, '$[1]'), json_extract(value, '$[0]') LIKE json_extract(value, '$[1]') ESCAPE 'a' FROM json_each("
        let quoted = "'" + data.replacing("'", with: "''") + "'"
        let answer = try Self.sql(daemon, sql + quoted + ")")
        #expect(answer.status == 200, "\(answer.text.prefix(300))")
        let ours = (answer.json["rows"] as? [[Int]] ?? []).map {
            $0.map(String.init).joined(separator: "|")
        }
        let file = try daemon.folder.file("query.sql", Array((sql + quoted + ");").utf8))
        let theirs = try run(["bash", "-c", "sqlite3 -list :memory: < \"$0\"", file])
        #expect(ours.count == 400 && ours == theirs.output.split(separator: "\n").map(String.init))
    }
}
