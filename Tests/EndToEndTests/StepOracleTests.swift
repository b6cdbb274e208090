import DaemonTestSupport
import Foundation
import PipelineWorkload
import TestSupport
import Testing

/// Lists of steps have the steps that PostgreSQL has.
@Suite struct StepOracleTests {
    @Test(.needs(PostgresServer.obstacle == nil, "PostgreSQL 15 is not installed"))
    func `steps are those that PostgreSQL finds`() throws {
        let packets = Workload.packets(creators: 2) + ReasonedPackets(count: 300).packets
        let daemon = try Daemon()
        let client = try HTTPClient(daemon.socket)
        let emitted = try client.emitLines(Workload.ndjson(packets))
        let refused = emitted.lines.first { !$0.hasPrefix("{\"status\":201") }
        #expect(refused == nil)
        let folder = try TemporaryFolder()
        let file = try folder.file("packets", Workload.ndjson(packets) + [0x0A])
        let server = try PostgresServer()
        _ = try server.psql(Self.schema(file))
        try Soak.seeds("steps", 1, soak: 10) { seed in
            var source = StepFilterSource(seed: seed)
            let filters = (0..<110).map { _ in source.next() }
            let rows = try server.psql(
                filters.map { filter in
                    """
                    SELECT 'q' || coalesce(string_agg(id || '#' || name \(filter.voted), ',' \
                    ORDER BY id, place), '') FROM nodes WHERE \(filter.sql);
                    """
                }.joined(separator: "\n"))
            guard rows.count == filters.count else { throw Failure("\(rows.count) answers") }
            var nonEmpty = 0
            for (filter, row) in zip(filters, rows) {
                let expected = Set(row.dropFirst().split(separator: ",").map(String.init))
                if !expected.isEmpty { nonEmpty += 1 }
                for order in ["asc", "desc"] {
                    let found = try Self.steps(client, filter, "order=\(order)&limit=37&")
                    #expect(Set(found) == expected && found.count == expected.count, "\(filter)")
                }
            }
            #expect(nonEmpty > filters.count / 3, "\(nonEmpty) filters find something")
            for filter in filters.prefix(Soak.isSoak ? 100 : 30) {
                try Self.compareGroups(filter, client, server, seed)
            }
            return true
        }
    }

    /// Counts by one key or two.
    private static func compareGroups(
        _ filter: StepFilterCase, _ client: HTTPClient, _ server: PostgresServer, _ seed: UInt64
    ) throws {
        let columns = [
            "agent": "agent", "kind": "node->>'kind'", "status": "node->>'status'",
            "entity_type": "type", "day": "'2026-01-01'",
            "agent_type": "node->'agent'->>'type'",
            "chosen": "CASE jsonb_typeof(node->'chosen') WHEN 'string' THEN node->>'chosen' END",
        ]
        var generator = SeededGenerator(seed: seed &+ UInt64(filter.query.utf8.count))
        let keys = columns.keys.sorted().shuffled(using: &generator).prefix(2)
        let selected = keys.map { "coalesce(\(columns[$0]!), '-')" }.joined(
            separator: " || '|' || ")
        let expected = try server.psql(
            """
            SELECT line || '|' || count(*) FROM (SELECT \(selected) AS line FROM nodes WHERE \(filter.sql)) AS f
            GROUP BY line;
            """)
        let parameters = keys.map { "group_by=\($0)" }.joined(separator: "&")
        let answer = try client.get("/v1/steps?\(parameters)&\(filter.query)").json
        let found = (answer["groups"] as? [[String: Any]] ?? []).map { group in
            (keys.map { group[$0] as? String ?? "-" } + ["\(group["count"]!)"])
                .joined(separator: "|")
        }
        #expect(found.sorted() == expected.sorted(), "\(filter) \(parameters)")
        #expect(answer["others"] as? Int == 0)
    }

    /// All pages: `id#node`, and whether the votes that were asked for prevailed.
    private static func steps(
        _ client: HTTPClient, _ filter: StepFilterCase, _ more: String
    ) throws -> [String] {
        var (found, cursor): ([String], String?) = ([], nil)
        repeat {
            let answer = try client.get(
                "/v1/steps?" + more + filter.query + (cursor.map { "&cursor=" + $0 } ?? ""))
            let page = answer.json
            guard answer.status == 200, let steps = page["steps"] as? [[String: Any]]
            else { throw Failure("\(filter.query): \(answer.text)") }
            for step in steps {
                let voted = (step["voted"] as? [[String: Any]] ?? []).map { vote in
                    " " + ((vote["prevailed"] as? Bool).map { $0 ? "t" : "f" } ?? "-")
                }
                found.append((step["id"] as! String) + voted.joined())
            }
            cursor = page["next"] as? String
        } while cursor != nil
        return found
    }

