import Foundation
import PipelineWorkload

/// Transactions on the engine's tables as an unkind source makes them: extremes of every type, changes
/// of keys, large values that stay while others change, deletions, truncations, transactions that are
/// rolled back. The same seed gives the same text.
package struct ModelLoad {
    private var generator: SeededGenerator
    /// Rows that stand, by table; only the ids.
    private var rows: [String: [String]] = [:]
    private var number = 0

    package init(seed: UInt64) { generator = SeededGenerator(seed: seed) }

    /// How many transactions were committed, by what the last one of them has left.
    package static let marker = """
        SELECT max(message) FROM logs WHERE source = 'load'
        """

    /// The next transaction, whole.
    package mutating func transaction() -> String {
        let saved = (rows, generator)
        var statements = ["BEGIN;"]
        for _ in 0..<Int.random(in: 1...12, using: &generator) { statements.append(statement()) }
        let isAborted = chance(12)
        if isAborted {
            rows = saved.0
            return (statements + ["ROLLBACK;"]).joined(separator: "\n")
        }
        if chance(8) {
            statements += ["SAVEPOINT s;", "DELETE FROM logs;", "ROLLBACK TO SAVEPOINT s;"]
        }
        return committed(statements)
    }

    private mutating func committed(_ statements: [String]) -> String {
        number += 1
        let marker =
            "INSERT INTO logs (log_id, source, level, message, created_at) VALUES ('\(id())', 'load', "
            + "'INFO', '\(String(number).padded(8))', \(time(isRequired: true)));"
        return (statements + [marker, "COMMIT;"]).joined(separator: "\n")
    }

    /// Rows that stand before everything else.
    package mutating func foundation(_ count: Int) -> String {
        committed(["BEGIN;"] + (0..<count).map { _ in insert() })
    }

    /// Statements of others, as a transaction among these.
    package mutating func transaction(of statements: some Sequence<String>) -> String {
        committed(["BEGIN;"] + statements)
    }

    // MARK: Statements

    private mutating func statement() -> String {
        switch Int.random(in: 0..<100, using: &generator) {
        case 0..<45: insert()
        case 45..<80: update()
        case 80..<88: changeKey()
        case 88..<97: delete()
        case 97..<99: "UPDATE edit_jobs SET status = 'DONE' WHERE estimated_duration_seconds > 0;"
        default: truncate()
        }
    }

    private static let tables = [
        "creators", "posts", "videos", "analysis", "clips", "edit_jobs", "upload_jobs", "schedules",
        "logs",
    ]
    private static let keys = [
        "analysis": "analysis_id", "edit_jobs": "edit_job_id", "upload_jobs": "upload_job_id",
        "schedules": "schedule_id", "logs": "log_id",
    ]

    private mutating func insert() -> String {
        // Most rows are of what stands at the end of the pipeline.
        let tables = Self.tables.filter { name in
            Self.parent(name).map { rows[$0]?.isEmpty == false } ?? true
        }
        let table = tables[
            max(
                Int.random(in: tables.indices, using: &generator),
                Int.random(in: tables.indices, using: &generator))]
        let id = id()
        let parent = Self.parent(table).map { rows[$0]!.randomElement(using: &generator)! } ?? ""
        let values = values(table, id, parent)
        rows[table, default: []].append(id)
        return "INSERT INTO \(table) VALUES (\(values.joined(separator: ", ")));"
    }

    private static func parent(_ table: String) -> String? {
        switch table {
        case "posts": "creators"
        case "videos": "posts"
        case "analysis", "clips": "videos"
        case "edit_jobs", "upload_jobs", "schedules": "clips"
        default: nil
        }
    }

    private mutating func values(_ table: String, _ id: String, _ parent: String) -> [String] {
        let (key, of) = ("'\(id)'", "'\(parent)'")
        switch table {
        case "creators":
            return [key, text(true), key, text(), time(isRequired: true), time(isRequired: true)]
        case "posts": return [key, of, text(true), text(true), time(), time(), json()]
        case "videos":
            return [key, of, text(true), integer(), text(), key, time(isRequired: true)]
        case "analysis":
            return [
                key, of, large("text"), array(), float(), float(), large("jsonb"),
                time(isRequired: true),
            ]
        case "clips":
            return [
                key, of, "1.5", ["2", "'Infinity'", "'NaN'"].randomElement(using: &generator)!,
                float(), array(), json(), float(), json(),
            ]
        case "edit_jobs":
            return [
                key, of, json(isRequired: true), array(),
                ["true", "false", "NULL"].randomElement(using: &generator)!, integer(), status(),
                time(isRequired: true),
            ]
        case "upload_jobs":
            return [
                key, of, text(), large("text"), array(), time(), text(), text(), status(),
                time(isRequired: true),
            ]
        case "schedules": return [key, of, time(), time(), json(), status()]
        default: return [key, text(true), text(true), text(true), json(), time(isRequired: true)]
        }
    }

    private mutating func update() -> String {
        let (table, change) =
            [
                ("creators", "profile_url = \(text())"), ("posts", "raw_metadata = \(json())"),
                ("videos", "duration_seconds = \(integer())"),
                // The large values stay as they are.
                ("analysis", "virality_score = \(float())"),
                ("analysis", "keywords = \(array()), created_at = \(time(isRequired: true))"),
                ("analysis", "raw_ai_output = \(large("jsonb"))"),
                ("clips", "confidence = \(float())"),
                ("clips", "lattice_priority = \(float()), semantic_tags = \(array())"),
                ("edit_jobs", "status = \(status())"), ("upload_jobs", "status = \(status())"),
                ("upload_jobs", "scheduled_time = \(time())"),
                ("schedules", "final_scheduled_time = \(time())"),
            ].randomElement(using: &generator)!
        guard let id = rows[table]?.randomElement(using: &generator) else { return insert() }
        let key = Self.keys[table] ?? "\(table.dropLast())_id"
        return "UPDATE \(table) SET \(change) WHERE \(key) = '\(id)';"
    }

    private mutating func leaf() -> (table: String, key: String, place: Int)? {
        let (table, key) = Self.keys.sorted { $0.key < $1.key }.randomElement(using: &generator)!
        guard let place = rows[table]?.indices.randomElement(using: &generator) else { return nil }
        return (table, key, place)
    }

    private mutating func changeKey() -> String {
        guard let (table, key, place) = leaf() else { return insert() }
        let (old, new) = (rows[table]![place], id())
        rows[table]![place] = new
        return "UPDATE \(table) SET \(key) = '\(new)' WHERE \(key) = '\(old)';"
    }

    private mutating func delete() -> String {
        guard let (table, key, place) = leaf() else { return insert() }
        return "DELETE FROM \(table) WHERE \(key) = '\(rows[table]!.remove(at: place))';"
    }

    private mutating func truncate() -> String {
        let names = chance(2) ? ["logs"] : ["schedules", "logs"]
        for name in names { rows[name] = [] }
        return "TRUNCATE \(names.joined(separator: ", "));"
    }

    // MARK: Values

    private mutating func chance(_ one: Int) -> Bool {
        Int.random(in: 0..<one, using: &generator) == 0
    }

    private mutating func id() -> String {
        var digits = Array(
            (0..<32).map { _ in "0123456789abcdef".randomElement(using: &generator)! })
        digits[12] = "4"
        digits[16] = "89ab".randomElement(using: &generator)!
        for place in [20, 16, 12, 8] { digits.insert("-", at: place) }
        return String(digits)
    }

    private mutating func status() -> String {
        ["'PENDING'", "'SCHEDULED'", "'DONE'", "'FAILED'"].randomElement(using: &generator)!
    }

    package static let times = [
        "'infinity'", "'-infinity'", "'4713-11-24 00:00:00.000001+00 BC'",
        "'0001-12-31 23:59:59+00 BC'",
        "'0001-01-01 00:00:00+00'", "'9999-12-31 23:59:59.999999+00'", "'10000-01-01 00:00:00+00'",
        "'294276-12-31 23:59:59.999999+00'", "'2026-03-29 01:30:00.000001+02:00'",
        "'2031-05-05 05:05:05.5+00'", "'2016-12-31 23:59:60+00'", "'1999-12-31 16:00:00-08'",
    ]
    package static let floats = [
        "'NaN'", "'Infinity'", "'-Infinity'", "5e-324", "1.7976931348623157e308", "'-0.0'", "0",
        "0.1 + 0.2", "-1e-300", "123456789.123456789", "1e22", "0.5",
    ]
    package static let texts = [
        "''", "'null'", "'NULL'", "'\"quoted\"'", "'it''s'", "E'back\\\\slash \\\\N'",
        "E'tab\\tand\\nline'",
        "E'\\u0001\\u007f'", "'Ünïcödé 🎬 𝄞'", "E'carriage\\rreturn'", "'{}'", "'\\.'",
        "'  spaces  '",
    ]
    package static let arrays = [
        "'{}'", "ARRAY['null', NULL, 'NULL', '']", "ARRAY['\"', E'\\\\', ',', '{', '}', ' ']",
        "'[2:3]={a,b}'", "'{{a,b},{c,NULL}}'", "ARRAY[E'a\\nb', E'\\t', '🎬', E'\\u0001']",
        "'[0:1][3:3]={{x},{y}}'",
    ]
    package static let documents = [
        "'null'", "'1.0000'", "'-0.0'", "'123456789012345678901234567890'", "'1e100'", "'1E-7'",
        "'[]'",
        "'{}'", "'\"text\"'", "'true'",
        "'{\"bb\": 1, \"a\": [1, 2.50, \"\\u00fc\\ud83c\\udfac\"], \"c\": {\"d\": null}}'",
        "'{\"\": \"\", \"quote\\\"\": \"\\\\ \\n \\u0001 /\"}'", "'[[[[[]]]]]'",
    ]
    package static let integers = ["-2147483648", "2147483647", "0", "42"]

    private mutating func one(_ pool: [String], _ isRequired: Bool = false) -> String {
        !isRequired && chance(6) ? "NULL" : pool.randomElement(using: &generator)!
    }

    private mutating func time(isRequired: Bool = false) -> String {
        guard chance(2) else { return one(Self.times, isRequired) }
        let seconds = Int.random(in: 0..<4_000_000_000, using: &generator)
        let micros = Int.random(in: 0..<1_000_000, using: &generator)
        return "to_timestamp(\(seconds)) + interval '\(micros) microseconds'"
    }
    private mutating func float() -> String {
        guard chance(2) else { return one(Self.floats) }
        return "\(Double(bitPattern: 0x3FE0_0000_0000_0000 | generator.next() >> 12))"
    }
    private mutating func text(_ isRequired: Bool = false) -> String { one(Self.texts, isRequired) }
    private mutating func array() -> String { one(Self.arrays) }
    private mutating func json(isRequired: Bool = false) -> String {
        one(Self.documents, isRequired)
    }
    private mutating func integer() -> String { one(Self.integers) }

    /// Sometimes of a size that PostgreSQL keeps outside of the row.
    private mutating func large(_ type: String) -> String {
        guard chance(2) else { return type == "text" ? text() : json() }
        let seed = Int.random(in: 0..<1_000_000, using: &generator)
        let text =
            "(SELECT string_agg(md5(n::text || '\(seed)'), '') FROM generate_series(1, 300) n)"
        return type == "text" ? text : "jsonb_build_object('output', \(text))"
    }
}

extension String {
    fileprivate func padded(_ count: Int) -> String {
        String(repeating: "0", count: max(0, count - self.count)) + self
    }
}
