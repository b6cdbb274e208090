import DaemonTestSupport
import Foundation
import PipelineWorkload
import TestSupport
import Testing

/// The change feed and what is asked of the read model, over the socket of the real program.
@Suite struct ModelFeedTests {
    // MARK: What is applied

    @Test func `a feed again changes nothing, and survives kills`() throws {
        let daemon = try ExamplePipeline.daemonWithRows()
        let before = try daemon.rows()
        #expect(before.contains("creator_00000"))
        let again = try daemon.feed(ExamplePipeline.changes())
        #expect(again.allSatisfy { $0["outcome"] as? String == "skipped" })
        daemon.kill()
        try daemon.start()
        #expect(try daemon.rows() == before)
        // Without positions an insert of a row that stands is no change.
        let log =
            #"{"table":"logs","op":"insert","row":{"log_id":"83927eb3-5316-470e-8cb0-000000000001","source":"a","level":"INFO","message":"b","created_at":"2026-01-01T00:00:00Z"}}"#
        #expect(try daemon.feed(log)[0]["outcome"] as? String == "applied")
        #expect(try daemon.feed(log)[0]["outcome"] as? String == "unchanged")
    }

    /// Row changes as statements that leave reading the values to PostgreSQL.
    static func statements(_ changes: [UInt8]) throws -> String {
        try changes.split(separator: 0x0A).map { line in
            let change = try JSONSerialization.jsonObject(with: Data(line)) as? [String: Any] ?? [:]
            let (table, row) = (
                change["table"] as? String ?? "", change["row"] as? [String: Any] ?? [:]
            )
            let columns = row.keys.sorted().joined(separator: ", ")
            let json = String(
                decoding: try JSONSerialization.data(withJSONObject: row), as: UTF8.self
            )
            .replacingOccurrences(of: "'", with: "''")
            let record = "SELECT \(columns) FROM json_populate_record(NULL::\(table), '\(json)')"
            let key = table == "analysis" ? "analysis_id" : "\(table.dropLast())_id"
            return change["op"] as? String == "insert"
                ? "INSERT INTO \(table) (\(columns)) \(record);"
                : "UPDATE \(table) SET (\(columns)) = (\(record)) WHERE \(key) = '\(row[key]!)';"
        }.joined(separator: "\n")
    }

    @Test(.needs(PostgresServer.obstacle == nil, "PostgreSQL 15 is not installed"))
    func `the example's feed gives the rows that PostgreSQL makes of it`() throws {
        let server = try PostgresServer()
        try server.makeEngine("postgres")
        try server.psql(try Self.statements(Array(ExamplePipeline.changes().utf8)))
        let comparison = try ExamplePipeline.daemonWithRows().compareRows(with: server)
        #expect(comparison.differences == [] && comparison.rows.values.allSatisfy { $0 > 0 })
        #expect(comparison.views["best_clip_per_video"]! > 0)
    }

    @Test(.needs(PostgresServer.obstacle == nil, "PostgreSQL 15 is not installed"))
    func `the workload's feed gives the tables that PostgreSQL has of the same rows`() throws {
        let changes = Pipeline(creators: 5).changes
        let sql = changes.map(\.statement).joined(separator: "\n")
        let feed = changes.map(\.feedLine).joined(separator: "\n")
        let server = try PostgresServer()
        try server.makeEngine("postgres")
        try server.psql(sql)
        let daemon = try Daemon()
        let answers = try daemon.feed(feed)
        #expect(answers.count > 1000 && answers.allSatisfy { $0["status"] as? Int == 200 })
        let comparison = try daemon.compareRows(with: server)
        #expect(comparison.isEqualAndFull, "\(comparison)")
    }