    private static func schema(_ file: String) -> String {
        """
        CREATE TABLE packets (packet jsonb);
        \\copy packets FROM '\(file)' \(PostgresServer.copyOptions)
        CREATE TABLE lists AS SELECT packet->>'stardust_id' AS id, packet->>'entity_type' AS type,
            CASE jsonb_typeof(packet->'decision_chain') WHEN 'array' THEN packet->'decision_chain'
                ELSE packet->'decision_chain'->'nodes' END AS list,
            packet->'decision_chain'->>'outcome' AS outcome FROM packets
            WHERE jsonb_typeof(packet->'decision_chain') <> 'null';
        CREATE TABLE nodes AS SELECT id, type, place, node, node->>'id' AS name,
            CASE jsonb_typeof(node->'agent') WHEN 'string' THEN node->>'agent'
                ELSE node->'agent'->>'id' END AS agent,
            -- Of a list without an outcome the last node is the only one that no other builds on.
            (SELECT CASE jsonb_typeof(o->'chosen') WHEN 'string' THEN o->>'chosen' END
                FROM jsonb_array_elements(list) WITH ORDINALITY AS other(o, n)
                WHERE o->>'id' = outcome OR outcome IS NULL AND n = jsonb_array_length(list)) AS came
            FROM lists, jsonb_array_elements(list) WITH ORDINALITY AS element(node, place);
        CREATE FUNCTION voted(v jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS $$
            SELECT CASE WHEN jsonb_typeof(v) = 'object' AND v @> '{"abstain": true}' THEN NULL
            WHEN jsonb_typeof(v) = 'string' THEN v #>> '{}'
            WHEN jsonb_typeof(v->'option') = 'string' THEN v->>'option'
            WHEN jsonb_typeof(v->'vote') = 'string' THEN v->>'vote' END $$;
        """
    }
}

/// Packets with reasoning of all shapes.
private struct ReasonedPackets {
    static let agents = ["athena", "hermes", "apollo", "lattice", "a person"]
    static let options = ["seg-a", "seg-b", "seg-c", "10 %", "ö"]
    static let kinds = ["vote", "selection", "override", "proposal", "x_own"]
    static let statuses = ["accepted", "rejected", "overridden"]

    private(set) var packets: [[UInt8]] = []
    private var generator = SeededGenerator(seed: 5)

    init(count: Int) {
        for number in 0..<count {
            let id = String(format: "%08x-0000-4000-8000-%012x", number, 55)
            let nodes = (0..<Int.random(in: 0...5, using: &generator)).map { node($0) }
            let list = "[" + nodes.joined(separator: ",") + "]"
            let isObject = Bool.random(using: &generator) && !nodes.isEmpty
            let outcome = Int.random(in: 0..<max(nodes.count, 1), using: &generator)
            let chain = isObject ? "{\"nodes\":\(list),\"outcome\":\"n\(outcome)\"}" : list
            packets.append(
                Array(
                    """
                    {"stardust_id":"\(id)","entity_type":"\(number.isMultiple(of: 3) ? "clips" : "posts")",\
                    "entity_id":"\(id)","lineage":{"trace_id":"\(id)","_meta_parents":[]},\
                    "decision_chain":\(chain),"created_at":"2026-01-01T00:00:00Z"}
                    """.utf8))
        }
    }

    private mutating func pick(_ list: [String]) -> String {
        "\"\(list.randomElement(using: &generator)!)\""
    }

    private mutating func option() -> String {
        #"{"id":\#(pick(Self.options)),"why_not":"too long"}"#
    }

    private mutating func vote() -> String {
        switch Int.random(in: 0..<7, using: &generator) {
        case 0: "0.5"
        case 1: "true"
        case 2: "null"
        case 3: pick(Self.options)
        case 4: #"{"option":\#(pick(Self.options)),"vote":\#(pick(Self.options)),"score":1}"#
        case 5: #"{"vote":\#(pick(Self.options)),"rationale":\#(pick(Self.options))}"#
        default: #"{"option":\#(pick(Self.options)),"abstain":true}"#
        }
    }

