internal import Glibc
internal import LedgerFormat
internal import Packets

/// Runs the same queries on the daemon and on PostgreSQL, in turns, over the same rows.
struct QueryBench {
    private let socket: String
    private let postgres: PostgresConnection?
    private var sample: Sample
    private let times: Int

    /// Values to query for, taken from the packets themselves.
    private struct Sample {
        var packets: [(id: String, type: String, entity: String, trace: String)] = []
        var parents: [String] = []
        var published: [String] = []
        /// The event whose share of the packets is nearest to a tenth.
        var event = ""
    }

    struct Result {
        var name: String
        var daemon: Int
        var postgres: Int?
        var target: Double
        var rows: Int
    }

    /// The ledger has the first `count` packets of a source. `folder` is PostgreSQL's; without it
    /// only the daemon is measured.
    init(
        socket: String, _ count: Int, of source: PacketSource, postgres folder: String?, times: Int
    ) throws(BenchFailure) {
        self.socket = socket
        self.times = times
        postgres = try folder.map { (folder) throws(BenchFailure) in
            try PostgresConnection(folder: folder)
        }
        var (source, packets) = (source, [[UInt8]]())
        let step = max(1, count / Self.sampled)
        for number in 0..<count {
            var packet: [UInt8] = []
            source.append(to: &packet)
            if number.isMultiple(of: step) || count - number < 1000 { packets.append(packet) }
        }
        sample = try Self.sample(packets)
    }

    /// Approximate number of packets that the queries are built from.
    private static let sampled = 20_000

    private static func sample(_ packets: [[UInt8]]) throws(BenchFailure) -> Sample {
        var sample = Sample()
        var events: [String: Int] = [:]
        for packet in packets {
            guard let document = try? JSONDocument(packet),
                let lineage = document.member("lineage", of: 0)
            else { continue }
            func text(_ name: String, _ object: Int = 0) -> String {
                document.member(name, of: object).flatMap(document.string) ?? ""
            }
            let (id, event) = (text("stardust_id"), text("event", lineage))
            events[event, default: 0] += 1
            sample.packets.append(
                (id, text("entity_type"), text("entity_id"), text("trace_id", lineage)))
            if let parents = document.member("_meta_parents", of: lineage) {
                for parent in JSONChildren(document.tokens, of: parents) {
                    sample.parents.append(text("stardust_id", parent))
                }
            }
            if event == "upload.published" { sample.published.append(id) }
        }
        let tenth = sample.packets.count / 10
        sample.event = events.min { abs($0.value - tenth) < abs($1.value - tenth) }?.key ?? ""
        guard !sample.published.isEmpty, !sample.parents.isEmpty else {
            throw BenchFailure("the sample has no published upload with parents")
        }
        return sample
    }

    // MARK: PostgreSQL's side

    /// Creates the table of the engine's data model with its indexes, and fills it with the first
    /// packets of a source.
    static func load(
        _ count: Int, of source: PacketSource, into folder: String
    ) throws(BenchFailure) {
        var source = source
        let connection = try PostgresConnection(folder: folder)
        let present = try connection.values(
            "SELECT CASE WHEN to_regclass('stardust_metadata') IS NULL THEN '0' ELSE '1' END")
        if present == ["1"],
            try connection.values("SELECT count(*) FROM stardust_metadata") == ["\(count)"]
        {
            return
        }
        try connection.run("DROP TABLE IF EXISTS stardust_metadata")
        try connection.run("CREATE UNLOGGED TABLE packets (packet jsonb)")
        var left = count
        try connection.copy(
            "COPY packets FROM STDIN (FORMAT csv, DELIMITER E'\\x01', QUOTE E'\\x02')"
        ) {
            var chunk: [UInt8] = []
            while left > 0, chunk.count < 1 << 20 {
                source.append(to: &chunk)
                chunk.append(0x0A)
                left -= 1
            }
            return chunk
        }
        try connection.run(
            """
            CREATE TABLE stardust_metadata (
                stardust_id uuid PRIMARY KEY, entity_type text NOT NULL, entity_id uuid NOT NULL,
                lineage jsonb NOT NULL, decision_chain jsonb,
                created_at timestamptz NOT NULL DEFAULT now());
            INSERT INTO stardust_metadata
                SELECT (packet->>'stardust_id')::uuid, packet->>'entity_type',
                    (packet->>'entity_id')::uuid, packet->'lineage',
                    nullif(packet->'decision_chain', 'null'), (packet->>'created_at')::timestamptz
                FROM packets;
            DROP TABLE packets;
            CREATE INDEX ON stardust_metadata (entity_type, entity_id);
            CREATE INDEX ON stardust_metadata USING gin (lineage jsonb_path_ops);
            """)
        try connection.run("VACUUM (ANALYZE) stardust_metadata")
    }

    // MARK: Queries

    private static let columns =
        "stardust_id, entity_type, entity_id, lineage, decision_chain, created_at"

    /// The processes that answer the queries.
    func processes() throws(BenchFailure) -> [pid_t] {
        let backend = try postgres?.values("SELECT pg_backend_pid()").compactMap { pid_t($0) }
        return [try LoadConnection(socket: socket).peer] + (backend ?? [])
    }

