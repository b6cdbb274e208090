import DaemonTestSupport
import Foundation
import Packets
import PipelineWorkload
import TestSupport
import Testing

/// Lists with any filters have the packets that PostgreSQL has.
@Suite struct FilterOracleTests {
    @Test(.needs(PostgresServer.obstacle == nil, "PostgreSQL 15 is not installed"))
    func `filters find the packets that PostgreSQL finds`() throws {
        let packets = Workload.packets(creators: 6) + SpokenPackets(count: 400).packets
        let daemon = try Daemon()
        let client = try HTTPClient(daemon.socket)
        let emitted = try client.emitLines(Workload.ndjson(packets))
        #expect(
            emitted.lines.allSatisfy { $0.hasPrefix("{\"status\":201") },
            "\(emitted.lines.first { !$0.hasPrefix("{\"status\":201") } ?? "")")
        let folder = try TemporaryFolder()
        let file = try folder.file("packets", Workload.ndjson(packets) + [0x0A])
        let server = try PostgresServer()
        _ = try server.psql(Self.schema(file))
        try Soak.seeds("filters", 1, soak: 10) { seed in
            var source = FilterSource(packets, seed: seed)
            let filters = (0..<(Soak.isSoak ? 100 : 110)).map { _ in source.next() }
            let rows = try server.psql(
                filters.map { filter in
                    "SELECT 'q' || coalesce(string_agg(id, ',' ORDER BY id), '') FROM m WHERE "
                        + filter.sql + ";"
                }.joined(separator: "\n"))
            guard rows.count == filters.count else { throw Failure("\(rows.count) answers") }
            var nonEmpty = 0
            for (filter, row) in zip(filters, rows) {
                let expected = Set(row.dropFirst().split(separator: ",").map(String.init))
                if !expected.isEmpty, expected.count < packets.count { nonEmpty += 1 }
                let posted = try client.request(
                    "POST", "/v1/packets/query", Array(filter.body.utf8), type: "application/json")
                let total = posted.text.firstMatch(of: /"total":([0-9]+)/).flatMap { Int($0.1) }
                #expect(total == expected.count, "\(filter.body) \(posted.text.prefix(200))")
                // What a target is too long for is only posted.
                guard filter.query.utf8.count < 6000 else { continue }
                let found = try client.allIDs("/v1/packets?" + filter.query)
                #expect(Set(found) == expected && found.count == expected.count, "\(filter)")
                let reversed = try client.allIDs("/v1/packets?order=desc&" + filter.query)
                #expect(reversed == found.reversed(), "\(filter)")
            }
            for filter in filters.prefix(Soak.isSoak ? 100 : 30) {
                try Self.compareGroups(filter, client, server)
            }
            #expect(nonEmpty > filters.count / 2, "\(nonEmpty) filters find something")
            return true
        }
    }

    /// Counts by event and day, and by who reasoned.
    private static func compareGroups(
        _ filter: RandomFilter, _ client: HTTPClient, _ server: PostgresServer
    ) throws {
        guard filter.query.utf8.count < 6000 else { return }
        let byDay = try server.psql(
            """
            SELECT coalesce(lineage->>'event', '-') || '|' || left(packet->>'created_at', 10) || '|' || count(*)
            FROM m WHERE \(filter.sql) GROUP BY lineage->>'event', left(packet->>'created_at', 10);
            """)
        let byAgent = try server.psql(
            """
            SELECT agent || '|' || count(DISTINCT id) FROM (SELECT id,
                coalesce(node->'agent'->>'id', node->>'agent') AS agent FROM m,
                jsonb_array_elements(CASE jsonb_typeof(decision_chain) WHEN 'array' THEN decision_chain
                    ELSE decision_chain->'nodes' END) AS node WHERE \(filter.sql)) AS f
            WHERE agent IS NOT NULL GROUP BY agent;
            """)
        for (keys, expected) in [(["event", "day"], byDay), (["agent"], byAgent)] {
            let parameters = keys.map { "group_by=\($0)" }.joined(separator: "&")
            let answer = try client.get("/v1/packets?\(parameters)&\(filter.query)").json
            let found = (answer["groups"] as? [[String: Any]] ?? []).compactMap {
                group -> String? in
                // In SQL a packet without an agent has no row.
                if keys == ["agent"], group["agent"] is NSNull { return nil }
                return (keys.map { group[$0] as? String ?? "-" } + ["\(group["count"]!)"])
                    .joined(separator: "|")
            }
            #expect(found.sorted() == expected.sorted(), "\(filter) \(parameters)")
        }
    }

    /// The packets as rows; their texts are split into words by our definition.
    private static func schema(_ file: String) -> String {
        let members = Words.textMembers.map {
            "SELECT jsonb_path_query(packet->part, '$.**.\($0).** ? (@.type() == \"string\")') AS t"
        }.joined(separator: " UNION ")
        return """
            CREATE TABLE packets (packet jsonb);
            \\copy packets FROM '\(file)' \(PostgresServer.copyOptions)
            CREATE TABLE m AS SELECT packet->>'stardust_id' AS id, packet->>'entity_type' AS type,
                packet->>'entity_id' AS entity, replace(packet->'lineage'->>'trace_id', '-', '') AS trace,
                packet->'lineage' AS lineage,
                nullif(packet->'decision_chain', 'null') AS decision_chain, packet FROM packets;
            CREATE FUNCTION folded(t text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
                SELECT '|' || coalesce(string_agg(word[1], '|' ORDER BY n), '') || '|' FROM
                regexp_matches(translate(lower(t COLLATE "und-x-icu"), 'ς', 'σ'),
                    '[\(SpokenPackets.singles)]|[\(SpokenPackets.letters)]+', 'g')
                WITH ORDINALITY AS w(word, n) $$;
            CREATE TABLE texts AS SELECT DISTINCT packet->>'stardust_id' AS id,
                folded(t #>> '{}') AS folded FROM packets,
                unnest(ARRAY['lineage', 'decision_chain']) AS part,
                LATERAL (\(members)) AS found;
            CREATE INDEX ON texts (id);
            CREATE INDEX ON m (id);
            ANALYZE;
            """
    }
}

