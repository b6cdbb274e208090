import Packets
import ReadModel
import TestSupport
import Testing

/// The read model's forms of values, held against PostgreSQL's own.
@Suite(.needs(PostgresServer.obstacle == nil, "PostgreSQL 15 is not installed"))
struct ValueFormTests {
    /// Runs a script, and gives each row's columns, which have no control characters.
    static func columns(_ server: PostgresServer, _ script: String) throws -> [[String]] {
        try server.psql("SET timezone = 'UTC'; SET extra_float_digits = 3; " + script).map {
            $0.split(separator: "|", omittingEmptySubsequences: false).map(String.init)
        }
    }

    @Test func `JSON is written as jsonb writes it`() throws {
        let server = try PostgresServer()
        let folder = try TemporaryFolder()
        var random = RandomJSON(seed: 50)
        var values = (0..<5000).map { number -> String in
            let value = number.isMultiple(of: 3) ? random.value() : random.object()
            return random.text(value)
        }
        values += [
            "1.0000", "-0.00", "1e-30", "123456789012345678901234567890.123000", "1E400", "1e-400",
            "-1.5E+3", "0e10", "100e-1", "\"\\u0001\\u001f\\u007f\\ud83c\\udfac\\/\"", "{\"\":{}}",
            "{\"b\":1,\"a\":2,\"aa\":3,\"ä\":4,\"B\":5}", "[ ]", "0.0000001e7",
        ]
        let file = try folder.file("values", Array(values.map { $0 + "\n" }.joined().utf8))
        let theirs = try server.psql(
            """
            CREATE TABLE v (n serial, v jsonb);
            \\copy v (v) FROM '\(file)' \(PostgresServer.copyOptions)
            SELECT v::text FROM v ORDER BY n;
            """)
        try #require(theirs.count == values.count)
        var problems: [String] = []
        for (value, text) in zip(values, theirs) {
            let document = try JSONDocument(Array(value.utf8), limits: .answer)
            let ours = String(decoding: JSONBText.of(document, at: 0), as: UTF8.self)
            if ours != text { problems.append("\(value): \(ours), not \(text)") }
        }
        #expect(problems == [], "\(problems.prefix(5))")
    }

    @Test func `arrays are what to_json makes of them`() throws {
        let server = try PostgresServer()
        let rows = try server.psql(
            """
            SELECT setseed(0.5);
            CREATE TABLE pool (n serial, t text);
            INSERT INTO pool (t) VALUES (''), ('null'), ('NULL'), (NULL), ('a'), ('"'), ('\\'), (','), ('{'), ('}'),
                (' '), (' a '), (E'\\t'), (E'\\u0001'), ('ü🎬'), ('{}'), ('[1:2]={a}'), (E'\\b\\f\\r'), (E'\\u007f');
            CREATE TABLE arrays AS SELECT n, (SELECT array_agg(t ORDER BY random()) FROM pool WHERE random() < 0.4 AND n > 0) AS a
                FROM generate_series(1, 1500) n;
            INSERT INTO arrays SELECT 2000 + n, ARRAY[a, a] FROM arrays WHERE a IS NOT NULL LIMIT 200;
            INSERT INTO arrays VALUES (3000, '{}'), (3001, '[5:6]={x,y}'), (3002, '[0:1][3:3]={{x},{y}}'), (3003, '{{{a}}}');
            SELECT encode(convert_to(a::text, 'UTF8'), 'hex') || '|' || encode(convert_to(to_json(a)::text, 'UTF8'), 'hex')
            FROM arrays WHERE a IS NOT NULL;
            """
        ).filter { $0.contains("|") }
        #expect(rows.count > 1500)
        for row in rows {
            let parts = row.split(separator: "|").map(Self.bytes)
            let ours = Self.array(parts[0])
            #expect(ours == parts[1], "\(String(decoding: parts[0], as: UTF8.self))")
        }
        for wrong in [
            "", "{", "}", "{a", "{\"a}", "{a}}", "{a}x", "[1:2]", "[1:2]=", "{a,{b}", "{\"\\",
            "{{{{{{{a}}}}}}}",
        ] {
            #expect(Self.array(Array(wrong.utf8)) == nil, "\(wrong)")
        }
    }

