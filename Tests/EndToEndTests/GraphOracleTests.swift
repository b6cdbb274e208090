import DaemonTestSupport
import Foundation
import PipelineWorkload
import TestSupport
import Testing

/// Paths, conflicts and evidence are those that PostgreSQL finds with recursive queries.
@Suite struct GraphOracleTests {
    @Test(.needs(PostgresServer.obstacle == nil, "PostgreSQL 15 is not installed"))
    func `what graphs are asked is what PostgreSQL answers`() throws {
        let server = try PostgresServer()
        var (ways, takenBack) = (0, 0)
        let ran = try Soak.seeds("graphs", 2, soak: 20) { seed in
            let graph = RandomLedger(seed: seed, count: 60)
            let daemon = try Daemon()
            let client = try HTTPClient(daemon.socket)
            let emitted = try client.emitLines(Workload.ndjson(graph.packets))
            let refused = emitted.lines.first { !$0.hasPrefix("{\"status\":201") }
            #expect(refused == nil)
            let folder = try TemporaryFolder()
            let file = try folder.file("packets", Workload.ndjson(graph.packets) + [0x0A])
            _ = try server.psql(Self.schema(file))
            ways += try Self.comparePaths(graph, client, server, seed)
            takenBack += try Self.compareConflicts(client, server)
            try Self.compareEvidence(client, server)
            try Self.compareDiffs(graph, client, server, seed)
            return true
        }
        #expect(ways >= ran && takenBack >= ran / 2, "\(ways) \(takenBack)")
    }

    /// 50 pairs of packets; how many have a way.
    private static func comparePaths(
        _ graph: RandomLedger, _ client: HTTPClient, _ server: PostgresServer, _ seed: UInt64
    ) throws -> Int {
        var generator = SeededGenerator(seed: seed &+ 9)
        let pairs = (0..<50).map { _ in
            (
                graph.ids.randomElement(using: &generator)!,
                graph.ids.randomElement(using: &generator)!
            )
        }
        let rows = try server.psql(
            pairs.map { "SELECT routes('\($0)', '\($1)');" }.joined(separator: "\n"))
        #expect(rows.count == pairs.count)
        var found = 0
        for ((from, to), row) in zip(pairs, rows) {
            let answer = try client.get("/v1/paths?from=\(from)&to=\(to)").json
            let path = (answer["path"] as? [[String: Any]] ?? []).map { "\($0["position"]!)" }
            let text = "\(answer["routes"]!) \(path.joined(separator: "-"))"
            #expect(text == row, "\(from) \(to)")
            #expect(answer["exhaustive"] as? Bool == true)
            if !path.isEmpty { found += 1 }
        }
        return found
    }

    /// How many statements were taken back.
    private static func compareConflicts(
        _ client: HTTPClient, _ server: PostgresServer
    ) throws -> Int {
        let expected = try server.psql("SELECT line FROM disputes ORDER BY line;")
        for order in ["asc", "desc"] {
            var (lines, cursor): ([String], String?) = ([], nil)
            repeat {
                let page = try client.get(
                    "/v1/conflicts?limit=7&order=\(order)" + (cursor.map { "&cursor=" + $0 } ?? "")
                ).json
                for conflict in page["conflicts"] as! [[String: Any]] {
                    lines.append(line(conflict))
                }
                cursor = page["next"] as? String
            } while cursor != nil
            #expect(lines.sorted() == expected.sorted())
        }
        #expect(expected.contains { $0.hasPrefix("contradicted") })
        return expected.count { $0.contains(" false ") }
    }

    /// Kind, whether it is in force, the positions disputed, by which, and what rests on them.
    private static func line(_ conflict: [String: Any]) -> String {
        let packets = (conflict["packets"] as! [[String: Any]]).map { "\($0["position"]!)" }
        let outcomes = (conflict["outcomes"] as? [[String: Any]] ?? []).map {
            $0["position"] as! Int
        }.sorted().map(String.init)
        // Not all are listed.
        let count = conflict["outcomes_count"] as? Int ?? 0
        let below = count > 20 ? "#\(count)" : outcomes.joined(separator: ",")
        let by = (conflict["by"] as! [String: Any])["position"]!
        let isInForce = conflict["in_force"] as! Bool
        return
            "\(conflict["kind"]!) \(isInForce) \(packets.joined(separator: ",")) \(by) \(below)"
    }