    /// Each builds on the one before, so that the last is the outcome where none is declared.
    private mutating func node(_ number: Int) -> String {
        var members = [
            "\"id\":\"n\(number)\"", "\"kind\":\(pick(Self.kinds))",
            "\"parents\":[\(number == 0 ? "" : "\"n\(number - 1)\"")]",
        ]
        func chance() -> Bool { Bool.random(using: &generator) }
        if chance() {
            members.append(
                "\"agent\":"
                    + (chance()
                        ? pick(Self.agents) : "{\"id\":\(pick(Self.agents)),\"type\":\"human\"}"))
        }
        if chance() {
            let voters = Self.agents.shuffled(using: &generator).prefix(3)
            members.append(
                "\"votes\":{" + voters.map { "\"\($0)\":\(vote())" }.joined(separator: ",") + "}")
        }
        if chance() { members.append("\"chosen\":" + (chance() ? pick(Self.options) : "3")) }
        if chance() { members.append("\"options\":[\(option()),\(option())]") }
        if chance() { members.append("\"alternatives\":[\(option())]") }
        if chance() { members.append("\"status\":\(pick(Self.statuses))") }
        if chance() {
            members.append("\"confidence\":0.\(Int.random(in: 0...99, using: &generator))")
        }
        return "{" + members.shuffled(using: &generator).joined(separator: ",") + "}"
    }
}

private struct StepFilterCase: CustomStringConvertible {
    var query: String
    var sql: String
    /// SQL for whether the votes that are asked for prevailed.
    var voted = ""
    var description: String { "\(query) \(sql)" }
}

private struct StepFilterSource {
    private var generator: SeededGenerator

    init(seed: UInt64) { generator = SeededGenerator(seed: seed) }

    mutating func next() -> StepFilterCase {
        let names = [
            "agent", "kind", "vote_of", "option", "chosen", "status", "confidence_below",
            "entity_type",
            "text",
        ].shuffled(using: &generator).prefix(Int.random(in: 1...3, using: &generator))
        var (parameters, conditions, voter): ([String], [String], String?) = ([], [], nil)
        for name in names {
            let count =
                ["confidence_below", "vote_of", "text"].contains(name)
                ? 1 : Int.random(in: 1...3, using: &generator)
            let values = (0..<count).map { _ in value(name) }
            if name == "vote_of" { voter = values[0] }
            parameters += values.map { "\(name)=\($0.percentEncoded)" }
            conditions.append(
                "(" + values.map { Self.condition(name, $0) }.joined(separator: " OR ") + ")")
        }
        var filter = StepFilterCase(
            query: parameters.joined(separator: "&"), sql: conditions.joined(separator: " AND "))
        if let voter {
            filter.voted =
                "|| ' ' || coalesce(left((voted(node->'votes'->'\(voter)') = came)::text, 1), '-')"
        }
        return filter
    }

    private mutating func value(_ name: String) -> String {
        switch name {
        case "agent", "vote_of":
            (ReasonedPackets.agents + (name == "agent" ? ["pantheon", "pantheon.muse"] : ["muse"]))
                .randomElement(using: &generator)!
        case "kind": (ReasonedPackets.kinds + ["observation"]).randomElement(using: &generator)!
        case "status": ReasonedPackets.statuses.randomElement(using: &generator)!
        case "confidence_below": "0.\(Int.random(in: 0...99, using: &generator))"
        case "entity_type": ["clips", "posts"].randomElement(using: &generator)!
        case "text": ["\"too long\"", "hook", "long"].randomElement(using: &generator)!
        default: (ReasonedPackets.options + ["select", "alt-0"]).randomElement(using: &generator)!
        }
    }

    private static func condition(_ name: String, _ value: String) -> String {
        switch name {
        case "agent": "agent = '\(value)'"
        case "kind": "node->>'kind' = '\(value)'"
        case "vote_of": "coalesce(node->'votes' ? '\(value)', false)"
        case "chosen": "coalesce(node->'chosen' = to_jsonb('\(value)'::text), false)"
        case "status": "coalesce(node->>'status' = '\(value)', false)"
        case "confidence_below": "coalesce((node->>'confidence')::numeric < \(value), false)"
        case "entity_type": "type = '\(value)'"
        case "text":
            """
            EXISTS (SELECT FROM jsonb_path_query(node,
                '$.** ? (exists(@.rationale) || exists(@.title) || exists(@.label) || exists(@.why_not))')
                AS o, LATERAL (VALUES (o->>'rationale'), (o->>'title'), (o->>'label'), (o->>'why_not')) AS t(x)
                WHERE ' ' || lower(x) || ' ' LIKE '% \(value.replacing("\"", with: "")) %')
            """
        default:
            """
            (coalesce(node->'chosen' = to_jsonb('\(value)'::text), false)
                OR coalesce(node->'options' @> jsonb_build_array(jsonb_build_object('id', '\(value)'::text)), false)
                OR coalesce(node->'alternatives' @> jsonb_build_array(jsonb_build_object('id', '\(value)'::text)), false)
                OR EXISTS (SELECT FROM jsonb_each(node->'votes') AS v WHERE voted(v.value) = '\(value)'))
            """
        }
    }
}