    @Test func `every value comes back as it went in`() throws {
        let daemon = try Daemon()
        let id = "803dc396-5342-4b6b-9521-0fe8bd5ae575"
        let row =
            #"{"clip_id":"803DC396-5342-4B6B-9521-0FE8BD5AE575","video_id":"d15057b1-5998-4f94-8c74-11d717f14579","start_time":5e-324,"end_time":1.7976931348623157e308,"confidence":"NaN","lattice_priority":"-Infinity","semantic_tags":["null",null,"\"q\"","\\","ü🎬\u0001\n"],"pantheon_votes":{"b":1.0000,"aa":123456789012345678901234567890,"c":[1e2,-0.0,null,true,"é"]},"metadata":null}"#
        #expect(
            try daemon.feed(#"{"table":"clips","op":"insert","row":"# + row + "}")[0][
                "status"] as? Int == 200)
        let answer = try HTTPClient(daemon.socket).get("/v1/model/tables/clips/\(id)").text
        for part in [
            #""clip_id":"803dc396-5342-4b6b-9521-0fe8bd5ae575""#, #""start_time":5e-324"#,
            #""end_time":1.7976931348623157e+308"#, #""confidence":"NaN""#,
            #""lattice_priority":"-Infinity""#,
            #""semantic_tags":["null",null,"\"q\"","\\","ü🎬\u0001\n"]"#,
            #""pantheon_votes":{"b": 1.0000, "c": [100, 0.0, null, true, "é"], "aa": 123456789012345678901234567890}"#,
            #""metadata":null"#,
        ] {
            #expect(answer.contains(part), "\(part) in \(answer)")
        }
        for (sent, kept) in [
            ("2026-01-01T00:00:00.5Z", "2026-01-01T00:00:00.500000Z"), ("infinity", "infinity"),
            ("-infinity", "-infinity"),
            ("+294276-12-31T23:59:59.999999Z", "+294276-12-31T23:59:59.999999Z"),
            ("-4712-01-01T00:00:00Z", "-4712-01-01T00:00:00.000000Z"),
        ] {
            let change =
                #"{"table":"posts","op":"truncate"}"# + "\n"
                + #"{"table":"posts","op":"insert","row":{"post_id":"\#(id)","creator_id":"\#(id)","platform_post_id":"","url":"","posted_at":"\#(sent)"}}"#
            #expect(
                try daemon.feed(change).allSatisfy { $0["status"] as? Int == 200 }, "\(sent)")
            #expect(try daemon.sqlite("SELECT posted_at FROM posts") == kept)
        }
    }

    // MARK: What is refused

    @Test func `a bad line is refused by table, column and value, and harms no other`() throws {
        let daemon = try ExamplePipeline.daemonWithRows()
        let before = try daemon.rows()
        let row = #""clip_id":"\#(ExamplePipeline.clip)""#
        let cases:
            [(
                line: String, status: Int, code: String, table: String?, column: String?,
                value: String?
            )] = [
                (
                    #"{"table":"clops","op":"insert","row":{}}"#, 422, "unknown_table", "clops",
                    nil, nil
                ),
                (
                    #"{"table":"clips","op":"update","row":{\#(row),"colour":"red"}}"#, 422,
                    "unknown_column", "clips", "colour", "\"red\""
                ),
                (
                    #"{"table":"clips","op":"update","row":{\#(row),"confidence":"high"}}"#, 422,
                    "wrong_type", "clips", "confidence", "\"high\""
                ),
                (
                    #"{"table":"clips","op":"update","row":{\#(row),"semantic_tags":[1]}}"#, 422,
                    "wrong_type", "clips", "semantic_tags", "[1]"
                ),
                (
                    #"{"table":"posts","op":"update","row":{"post_id":"\#(ExamplePipeline.clip)","posted_at":"2026-01-01T00:00:00+01:00"}}"#,
                    422, "wrong_type", "posts", "posted_at", "\"2026-01-01T00:00:00+01:00\""
                ),
                (
                    #"{"table":"posts","op":"update","row":{"post_id":"\#(ExamplePipeline.clip)","posted_at":"2026-01-01T00:00:00.1234567Z"}}"#,
                    422, "wrong_type", "posts", "posted_at", nil
                ),
                (
                    #"{"table":"videos","op":"update","row":{"video_id":"\#(ExamplePipeline.clip)","duration_seconds":2147483648}}"#,
                    422, "wrong_type", "videos", "duration_seconds", "2147483648"
                ),
                (
                    #"{"table":"clips","op":"update","row":{\#(row),"start_time":9,"end_time":8}}"#,
                    422, "check_violated", "clips", "end_time", "end_time = 8.0, start_time = 9.0"
                ),
                (
                    #"{"table":"clips","op":"update","row":{\#(row),"start_time":null}}"#, 422,
                    "missing_value", "clips", "start_time", "null"
                ),
                (
                    #"{"table":"logs","op":"insert","row":{"log_id":"83927eb3-5316-170e-8cb0-000000000001","source":"a","level":"b","message":"c"}}"#,
                    422, "check_violated", "logs", "log_id", "83927eb3-5316-170e-8cb0-000000000001"
                ),
                (
                    #"{"table":"logs","op":"insert","row":{"log_id":"83927eb3-5316-470e-8cb0-000000000001","source":"a"}}"#,
                    422, "missing_value", "logs", "level", nil
                ),
                (
                    #"{"table":"clips","op":"delete","row":{"clip_id":"803dc396-5342-4b6b-9521-000000000000"}}"#,
                    404, "row_not_found", "clips", "clip_id", "803dc396-5342-4b6b-9521-000000000000"
                ),
                (
                    #"{"table":"clips","op":"update","row":{"confidence":1}}"#, 422,
                    "missing_value", "clips", "clip_id", nil
                ),
                (
                    #"{"table":"clips","op":"insert","row":{\#(row),"video_id":"d15057b1-5998-4f94-8c74-11d717f14579","start_time":1,"end_time":2}}"#,
                    409, "not_unique", "clips", "clip_id", nil
                ),
                (
                    #"{"table":"clips","op":"upsert","row":{}}"#, 400, "not_a_change", nil, nil,
                    "\"upsert\""
                ),
                (#"{"table":"clips","op":"insert","rows":{}}"#, 400, "not_a_change", nil, nil, nil),
                (#"{"op":"commit"}"#, 400, "not_a_change", nil, nil, nil),
                (
                    #"{"table":"clips","op":"truncate","lsn":"x"}"#, 400, "not_a_change", nil, nil,
                    #""x""#
                ),
                (#"{"table":"clips""#, 400, "unexpected_end", nil, nil, nil),
                ("[]", 400, "not_a_change", nil, nil, nil),
            ]
        func log(_ number: Int) -> String {
            #""log_id":"83927eb3-5316-470e-8cb0-\#(String(format: "%012x", number))""#
        }
        let lines = cases.enumerated().map { number, item in
            item.line + "\n\n"
                + #"{"table":"logs","op":"insert","row":{\#(log(number)),"source":"good","level":"INFO","message":"m"}}"#
        }
        let answers = try daemon.feed(lines.joined(separator: "\n"))
        #expect(answers.count == cases.count * 2)
        for (number, item) in cases.enumerated() {
            let answer = answers[number * 2]
            let problem = answer["problem"] as? [String: Any] ?? [:]
            #expect(answer["status"] as? Int == item.status, "\(item.line): \(answer)")
            #expect(problem["type"] as? String == "urn:stardust:error:\(item.code)", "\(answer)")
            #expect(problem["line"] as? Int == number * 3 + 1)
            #expect(item.table == nil || problem["table"] as? String == item.table, "\(answer)")
            #expect(item.column == nil || problem["column"] as? String == item.column, "\(answer)")
            #expect(item.value == nil || problem["value"] as? String == item.value, "\(answer)")
            #expect(answers[number * 2 + 1]["outcome"] as? String == "applied")
        }
        #expect(
            try daemon.sqlite("SELECT count(*) FROM logs WHERE source = 'good'")
                == "\(cases.count)")
        let deletions = cases.indices.map {
            #"{"table":"logs","op":"delete","row":{\#(log($0))}}"#
        }
        try daemon.feed(deletions.joined(separator: "\n"))
        #expect(try daemon.rows() == before)
    }

    @Test func `a transaction is applied whole or not at all`() throws {
        let daemon = try ExamplePipeline.daemonWithRows()
        let before = try daemon.rows()
        func delete(_ id: String) -> String {
            #"{"table":"clips","op":"delete","row":{"clip_id":"\#(id)"}}"#
        }
        let doomed = [
            #"{"op":"begin"}"#, delete(ExamplePipeline.clip),
            delete("803dc396-5342-4b6b-9521-000000000000"),
            delete(ExamplePipeline.clip), #"{"op":"commit"}"#,
        ]
        let answers = try daemon.feed(doomed.joined(separator: "\n"))
        #expect(answers.map { $0["status"] as? Int } == [409, 409, 404, 409, 409])
        #expect(try daemon.rows() == before)
        // Rolled back on purpose, and by the end of the feed.
        let undone = try daemon.feed(
            [#"{"op":"begin"}"#, delete(ExamplePipeline.clip), #"{"op":"rollback"}"#].joined(
                separator: "\n"))
        #expect(
            undone.map { $0["outcome"] as? String } == [
                "rolled_back", "rolled_back", "rolled_back",
            ])
        let open = try daemon.feed(
            [#"{"op":"begin"}"#, delete(ExamplePipeline.clip)].joined(separator: "\n"))
        #expect(open.map { $0["outcome"] as? String } == ["rolled_back", "rolled_back"])
        #expect(try daemon.rows() == before)
        // A client that goes away in the middle.
        let client = try HTTPClient(daemon.socket)
        let text = #"{"op":"begin"}"# + "\n" + delete(ExamplePipeline.clip) + "\n"
        try client.send(
            "POST /v1/model/changes HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-ndjson\r\ncontent-length: 9999\r\n\r\n"
                + text)
        // The answer begins once the daemon has applied what came so far.
        #expect(try client.receiveHead().status == 200)
        let busy = try HTTPClient(daemon.socket).request(
            "POST", "/v1/model/changes", Array(text.utf8), type: "application/x-ndjson")
        #expect(busy.status == 503 && busy.problemCode == "feed_busy")
        #expect(try daemon.rows() == before)
        withExtendedLifetime(client) {}
    }

    @Test func `a line that was refused and mended is taken, whatever came after it`() throws {
        let daemon = try Daemon()
        func creator(_ number: Int, _ lsn: String, _ more: String) -> String {
            #"{"table":"creators","op":"insert","row":{"creator_id":"00000000-0000-4000-8000-00000000000\#(number)","platform":"p"\#(more)},"lsn":"\#(lsn)"}"#
        }
        func outcomes(_ lines: String...) throws -> [String] {
            try daemon.feed(lines.joined(separator: "\n")).map {
                $0["outcome"] as? String ?? "\($0["status"] as? Int ?? 0)"
            }
        }
        let (bad, good) = (creator(1, "1/1", ""), creator(1, "1/1", #","username":"a""#))
        let other = creator(2, "1/2", #","username":"b""#)
        #expect(try outcomes(bad, other) == ["422", "applied"])
        daemon.kill()
        try daemon.start()
        #expect(try outcomes(good, other) == ["applied", "skipped"])
        #expect(try outcomes(good, other) == ["skipped", "skipped"])
        // A transaction that was rolled back is owed as a whole.
        let (begin, commit) = (#"{"op":"begin"}"#, #"{"op":"commit"}"#)
        let third = creator(3, "1/3", #","username":"c""#)
        #expect(
            try outcomes(
                begin, third, creator(4, "1/4", ""), commit, creator(5, "1/5", #","username":"e""#))
                == ["rolled_back", "rolled_back", "422", "rolled_back", "applied"])
        #expect(
            try outcomes(begin, third, creator(4, "1/4", #","username":"d""#), commit)
                == ["applied", "applied", "applied", "applied"])
        #expect(
            try daemon.sqlite(
                "SELECT group_concat(username, '') FROM (SELECT * FROM creators ORDER BY 1)"
            ) == "abcde")
        #expect(try outcomes(begin, third, commit) == ["applied", "skipped", "applied"])
        #expect(try daemon.sqlite("SELECT refused_lsns IS NULL FROM model_state") == "1")
    }

    @Test func `also where the line itself could not be read`() throws {
        func creator(_ number: Int, _ op: String = "insert") -> String {
            #"{"table":"creators","op":"\#(op)","row":{"creator_id":"00000000-0000-4000-8000-00000000000\#(number)","platform":"p","username":"\#(number)"},"lsn":"0/1\#(number)"}"#
        }
        let (begin, commit) = (#"{"op":"begin"}"#, #"{"op":"commit"}"#)
        for bad in [
            creator(2, "isnert"), String(creator(2).prefix(90)),
            creator(2).replacingOccurrences(of: "0/12", with: "x"),
        ] {
            for isWhole in [false, true] {
                let daemon = try Daemon()
                let wrapped = { (lines: [String]) in isWhole ? [begin] + lines + [commit] : lines }
                let first = wrapped([creator(1), bad, creator(3)]) + [creator(4)]
                let answers = try daemon.feed(first.joined(separator: "\n"))
                #expect(answers.contains { $0["status"] as? Int == 400 })
                let mended = wrapped([creator(1), creator(2), creator(3)]) + [creator(4)]
                let again = try daemon.feed(mended.joined(separator: "\n"))
                #expect(again.allSatisfy { $0["status"] as? Int == 200 }, "\(again)")
                #expect(
                    try daemon.sqlite("SELECT count(*) FROM creators") == "4",
                    "\(bad) \(isWhole)")
            }
        }
    }

    @Test func `a large transaction, and large refusals, cost little memory`() throws {
        let daemon = try Daemon()
        let long = String(repeating: "x", count: 900_000)
        let lines =
            [#"{"op":"begin"}"#] + (0..<200).map { _ in #"{"op":"\#(long)"}"# } + [
                #"{"op":"commit"}"#
            ]
        let answers = try daemon.feed(lines.joined(separator: "\n"))
        #expect(answers.count == 202)
        #expect(answers.count { $0["status"] as? Int == 400 } == 100)
        let value = (answers[1]["problem"] as? [String: Any])?["value"] as? String
        #expect(value.map { $0.count < 300 } == true)
        let rows =
            [#"{"op":"begin"}"#]
            + (0..<100_000).map {
                #"{"table":"logs","op":"insert","row":{"log_id":"00000000-0000-4000-8000-\#(String(format: "%012x", $0))","source":"s","level":"l","message":"m"}}"#
            } + [#"{"op":"rollback"}"#]
        #expect(try daemon.feed(rows.joined(separator: "\n")).count == 100_002)
        #expect(try daemon.metric("process_resident_bytes") < 300 << 20)
    }

    @Test func `whole transactions are applied, with changed keys and truncation`() throws {
        let daemon = try ExamplePipeline.daemonWithRows()
        let log = try daemon.sqlite("SELECT log_id FROM logs LIMIT 1")
        let lines = [
            #"{"op":"begin"}"#,
            #"{"table":"logs","op":"update","key":{"log_id":"\#(log)"},"row":{"log_id":"83927eb3-5316-470e-8cb0-000000000001","message":"moved"}}"#,
            #"{"table":"schedules","op":"truncate"}"#,
            #"{"table":"clips","op":"update","row":{"clip_id":"\#(ExamplePipeline.clip)","confidence":2}}"#,
            #"{"op":"commit"}"#,
        ]
        let answers = try daemon.feed(lines.joined(separator: "\n"))
        #expect(answers.allSatisfy { $0["outcome"] as? String == "applied" }, "\(answers)")
        #expect(
            try daemon.sqlite(
                "SELECT message FROM logs WHERE log_id LIKE '%1' AND message = 'moved'")
                == "moved")
        #expect(try daemon.sqlite("SELECT count(*) FROM logs WHERE log_id = '\(log)'") == "0")
        #expect(try daemon.sqlite("SELECT count(*) FROM schedules") == "0")
        // What is derived follows.
        #expect(
            try daemon.sqlite(
                "SELECT confidence FROM best_clip_per_video WHERE clip_id = '\(ExamplePipeline.clip)'"
            )
                == "2.0")
    }

    @Test func `the command tells what became of a feed`() throws {
        let daemon = try ExamplePipeline.daemonWithRows()
        let bad = try daemon.folder.file("bad.ndjson", Array("{\"op\":\"insert\"}\n".utf8))
        let refused = try daemon.stardust("model", "apply", bad)
        #expect(
            refused.status == 65 && refused.error.contains("line 1: table is missing"),
            "\(refused.error)")
        let json = try daemon.stardust(
            "model", "apply", Repository.root + "/Docs/Examples/changes.ndjson", "--json")
        #expect(
            json.output
                == #"{"applied":0,"unchanged":0,"skipped":68,"rolled_back":0,"refused":0,"failed":0}"#
                + "\n")
        #expect(try daemon.stardust("model", "apply", "/nowhere").status == 66)
        let off = try Daemon(starts: false)
        #expect(try off.stardust("model", "apply", bad).status == 69)
        #expect(try off.stardust("model", "status").status == 69)
    }
}