    private static func compareEvidence(
        _ client: HTTPClient, _ server: PostgresServer
    ) throws {
        let expected = try server.psql("SELECT line FROM uses ORDER BY line;")
        #expect(expected.count == RandomLedger.digests.count)
        for (digest, row) in zip(RandomLedger.digests.sorted(), expected) {
            let answer = try client.get("/v1/evidence/\(digest)").json
            func positions(_ name: String) -> String {
                (answer[name] as! [[String: Any]]).map { $0["position"] as! Int }.sorted()
                    .map(String.init).joined(separator: ",")
            }
            let nodes = (answer["used_by"] as! [[String: Any]]).flatMap {
                ($0["nodes"] as! [String])
            }.sorted().joined(separator: ",")
            let line =
                "\(digest) \(positions("produced_by")) \(positions("used_by")) \(nodes) \(positions("outcomes"))"
            #expect(line == row)
        }
    }

    /// What came to a packet's chain between two sizes, and which references found what they name.
    private static func compareDiffs(
        _ graph: RandomLedger, _ client: HTTPClient, _ server: PostgresServer, _ seed: UInt64
    ) throws {
        var generator = SeededGenerator(seed: seed &+ 17)
        let cases = (0..<50).map { _ in
            let sizes = [
                Int.random(in: 0...60, using: &generator),
                Int.random(in: 0...60, using: &generator),
            ].sorted()
            return (id: graph.ids.randomElement(using: &generator)!, from: sizes[0], to: sizes[1])
        }
        let rows = try server.psql(
            cases.map { "SELECT diff('\($0.id)', \($0.from), \($0.to));" }.joined(separator: "\n"))
        #expect(rows.count == cases.count)
        for (one, row) in zip(cases, rows) {
            let answer = try client.get("/v1/diff?packet=\(one.id)&from=\(one.from)&to=\(one.to)")
            guard answer.status == 200 else {
                #expect(answer.status == 404 && row == "none", "\(one) \(answer.text)")
                continue
            }
            let packets = (answer.json["packets"] as! [[String: Any]]).map {
                $0["position"] as! Int
            }
            .sorted().map(String.init).joined(separator: ",")
            let edges = (answer.json["edges_found"] as! [[String: Any]]).map {
                "\($0["from"]!)>\($0["to"]!)"
            }
            #expect(
                "p\(packets) e\(Set(edges).sorted().joined(separator: ","))" == row, "\(one)")
        }
    }

    private static func schema(_ file: String) -> String {
        """
        DROP SCHEMA IF EXISTS g CASCADE; CREATE SCHEMA g; SET search_path = g;
        ALTER DATABASE postgres SET search_path = g;
        CREATE TABLE packets (position bigint GENERATED ALWAYS AS IDENTITY (MINVALUE 0 START 0), packet jsonb);
        \\copy packets (packet) FROM '\(file)' \(PostgresServer.copyOptions)
        CREATE TABLE p AS SELECT position, packet->>'stardust_id' AS id, packet->>'entity_id' AS entity,
            packet->'decision_chain'->>'decision_key' AS key, packet->'decision_chain'->'nodes'->0 AS node,
            packet->'lineage'->'evidence' AS evidence FROM packets;
        CREATE TABLE edges AS SELECT c.position AS child, f.position AS parent,
            coalesce(ref->>'relation', 'derived_from') AS relation, place
            FROM packets c, jsonb_array_elements(c.packet->'lineage'->'_meta_parents') WITH ORDINALITY AS r(ref, place)
            JOIN p f ON f.id = coalesce(ref->>'stardust_id', ref #>> '{}');
        -- All ways, each as the positions on it.
        CREATE FUNCTION routes(a text, b text) RETURNS text LANGUAGE sql AS $$
            WITH RECURSIVE w(route, at) AS (
                SELECT ARRAY[position], position FROM p WHERE id = a
                UNION SELECT route || child, child FROM w JOIN edges ON parent = at
            ), hit AS (SELECT route FROM w JOIN p ON p.position = at WHERE p.id = b)
            SELECT count(*) || ' ' || coalesce((SELECT array_to_string(route, '-') FROM hit
                ORDER BY array_length(route, 1), route LIMIT 1), '') FROM hit $$;
        -- Who is retracted: amenders have higher numbers, so from the last one down.
        CREATE TABLE retracted (position bigint PRIMARY KEY);
        DO $$ DECLARE one record; BEGIN
            FOR one IN SELECT position, packet->'lineage'->'number' AS n FROM packets ORDER BY n DESC LOOP
                INSERT INTO retracted SELECT DISTINCT parent FROM edges e WHERE e.parent = one.position
                    AND relation = 'retracts' AND child NOT IN (SELECT position FROM retracted);
            END LOOP;
        END $$;
        CREATE TABLE said AS SELECT *, child NOT IN (SELECT position FROM retracted) AS in_force,
            CASE relation WHEN 'retracts' THEN 'retracted' WHEN 'supersedes' THEN 'superseded' ELSE 'revised' END
            AS kind FROM edges WHERE relation IN ('retracts', 'supersedes', 'revision_of');
        CREATE FUNCTION below(roots bigint[], own boolean, without bigint DEFAULT -1) RETURNS text LANGUAGE sql AS $$
            WITH RECURSIVE w(at, depth) AS (SELECT unnest(roots), 0
                UNION SELECT child, 1 FROM w JOIN edges ON parent = at
                WHERE relation NOT IN ('retracts', 'supersedes') AND child <> ALL (roots) AND child <> without)
            SELECT coalesce(string_agg(DISTINCT position::text, ',' ORDER BY position::text), '') FROM w
            JOIN p ON position = at WHERE node ? 'chosen' AND (own OR depth > 0) $$;
        CREATE FUNCTION up(root bigint, size bigint) RETURNS SETOF bigint LANGUAGE sql AS $$
            WITH RECURSIVE w(at) AS (SELECT root WHERE root < size UNION SELECT parent FROM w
                JOIN edges ON child = at AND parent < size) SELECT at FROM w $$;
        CREATE FUNCTION down(root bigint, size bigint) RETURNS SETOF bigint LANGUAGE sql AS $$
            WITH RECURSIVE w(at) AS (SELECT root WHERE root < size UNION SELECT child FROM w
                JOIN edges ON parent = at AND child < size) SELECT at FROM w $$;
        CREATE FUNCTION diff(target text, m bigint, n bigint) RETURNS text LANGUAGE sql AS $$
            SELECT CASE WHEN position >= n THEN 'none' ELSE
                'p' || coalesce((SELECT string_agg(at::text, ',' ORDER BY at) FROM
                    ((SELECT at FROM up(position, n) AS at UNION SELECT at FROM down(position, n) AS at) EXCEPT
                    (SELECT at FROM up(position, m) AS at UNION SELECT at FROM down(position, m) AS at)) AS new), '')
                || ' e' || coalesce((SELECT string_agg(DISTINCT child || '>' || parent, ',' ORDER BY child || '>' || parent)
                    FROM edges WHERE child IN (SELECT up(position, m)) AND parent >= m AND parent < n), '')
                END FROM p WHERE id = target $$;
        CREATE FUNCTION sorted(list text, most int DEFAULT 1000) RETURNS text LANGUAGE sql AS $$
            SELECT CASE WHEN most < count(*) THEN '#' || count(*)
                ELSE coalesce(string_agg(x, ',' ORDER BY x::bigint), '') END FROM
            unnest(string_to_array(list, ',')) AS x $$;
        CREATE TABLE standing AS SELECT position, position IN (SELECT parent FROM said WHERE in_force) AS disputed FROM p;
        CREATE TABLE disputes AS
            SELECT kind || ' ' || in_force || ' ' || parent || ' ' || child || ' '
                || CASE WHEN in_force THEN sorted(below(ARRAY[parent], false, child), 20) ELSE '' END AS line FROM said
            UNION ALL
            SELECT 'contradicted true ' || string_agg(q.position::text, ',' ORDER BY q.position) || ' ' || c.position
                || ' ' || sorted(below(array_agg(q.position), false, c.position), 20)
            FROM p c JOIN p q ON q.position < c.position AND q.entity = c.entity AND q.key = c.key
                AND q.node->'chosen' <> c.node->'chosen'
            WHERE NOT (SELECT disputed FROM standing s WHERE s.position = c.position)
                AND NOT (SELECT disputed FROM standing s WHERE s.position = q.position)
            GROUP BY c.position;
        CREATE TABLE cited AS
            SELECT DISTINCT p.position, e->>'digest' AS digest, e->>'role' AS role, NULL AS node FROM p,
                jsonb_array_elements(evidence) AS e
            UNION SELECT p.position, coalesce((SELECT e->>'digest' FROM jsonb_array_elements(evidence) AS e
                WHERE e->>'id' = name LIMIT 1), name), NULL, p.id || '#' || (node->>'id')
                FROM p, jsonb_array_elements_text(coalesce(node->'evidence', '[]')) AS name;
        CREATE TABLE uses AS SELECT digest || ' ' || sorted(string_agg(DISTINCT position::text, ',') FILTER (WHERE made))
            || ' ' || sorted(string_agg(DISTINCT position::text, ',') FILTER (WHERE NOT made)) || ' '
            || coalesce(string_agg(DISTINCT node, ',' ORDER BY node) FILTER (WHERE NOT made), '') || ' '
            || sorted(below(array_agg(DISTINCT position), true)) AS line
            FROM (SELECT c.*, EXISTS (SELECT FROM cited o WHERE o.position = c.position AND o.digest = c.digest
                AND o.role = 'output') AS made FROM cited c) AS c WHERE digest LIKE 'sha256:%' GROUP BY digest;
        """
    }
}