/// Packets whose texts have words of several scripts, in texts of several shapes.
struct SpokenPackets {
    static let words = [
        "Sponsor", "SPONSOR", "hook", "café", "CAFÉ", "Größe", "Жизнь", "ЖИЗНЬ", "λόγος", "ΛΌΓΟΣ",
        "日本", "日", "まで", "ไทย", "42", "4", "x2", "seg", "a",
    ]
    static let singles = "日本までไทย"
    /// What else words are made of.
    static let letters = "a-z0-9éößжизньλόγοσ"
    private static let borders = [" ", ", ", "-", ".", "\n", "\"", "’", "_", " — ", "🔥"]

    private(set) var packets: [[UInt8]] = []

    init(count: Int) {
        var generator = SeededGenerator(seed: 77)
        for number in 0..<count {
            func text() -> String {
                let words = (0..<Int.random(in: 0...6, using: &generator)).map { _ in
                    Self.words.randomElement(using: &generator)!
                        + Self.borders.randomElement(using: &generator)!
                }
                return Self.json(words.joined(), isEscaped: Bool.random(using: &generator))
            }
            let id = String(format: "%08x-0000-4000-8000-%012x", number, 77)
            packets.append(
                Array(
                    """
                    {"stardust_id":"\(id)","entity_type":"clips","entity_id":"\(id)","lineage":\
                    {"trace_id":"\(id)","_meta_parents":[],"title":\(text()),"why":[\(text()),{"x":\(text())}],\
                    "aside":\(text()),"decision_context":{"method":{"question":\(text())},"n":\(number)}},\
                    "decision_chain":[{"id":"n","kind":"note","r\\u0061tionale":\(text()),\
                    "votes":{"hermes":{"option":"a b","rationale":\(text())}}}],\
                    "created_at":"2026-01-01T00:00:00Z"}
                    """.utf8))
        }
    }

    private static func json(_ text: String, isEscaped: Bool) -> String {
        let escaped = text.unicodeScalars.map { scalar in
            switch scalar {
            case "\"": "\\\""
            case "\n": "\\n"
            case _ where isEscaped && scalar.value < 0x10000 && scalar.value % 3 == 0:
                String(format: "\\u%04x", scalar.value)
            default: String(scalar)
            }
        }
        return "\"" + escaped.joined() + "\""
    }
}

/// A filter as parameters, as a body and as SQL.
struct RandomFilter: CustomStringConvertible {
    private(set) var parameters: [(name: String, value: String)] = []
    private var conditions: [String] = []

    var sql: String { conditions.isEmpty ? "true" : conditions.joined(separator: " AND ") }

    var query: String {
        parameters.map { "\($0.name)=\($0.value.percentEncoded)" }.joined(separator: "&")
    }

    var body: String {
        var members = ["\"count\":true", "\"limit\":1"]
        for name in Set(parameters.map(\.name)).sorted() {
            let isPattern = name.hasSuffix("lineage") || name.hasSuffix("decision_chain")
            let values = parameters.filter { $0.name == name }.map {
                isPattern ? $0.value : Self.quoted($0.value)
            }
            members.append(
                "\"\(name)\(isPattern ? "_any" : "")\":[\(values.joined(separator: ","))]")
        }
        return "{" + members.joined(separator: ",") + "}"
    }

    var description: String { "\(parameters) \(sql)" }

