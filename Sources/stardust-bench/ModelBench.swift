#if PostgreSQL
    internal import Glibc
    internal import LedgerFormat
    internal import Platform
    internal import ReadModel

    /// Compares the read model with PostgreSQL's own subscription: the same rows from the same
    /// server, in turns. By PostgreSQL's default, what the subscription applies is not synced; ours
    /// is. Our time includes the start of the process; the subscription's starts with its worker.
    struct ModelBench {
        private let folder: String
        private let root: String
        private let program: String
        private let rows: Int
        private let source: PostgresConnection
        private let target: PostgresConnection

        private static let (here, there) = ("model_source", "model_target")

        struct Result {
            var rows: Int
            /// Seconds.
            var ours: Double
            var theirs: Double
            var ratio: Double { theirs / ours }
        }

        init(
            postgres folder: String, root: String, program: String, rows: Int
        ) throws(BenchFailure) {
            (self.folder, self.root, self.program, self.rows) = (folder, root, program, rows)
            let server = try PostgresConnection(folder: folder)
            for name in [Self.here, Self.there] {
                try server.run("DROP DATABASE IF EXISTS \(name) WITH (FORCE)")
                try server.run("CREATE DATABASE \(name)")
            }
            source = try PostgresConnection(folder: folder, database: Self.here)
            target = try PostgresConnection(folder: folder, database: Self.there)
            for connection in [source, target] { try connection.run(PostgresSchema.text) }
            try source.run("SET synchronous_commit = off")
        }

        private var ledger: String { root + "/model-ledger" }
        private var address: String { "host=\(folder) user=postgres dbname=\(Self.here)" }

        /// Removes the slots, which would make the server keep its log, and the databases.
        func cleanUp() throws(BenchFailure) {
            let server = try PostgresConnection(folder: folder)
            try? target.run("ALTER SUBSCRIPTION bench DISABLE")
            try? target.run("ALTER SUBSCRIPTION bench SET (slot_name = NONE)")
            try? target.run("DROP SUBSCRIPTION bench")
            for slot in ["bench", "stardust"] {
                try wait(or: "the slot \(slot) is still in use") { () throws(BenchFailure) in
                    let named = "FROM pg_replication_slots WHERE slot_name = '\(slot)'"
                    try server.run(
                        "SELECT pg_drop_replication_slot(slot_name) \(named) AND NOT active")
                    let left = try server.values("SELECT slot_name \(named)")
                    return left.isEmpty
                }
            }
            for name in [Self.here, Self.there] {
                try server.run("DROP DATABASE \(name) WITH (FORCE)")
            }
        }

        // MARK: Copying

        func copying() throws(BenchFailure) -> Result {
            try source.run(Self.foundation(rows))
            let names = EngineSchema.tables.map(\.name).joined(separator: ", ")
            try source.run("CREATE PUBLICATION stardust FOR TABLE \(names)")
            try source.run("SELECT pg_create_logical_replication_slot('bench', 'pgoutput')")
            guard try ChildProcess.run([program, "init", ledger]).exitStatus == 0 else {
                throw BenchFailure("could not create the ledger in \(ledger)")
            }
            let ours = try sync()
            let start = ContinuousClock.now
            try target.run(
                "CREATE SUBSCRIPTION bench CONNECTION '\(address)' PUBLICATION stardust "
                    + "WITH (create_slot = false, slot_name = 'bench')")
            try wait(or: "the subscription did not finish its copy") { () throws(BenchFailure) in
                try target.values(
                    "SELECT 1 FROM pg_subscription_rel HAVING count(*) FILTER "
                        + "(WHERE srsubstate IN ('r', 's')) = \(EngineSchema.tables.count)"
                ).isEmpty == false
            }
            let theirs = (ContinuousClock.now - start) / .seconds(1)
            let counts = EngineSchema.tables.map { "(SELECT count(*) FROM \($0.name))" }
            let copied = try source.values("SELECT " + counts.joined(separator: " + "))
            return Result(rows: Int(copied[0]) ?? 0, ours: ours, theirs: theirs)
        }

        /// Fills a few of the pipeline's tables, mostly those that have many rows.
        private static func foundation(_ rows: Int) -> String {
            """
            INSERT INTO creators (creator_id, platform, username)
                SELECT gen_random_uuid(), 'youtube', 'u' || n FROM generate_series(1, 20) n;
            INSERT INTO posts SELECT gen_random_uuid(), creator_id, 'p', 'https://example/p', now(), now(),
                '{"likes": 917648, "tags": ["q&a", "behind-the-scenes"], "lang": "ja"}' FROM creators;
            INSERT INTO videos (video_id, post_id, file_path, duration_seconds, resolution, checksum)
                SELECT gen_random_uuid(), post_id, 'gs://omniva/v.mp4', 2875, '1080x1920', md5(n::text || post_id)
                FROM posts, generate_series(1, \(max(1, rows / 200))) n;
            INSERT INTO clips SELECT gen_random_uuid(), video_id, random() * 100, 200, random(),
                ARRAY['hook', 'reveal'], '{"zenith": 0.71, "horizon": 0.64}', random(),
                jsonb_build_object('stardust_id', gen_random_uuid())
                FROM videos, generate_series(1, 5) LIMIT \(rows * 4 / 10);
            INSERT INTO logs SELECT gen_random_uuid(), 'zenith', 'INFO', 'clip selected',
                jsonb_build_object('entity_type', 'clips', 'entity_id', clip_id), now()
                FROM clips LIMIT \(rows * 4 / 10);
            """
        }

        // MARK: Applying

        /// Both apply the same backlog of one-row transactions.
        func applying(turns: Int) throws(BenchFailure) -> Result {
            var results: [Result] = []
            for turn in 0..<turns {
                try target.run("ALTER SUBSCRIPTION bench DISABLE")
                let marker = "turn \(turn)"
                try source.run(
                    """
                    DO $$ BEGIN FOR n IN 1..\(rows) LOOP
                        INSERT INTO logs (log_id, source, level, message, metadata) VALUES
                            (gen_random_uuid(), 'zenith', 'INFO', 'clip selected', '{"free": true}');
                        COMMIT;
                    END LOOP; END $$
                    """)
                try source.run(
                    "INSERT INTO creators (creator_id, platform, username) VALUES "
                        + "(gen_random_uuid(), 'marker', '\(marker)')")
                let isOursFirst = turn.isMultiple(of: 2)
                var ours = isOursFirst ? try sync() : 0
                let theirs = try subscription(until: marker)
                if !isOursFirst { ours = try sync() }
                results.append(Result(rows: rows, ours: ours, theirs: theirs))
            }
            return results.sorted { $0.ratio < $1.ratio }[turns / 2]
        }

        private func subscription(until marker: String) throws(BenchFailure) -> Double {
            try target.run("ALTER SUBSCRIPTION bench ENABLE")
            // The launcher starts the worker when it gets to it; that time is not counted.
            try wait(or: "the subscription did not start") { () throws(BenchFailure) in
                try source.values(
                    "SELECT 1 FROM pg_replication_slots WHERE slot_name = 'bench' AND active"
                ).isEmpty == false
            }
            let start = ContinuousClock.now
            try wait(or: "the subscription did not apply the changes") { () throws(BenchFailure) in
                try target.values(
                    "SELECT 1 FROM creators WHERE platform = 'marker' AND username = '\(marker)'"
                ).isEmpty == false
            }
            return (ContinuousClock.now - start) / .seconds(1)
        }

        /// Seconds until everything is applied, including the start of the process.
        private func sync() throws(BenchFailure) -> Double {
            let usage = try ChildProcess.run([
                program, "model", "sync", "--from", address, "--ledger", ledger, "--create",
                "--once",
            ])
            guard usage.exitStatus == 0 else {
                throw BenchFailure("model sync exited with \(usage.exitStatus)")
            }
            return usage.wall / .seconds(1)
        }

        private func wait(
            or words: String, _ condition: () throws(BenchFailure) -> Bool
        ) throws(BenchFailure) {
            let deadline = ContinuousClock.now + .seconds(300)
            while try !condition() {
                guard ContinuousClock.now < deadline else { throw BenchFailure(words) }
                usleep(1_000)
            }
        }

        // MARK: Lag

        /// Age of the read model's newest row in milliseconds, while rows are written and packets
        /// are emitted at a fixed rate.
        func lag(
            perSecond: Int, seconds: Int, _ packets: inout PacketSource
        ) throws(BenchFailure) -> (
            median: Int, most: Int, rowsPerSecond: Int, packetsPerSecond: Int
        ) {
            try target.run("ALTER SUBSCRIPTION bench DISABLE")
            let config = root + "/model.json"
            do throws(FileFailure) {
                let text = "{\"model\": {\"from\": \"\(address)\", \"create\": true}}"
                try PosixVolume(root: root).replace("model.json", with: Array(text.utf8))
            } catch { throw BenchFailure(error.description) }
            let socket = root + "/m"
            let daemon = try ChildProcess([
                program, "serve", ledger, "--socket", socket, "--config", config,
            ])
            defer {
                daemon.send(SIGTERM)
                _ = daemon.wait()
            }
            try wait(or: "the daemon did not follow the source") { () throws(BenchFailure) in
                // Requests fail until the socket exists.
                ((try? Self.newest(socket)) ?? nil) != nil
            }
            let writer = Writer(source, perSecond: perSecond, seconds: seconds)
            let probe = Probe(socket, until: .now + .seconds(seconds))
            let result = try Load.stream(
                socket: socket, packets: perSecond * seconds, perSecond: perSecond, &packets)
            let ages = probe.finish().sorted()
            let written = try writer.finish()
            guard !ages.isEmpty else { throw BenchFailure("no row arrived") }
            return (
                ages[ages.count / 2] / 1000, ages.last! / 1000, written / seconds,
                Int(result.perSecond)
            )
        }

        /// When the newest row was written, in microseconds since 1970; 0 if it has no time.
        fileprivate static func newest(_ socket: String) throws(BenchFailure) -> Int? {
            let answer = try LoadConnection(socket: socket).post(
                "/v1/model/sql",
                #"{"sql": "SELECT message FROM logs ORDER BY rowid DESC LIMIT 1"}"#)
            guard answer.status == 200 else { return nil }
            return answer.text.firstMatch(of: /"rows":\[\["([0-9]+)"/).flatMap { Int($0.1) } ?? 0
        }

        /// Writes rows in transactions of ten, on its own thread.
        // Unchecked: only its thread uses the connection, until it has ended.
        private final class Writer: @unchecked Sendable {
            private let connection: PostgresConnection
            private let end = Monitor<(count: Int, failure: BenchFailure?, hasEnded: Bool)>(
                (0, nil, false))
            private static let together = 10

            init(_ connection: PostgresConnection, perSecond: Int, seconds: Int) {
                self.connection = connection
                startThread("writer") { self.run(perSecond, perSecond * seconds) }
            }

            private func run(_ perSecond: Int, _ total: Int) {
                let start = ContinuousClock.now
                var (count, failure): (Int, BenchFailure?) = (0, nil)
                do throws(BenchFailure) {
                    while count < total {
                        try connection.run(
                            "INSERT INTO logs SELECT gen_random_uuid(), 'bench', 'INFO', "
                                + "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint::text, NULL, now() "
                                + "FROM generate_series(1, \(Self.together))")
                        count += Self.together
                        let due = start + .seconds(1) * count / perSecond
                        let early = (due - .now) / .microseconds(1)
                        if early > 0 { usleep(UInt32(early)) }
                    }
                } catch { failure = error }
                let result = (count, failure, true)
                end.change { $0 = result }
            }

            func finish() throws(BenchFailure) -> Int {
                let result = end.wait { $0.hasEnded ? ($0.count, $0.failure) : nil }
                if let failure = result.1 { throw failure }
                return result.0
            }
        }

        /// Samples the age of the newest row, on its own thread.
        private final class Probe: Sendable {
            private let ages = Monitor<(values: [Int], hasEnded: Bool)>(([], false))

            init(_ socket: String, until end: ContinuousClock.Instant) {
                let ages = ages
                startThread("probe") {
                    var values: [Int] = []
                    // Skip the first second, in which everything is starting up.
                    usleep(1_000_000)
                    while ContinuousClock.now < end {
                        // A failed request only loses one sample.
                        if let written = (try? ModelBench.newest(socket)) ?? nil, written > 0 {
                            values.append(Int(Timestamp.systemNow().microseconds) - written)
                        }
                        usleep(50_000)
                    }
                    let found = values
                    ages.change { $0 = (found, true) }
                }
            }

            func finish() -> [Int] { ages.wait { $0.hasEnded ? $0.values : nil } }
        }
    }
#endif
