internal import Glibc
internal import LedgerFormat
internal import LedgerStorage
internal import Packets

/// The same questions to the daemon and to PostgreSQL, turn by turn, on the same rows.
struct QueryBench {
    private let socket: String
    private let postgres: PostgresConnection?
    private var sample: Sample
    private let times: Int

    /// What is asked for, taken from the packets themselves.
    private struct Sample {
        var packets: [(id: String, type: String, entity: String, trace: String)] = []
        var parents: [String] = []
        var published: [String] = []
        /// The event that comes nearest to a tenth of all.
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
    /// the daemon alone is asked.
    init(
        socket: String, _ count: Int, of source: PacketSource, postgres folder: String?, times: Int
    ) throws(Failure) {
        self.socket = socket
        self.times = times
        postgres = try folder.map { (folder) throws(Failure) in
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

    /// Packets that questions are made of.
    private static let sampled = 20_000

    private static func sample(_ packets: [[UInt8]]) throws(Failure) -> Sample {
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
            throw Failure(.badInput, "the sample has no published upload with parents")
        }
        return sample
    }

    // MARK: PostgreSQL's side

    /// Makes the table of the engine's data model with its indexes, with the first packets of a
    /// source.
    static func load(
        _ count: Int, of source: PacketSource, into folder: String
    ) throws(Failure) {
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

    // MARK: Questions

    private static let columns =
        "stardust_id, entity_type, entity_id, lineage, decision_chain, created_at"

    /// Processes that answer.
    func processes() throws(Failure) -> [pid_t] {
        let backend = try postgres?.values("SELECT pg_backend_pid()").compactMap { pid_t($0) }
        return [try LoadConnection(socket: socket).peer] + (backend ?? [])
    }

    func run() throws(Failure) -> [Result] {
        let columns = Self.columns
        let containing =
            "SELECT \(columns) FROM stardust_metadata WHERE lineage @> $1::jsonb ORDER BY created_at"
        let sample = sample
        func packet(_ turn: Int) -> (id: String, type: String, entity: String, trace: String) {
            sample.packets[turn * 7919 % sample.packets.count]
        }
        func pattern(_ json: String) -> (String, [String]) {
            ("/v1/packets?lineage=\(json.percentEncoded)", [json])
        }
        return [
            try ask("a round trip alone", 0, "SELECT 1") { _ in ("/livez", []) },
            try ask(
                "history of an entity", 0.7,
                """
                SELECT \(columns) FROM stardust_metadata WHERE entity_type = $1 AND entity_id = $2::uuid
                ORDER BY created_at
                """
            ) {
                let packet = packet($0)
                return (
                    "/v1/entities/\(packet.type)/\(packet.entity)/packets",
                    [packet.type, packet.entity]
                )
            },
            try ask("packets of a trace", 0.7, containing) {
                pattern("{\"trace_id\":\"\(packet($0).trace)\"}")
            },
            try ask("first 50 of \(sample.event)", 0.05, containing + " LIMIT 50", share: 20) { _ in
                let json = "{\"event\":\"\(sample.event)\"}"
                return ("/v1/packets?limit=50&lineage=\(json.percentEncoded)", [json])
            },
            try ask("a rare and a common term", 0.7, containing) {
                pattern("{\"event\":\"\(sample.event)\",\"trace_id\":\"\(packet($0).trace)\"}")
            },
            try ask("children of a packet", 0.7, containing) { turn in
                let id = sample.parents[turn * 7919 % sample.parents.count]
                return (
                    "/v1/packets/\(id)/children",
                    ["{\"_meta_parents\":[{\"stardust_id\":\"\(id)\"}]}"]
                )
            },
            try ask(
                "chain of a published upload", 0.5,
                """
                WITH RECURSIVE up(id) AS (
                    SELECT $1::uuid
                    UNION
                    SELECT (parent->>'stardust_id')::uuid FROM up
                    JOIN stardust_metadata m ON m.stardust_id = up.id,
                    jsonb_array_elements(m.lineage->'_meta_parents') parent)
                SELECT \(columns) FROM up JOIN stardust_metadata m ON m.stardust_id = up.id
                ORDER BY created_at
                """
            ) { turn in
                let id = sample.published[turn * 7919 % sample.published.count]
                return ("/v1/packets/\(id)/chain", [id])
            },
        ]
    }

    /// Questions that one side is asked before it is the other's turn: few enough that both see the
    /// same minute, and so many that neither is measured while the other still finishes its work.
    private static let questionsInTurn = 25

    /// Asks one question many times, the daemon and PostgreSQL in turns, and takes the medians.
    private func ask(
        _ name: String, _ target: Double, _ sql: String, share: Int = 1,
        _ question: (Int) -> (path: String, parameters: [String])
    ) throws(Failure) -> Result {
        let daemon = try LoadConnection(socket: socket)
        try postgres?.prepare(name, sql)
        var (ours, theirs, rows): ([Int], [Int], Int) = ([], [], 0)
        let count = max(10, times / share)
        // Once through before, so that both sides have the pages in memory.
        for start in stride(from: -count, to: count, by: Self.questionsInTurn) {
            let isCounted = start >= 0
            let turns = start..<min(start + Self.questionsInTurn, isCounted ? count : 0)
            let questions = turns.map { question($0 < 0 ? $0 + count : $0) }
            for (path, _) in questions {
                let time = try ask(path, daemon)
                if isCounted { ours.append(time) }
            }
            guard let postgres else { continue }
            for (_, parameters) in questions {
                let start = ContinuousClock.now
                let found = try postgres.execute(name, parameters)
                guard isCounted else { continue }
                theirs.append(Int((ContinuousClock.now - start) / .microseconds(1)))
                rows += found
            }
        }
        return Result(
            name: name, daemon: ours.sorted()[ours.count / 2],
            postgres: theirs.isEmpty ? nil : theirs.sorted()[theirs.count / 2], target: target,
            rows: theirs.isEmpty ? 0 : rows / theirs.count)
    }

    /// Microseconds that the daemon takes for one answer.
    private func ask(_ path: String, _ daemon: LoadConnection) throws(Failure) -> Int {
        let request = Array("GET \(path) HTTP/1.1\r\nhost: x\r\n\r\n".utf8)
        let start = ContinuousClock.now
        try daemon.send(request.span)
        while true {
            guard try daemon.fill() else { throw Failure(.unreachable, "\(path): closed") }
            guard let status = daemon.takeResponse() else { continue }
            let time = Int((ContinuousClock.now - start) / .microseconds(1))
            guard status == 200 else { throw Failure(.no, "\(path): status \(status)") }
            return time
        }
    }
}

extension String {
    /// As it stands in a query (RFC 3986 section 2.1).
    var percentEncoded: String {
        var result: [UInt8] = []
        for byte in utf8 {
            let isPlain =
                (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte)
                || (0x61...0x7A).contains(byte) || [0x2D, 0x2E, 0x5F, 0x7E].contains(byte)
            if isPlain {
                result.append(byte)
            } else {
                result.append(UInt8(ascii: "%"))
                result += Array(String(byte, radix: 16, uppercase: true).leftPadded.utf8)
            }
        }
        return String(decoding: result, as: UTF8.self)
    }

    private var leftPadded: String { utf8.count < 2 ? "0" + self : self }
}