    private static func quoted(_ text: String) -> String {
        "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
    }

    /// Any of some values, or none of them. In SQL a null decision chain contains nothing.
    mutating func add(_ name: String, _ alternatives: [(value: String, sql: String)], isNot: Bool) {
        for alternative in alternatives {
            parameters.append(((isNot ? "not_" : "") + name, alternative.value))
        }
        let any = alternatives.map { "coalesce(\($0.sql), false)" }.joined(separator: " OR ")
        conditions.append(isNot ? "NOT (\(any))" : "(\(any))")
    }
}

/// Filters made of what packets have, mostly.
private struct FilterSource {
    private var patterns: PatternSource
    private var generator: SeededGenerator
    private let documents: [JSONDocument]

    init(_ packets: [[UInt8]], seed: UInt64) {
        patterns = PatternSource(packets, seed: seed)
        generator = SeededGenerator(seed: seed &+ 1000)
        documents = packets.compactMap { try? JSONDocument($0) }
    }

    mutating func next() -> RandomFilter {
        var filter = RandomFilter()
        for name in Self.names.shuffled(using: &generator).prefix(
            Int.random(in: 1...3, using: &generator))
        {
            let count = Int.random(
                in: 1...(name == "text" || name == "has" ? 2 : 4), using: &generator)
            let isNot = Int.random(in: 0..<4, using: &generator) == 0
            filter.add(name, (0..<count).map { _ in alternative(name) }, isNot: isNot)
        }
        return filter
    }

    private static let names = [
        "stardust_id", "entity_type", "entity_id", "trace_id", "lineage", "decision_chain", "text",
        "has",
    ]

    private mutating func alternative(_ name: String) -> (value: String, sql: String) {
        let document = documents.randomElement(using: &generator)!
        func member(_ path: String...) -> String {
            var value = 0
            for name in path { value = document.member(name, of: value)! }
            return document.string(value)!
        }
        switch name {
        case "stardust_id":
            let id = member("stardust_id")
            return (id.uppercased(), "id = '\(id)'")
        case "entity_type":
            let type = member("entity_type")
            return (type, "type = '\(type)'")
        case "entity_id":
            let id = member("entity_id")
            return (id, "entity = '\(id)'")
        case "trace_id":
            let id = member("lineage", "trace_id").replacing("-", with: "")
            return (id, "trace = '\(id)'")
        case "lineage", "decision_chain":
            while true {
                guard let next = try? patterns.next(), next.column == name else { continue }
                let quoted = next.pattern.replacing("'", with: "''")
                return (next.pattern, "\(name) @> '\(quoted)'::jsonb")
            }
        case "has": return memberPath()
        default: return words()
        }
    }

    private mutating func memberPath() -> (value: String, sql: String) {
        let paths = [
            "lineage.event", "lineage.why.x", "lineage.why.0", "lineage._producer.version",
            "lineage.decision_context.method", "lineage.evidence.role", "lineage.evidence.1",
            "decision_chain.votes.hermes", "decision_chain.alternatives.1", "decision_chain.chosen",
            "decision_chain.votes.muse", "decision_chain.rationale.x", "lineage._meta_parents",
            "decision_chain", "lineage", "decision_chain.1", "lineage.nothing",
        ]
        let path = paths.randomElement(using: &generator)!.split(separator: ".").map(String.init)
        let steps = path.dropFirst().map { UInt64($0) == nil ? ".\"\($0)\"" : "[\($0)]" }
        return (
            "/" + path.joined(separator: "/"), "\(path[0]) @? '$\(steps.joined())'"
        )
    }

    private mutating func words() -> (value: String, sql: String) {
        let vocabulary = SpokenPackets.words + ["the", "audience", "Reveal", "lands", "nowhere"]
        var (texts, conditions): ([String], [String]) = ([], [])
        for _ in 0..<Int.random(in: 1...3, using: &generator) {
            let first = vocabulary.randomElement(using: &generator)!
            if Bool.random(using: &generator) {
                let phrase = first + " ?" + vocabulary.randomElement(using: &generator)!
                texts.append("\"\(phrase)\"")
                conditions.append(Self.isThere("folded('\(phrase)')"))
            } else if SpokenPackets.singles.contains(first.first!) {
                // Words alone may be in different texts.
                texts.append(first)
                conditions += first.map { Self.isThere("'|\($0)|'") }
            } else {
                texts.append(first)
                conditions.append(Self.isThere("folded('\(first)')"))
            }
        }
        return (texts.joined(separator: " "), "(\(conditions.joined(separator: " AND ")))")
    }

    private static func isThere(_ folded: String) -> String {
        "EXISTS (SELECT FROM texts WHERE texts.id = m.id AND position(\(folded) in folded) > 0)"
    }
}