    @Test func `times are instants of the same microsecond`() throws {
        let server = try PostgresServer()
        let rows = try Self.columns(
            server,
            """
            SELECT setseed(0.25);
            WITH t AS (
                SELECT to_timestamp((random() * 2 - 1) * 9e9) + random() * interval '1 second' AS t FROM generate_series(1, 3000)
                UNION ALL SELECT '4713-11-24 00:00:00+00 BC'::timestamptz + n * interval '97 days 3.000001 seconds' FROM generate_series(0, 18000, 6) n
                UNION ALL SELECT '294276-12-31 23:59:59.999999+00'::timestamptz - n * interval '4001 days 0.000001 seconds' FROM generate_series(0, 20000, 20) n
                UNION ALL SELECT '0001-01-01 00:00:00+00'::timestamptz + n * interval '1 second' FROM generate_series(-2, 2) n
            ) SELECT t::text, extract(year FROM t), to_char(t, 'MM-DD"T"HH24:MI:SS.US"Z"') FROM t;
            """)
        var count = 0
        for row in rows where row.count == 3 {
            let ours = try #require(Self.time(row[0]))
            // PostgreSQL's year before 1 is -1, that of ISO 8601 is 0.
            let year = Int(row[1])! < 0 ? Int(row[1])! + 1 : Int(row[1])!
            let digits = String(abs(year))
            let padded = String(repeating: "0", count: max(0, 4 - digits.count)) + digits
            let sign = year < 0 ? "-" : year > 9999 ? "+" : ""
            #expect(ours == "\(sign)\(padded)-\(row[2])", "\(row)")
            count += 1
        }
        #expect(count > 6000)
        for wrong in [
            "", "2026-01-01", "2026-01-01 00:00:00", "2026-01-01 00:00:00+01",
            "2026-01-01 00:00:00.+00",
            "2026-01-01 00:00:00.1234567+00", "22/11/2026 17:16:33 JST",
            "2026-01-01 00:00:00.12x+00", "infinity ", "x026-01-01 00:00:00+00",
        ] {
            #expect(Self.time(wrong) == nil, "\(wrong)")
        }
    }

    @Test func `the engine's own database is made whole, with its checks, trigger and roles`()
        throws
    {
        let server = try PostgresServer()
        let schema = try run([Repository.program, "model", "schema", "--dialect", "postgres"])
        try server.psql(schema.output)
        #expect(throws: (any Error).self) { try server.psql(schema.output) }
        let id = "00000000-0000-4000-8000-000000000001"
        try server.psql(
            "INSERT INTO creators (creator_id, platform, username, updated_at) VALUES ('\(id)', 'p', 'u', '2020-01-01Z')"
        )
        try server.psql("UPDATE creators SET profile_url = 'x'")
        #expect(try server.psql("SELECT updated_at > '2026-01-01' FROM creators") == ["t"])
        for wrong in [
            "INSERT INTO creators (creator_id, platform, username) VALUES ('00000000-0000-1000-8000-000000000001', 'p', 'v')",
            "INSERT INTO creators (creator_id, platform, username) VALUES ('00000000-0000-4000-8000-000000000002', 'p', 'u')",
            "INSERT INTO posts (post_id, creator_id, platform_post_id, url) VALUES ('\(id)', '00000000-0000-4000-8000-000000000009', 'p', 'u')",
            "SET ROLE omniva_cognitive; DELETE FROM creators",
            "SET ROLE omniva_cognitive; UPDATE creators SET platform = 'q'",
            "SET ROLE omniva_worker; DELETE FROM creators",
        ] {
            #expect(throws: (any Error).self, "\(wrong)") { try server.psql(wrong) }
        }
        #expect(
            try server.psql(
                "SET ROLE omniva_cognitive; SELECT count(*) FROM creators, best_clip_per_video")
                == ["0"])
        try server.psql(
            "SET ROLE omniva_worker; UPDATE creators SET platform = 'q'; SELECT refresh_derived_views()"
        )
        #expect(throws: (any Error).self) {
            try server.psql("SET ROLE omniva_cognitive; SELECT refresh_derived_views()")
        }
        #expect(
            try server.psql(
                "SELECT count(*) FROM pg_indexes WHERE schemaname = 'public' AND indexdef LIKE '%DESC%'"
            ) == ["3"])
    }

    static func array(_ text: [UInt8]) -> [UInt8]? {
        var result: [UInt8] = []
        let isRead = PostgresText.appendArray(text.span, to: &result)
        return isRead ? result : nil
    }

    static func time(_ text: String) -> String? {
        let bytes = Array(text.utf8)
        var result: [UInt8] = []
        let isRead = PostgresText.appendTimestamp(bytes.span, to: &result)
        return isRead ? String(decoding: result, as: UTF8.self) : nil
    }

    static func bytes(_ hex: Substring) -> [UInt8] {
        let digits = hex.utf8.map { UInt8($0 <= 57 ? $0 - 48 : $0 - 87) }
        return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
    }
}