/// A ledger whose references form no cycle, though many name what comes later.
private struct RandomLedger {
    static let digests = (0..<6).map { "sha256:" + String(repeating: "\($0)", count: 64) }

    private(set) var packets: [[UInt8]] = []
    private(set) var ids: [String] = []

    init(seed: UInt64, count: Int) {
        var generator = SeededGenerator(seed: seed)
        ids = (0..<count).map { String(format: "%08x-0000-4000-8000-%012x", $0, Int(seed)) }
        let entities = (0..<5).map { String(format: "%08x-1111-4000-8000-%012x", $0, Int(seed)) }
        for number in 0..<count {
            let references = (0..<Int.random(in: 0...3, using: &generator)).compactMap {
                _ -> String? in
                guard number > 0 else { return nil }
                let id = ids[Int.random(in: max(0, number - 15)..<number, using: &generator)]
                let relation = ["retracts", "supersedes", "revision_of", "", "", "", "", "", ""]
                    .randomElement(using: &generator)!
                return relation.isEmpty
                    ? "\"\(id)\"" : "{\"stardust_id\":\"\(id)\",\"relation\":\"\(relation)\"}"
            }
            let digest = Self.digests.randomElement(using: &generator)!
            let other = Self.digests.randomElement(using: &generator)!
            let role = ["input", "output", "model"].randomElement(using: &generator)!
            let evidence =
                number.isMultiple(of: 3)
                ? "[]" : "[{\"id\":\"e\",\"digest\":\"\(digest)\",\"role\":\"\(role)\"}]"
            let cited = ["\"e\"", "\"\(other)\"", "\"e\",\"\(other)\"", ""].randomElement(
                using: &generator)!
            let chosen =
                Bool.random(using: &generator)
                ? ",\"chosen\":\"\(["a", "b"].randomElement(using: &generator)!)\"" : ""
            packets.append(
                Array(
                    """
                    {"stardust_id":"\(ids[number])","entity_type":"clips",\
                    "entity_id":"\(entities.randomElement(using: &generator)!)","lineage":{\
                    "trace_id":"\(ids[0])","number":\(number),"_meta_parents":[\(references.joined(separator: ","))],\
                    "evidence":\(evidence)},"decision_chain":{"decision_key":"k\(Int.random(in: 0...2, using: &generator))",\
                    "nodes":[{"id":"n","kind":"selection","evidence":[\(cited)]\(chosen)}]},\
                    "created_at":"2026-01-01T00:00:00Z"}
                    """.utf8))
        }
        packets.shuffle(using: &generator)
    }
}