    /// One query for both sides. `parameters` gets the number of the turn.
    private struct Query {
        var name: String
        /// The highest ratio of the daemon's time to PostgreSQL's that meets the target.
        var target: Double
        var sql: String
        /// Divides the number of times the query runs.
        var share = 1
        var parameters: (Int) -> (path: String, values: [String])
    }

    func run() throws(BenchFailure) -> [Result] {
        var results: [Result] = []
        for query in lists + edges { results.append(try ask(query)) }
        return results
    }

    private static let containing =
        "SELECT \(columns) FROM stardust_metadata WHERE lineage @> $1::jsonb ORDER BY created_at"

    private static func pattern(_ json: String) -> (String, [String]) {
        ("/v1/packets?lineage=\(json.percentEncoded)", [json])
    }

    private var lists: [Query] {
        let sample = sample
        func packet(_ turn: Int) -> (id: String, type: String, entity: String, trace: String) {
            sample.packets[turn * 7919 % sample.packets.count]
        }
        return [
            Query(name: "a round trip alone", target: 0, sql: "SELECT 1") { _ in ("/livez", []) },
            Query(
                name: "history of an entity", target: 0.7,
                sql: """
                    SELECT \(Self.columns) FROM stardust_metadata
                    WHERE entity_type = $1 AND entity_id = $2::uuid ORDER BY created_at
                    """
            ) {
                let packet = packet($0)
                let path = "/v1/entities/\(packet.type)/\(packet.entity)/packets"
                return (path, [packet.type, packet.entity])
            },
            Query(name: "packets of a trace", target: 0.7, sql: Self.containing) {
                Self.pattern("{\"trace_id\":\"\(packet($0).trace)\"}")
            },
            Query(
                name: "first 50 of \(sample.event)", target: 0.05,
                sql: Self.containing + " LIMIT 50", share: 20
            ) { _ in
                let json = "{\"event\":\"\(sample.event)\"}"
                return ("/v1/packets?limit=50&lineage=\(json.percentEncoded)", [json])
            },
            Query(name: "a rare and a common term", target: 0.7, sql: Self.containing) {
                Self.pattern(
                    "{\"event\":\"\(sample.event)\",\"trace_id\":\"\(packet($0).trace)\"}")
            },
        ]
    }

    private var edges: [Query] {
        let sample = sample
        return [
            Query(name: "children of a packet", target: 0.7, sql: Self.containing) {
                let id = sample.parents[$0 * 7919 % sample.parents.count]
                let json = "{\"_meta_parents\":[{\"stardust_id\":\"\(id)\"}]}"
                return ("/v1/packets/\(id)/children", [json])
            },
            Query(
                name: "chain of a published upload", target: 0.5,
                sql: """
                    WITH RECURSIVE up(id) AS (
                        SELECT $1::uuid
                        UNION
                        SELECT (parent->>'stardust_id')::uuid FROM up
                        JOIN stardust_metadata m ON m.stardust_id = up.id,
                        jsonb_array_elements(m.lineage->'_meta_parents') parent)
                    SELECT \(Self.columns) FROM up JOIN stardust_metadata m ON m.stardust_id = up.id
                    ORDER BY created_at
                    """
            ) {
                let id = sample.published[$0 * 7919 % sample.published.count]
                return ("/v1/packets/\(id)/chain", [id])
            },
        ]
    }

    /// How many queries one side answers before it is the other's turn. Few enough that both run
    /// under the same conditions, and enough that neither is measured while the other still
    /// finishes its work.
    private static let queriesInTurn = 25

    /// Runs one query many times, on the daemon and PostgreSQL in turns, and returns the medians.
    private func ask(_ query: Query) throws(BenchFailure) -> Result {
        let daemon = try LoadConnection(socket: socket)
        try postgres?.prepare(query.name, query.sql)
        var (ours, theirs, rows): ([Int], [Int], Int) = ([], [], 0)
        let count = max(10, times / query.share)
        // The first pass is not counted; it brings the pages of both sides into memory.
        for start in stride(from: -count, to: count, by: Self.queriesInTurn) {
            let isCounted = start >= 0
            let turns = start..<min(start + Self.queriesInTurn, isCounted ? count : 0)
            let requests = turns.map { query.parameters($0 < 0 ? $0 + count : $0) }
            for (path, _) in requests {
                let time = try ask(path, daemon)
                if isCounted { ours.append(time) }
            }
            guard let postgres else { continue }
            for (_, values) in requests {
                let start = ContinuousClock.now
                let found = try postgres.execute(query.name, values)
                guard isCounted else { continue }
                theirs.append(Int((ContinuousClock.now - start) / .microseconds(1)))
                rows += found
            }
        }
        return Result(
            name: query.name, daemon: ours.sorted()[ours.count / 2],
            postgres: theirs.isEmpty ? nil : theirs.sorted()[theirs.count / 2],
            target: query.target, rows: theirs.isEmpty ? 0 : rows / theirs.count)
    }

    /// Microseconds the daemon needs for one answer.
    private func ask(_ path: String, _ daemon: LoadConnection) throws(BenchFailure) -> Int {
        let start = ContinuousClock.now
        let answer = try daemon.get(path)
        let time = Int((ContinuousClock.now - start) / .microseconds(1))
        guard answer.status == 200 else { throw BenchFailure("\(path): \(answer.text)") }
        return time
    }
}
