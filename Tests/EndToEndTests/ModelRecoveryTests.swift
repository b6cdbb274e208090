import DaemonTestSupport
import Foundation
import TestSupport
import Testing

/// What a read model that follows says when it cannot go on, and how it goes on again.
@Suite(.needs(PostgresServer.obstacle == nil, "PostgreSQL 15 is not installed"))
struct ModelRecoveryTests {
    private static func wait(
        _ what: String, _ seconds: Double = 60, _ condition: () throws -> Bool
    ) throws {
        let deadline = Date() + seconds
        while try !condition() {
            guard Date() < deadline else { throw Failure("waited in vain: \(what)") }
            usleep(50_000)
        }
    }

    private static func files(_ following: Following) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: following.ledger).filter {
            $0.hasPrefix("model") || $0.hasPrefix("replication")
        }.sorted()
    }

    @Test func `a publication that was made again asks for a new copy`() throws {
        let following = try Following()
        let server = following.server
        try server.psql(SourceRow.creator(1))
        #expect(try following.catchUp().status == 0)
        let definition = try server.psql(
            "SELECT string_agg(tablename, ', ') FROM pg_publication_tables WHERE pubname = 'stardust'"
        )[0]
        try server.psql("DROP PUBLICATION stardust")
        try server.psql(SourceRow.creator(2))
        try server.psql("CREATE PUBLICATION stardust FOR TABLE \(definition)")
        try server.psql(SourceRow.creator(3))
        let stopped = try following.catchUp()
        #expect(
            stopped.status == 1 && stopped.error.contains("was dropped")
                && stopped.error.contains("--resync"), "\(stopped)")
        // What is said does not grow.
        let first = try following.query("SELECT last_error FROM model_state")
        for _ in 0..<3 { #expect(try following.catchUp().status == 1) }
        #expect(try following.query("SELECT last_error FROM model_state") == first)
        #expect(try following.catchUp("--resync").status == 0)
        #expect(try following.compare().isEqual)
    }

    @Test(arguments: ["PREPARE TRANSACTION 'forgotten'", "SELECT pg_sleep(600)"])
    func `a slot that waits says for whom, and ends when it is told to`(_ last: String) throws {
        let following = try Following("max_prepared_transactions=2")
        let server = following.server
        let holder = try Background(
            [
                "-h", server.folder, "-U", "postgres", "-Xqc",
                "BEGIN; CREATE TABLE held (a int); \(last)",
            ], program: "/usr/bin/psql")
        defer { holder.kill() }
        try Self.wait("transaction") {
            try server.psql(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'transactionid' AND granted") != [
                    "0"
                ]
        }
        let words = last.hasPrefix("PREPARE") ? "ROLLBACK PREPARED 'forgotten'" : "application"
        let sync = try Background(following.arguments())
        let hint = last.hasPrefix("PREPARE") ? words : "pg_terminate_backend"
        try Self.wait("reason in \(sync.error)") { sync.error.contains(hint) }
        #expect(sync.stop() == 0, "\(sync.error)")
        try Self.wait("no slot") {
            try server.psql("SELECT slot_name FROM pg_replication_slots").isEmpty
        }
        #expect(try Self.files(following) == ["model.lock"])
        // The daemon's own status says it, too.
        let daemon = try Daemon(
            configuration: "{\"model\": {\"from\": \"\(server.address())\", \"create\": true}}")
        let client = try HTTPClient(daemon.socket)
        func waitsFor() throws -> String? {
            let status = try client.get("/v1/model/status").json["service"] as? [String: Any]
            return status?["waiting_for"] as? String
        }
        try Self.wait("status") { try waitsFor()?.contains(hint) == true }
        if last.hasPrefix("PREPARE") {
            try server.psql("ROLLBACK PREPARED 'forgotten'")
        } else {
            holder.kill()
            try server.psql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()"
            )
        }
        try Self.wait("following") { try daemon.metric("model_following") == 1 }
        #expect(try waitsFor() == nil)
        #expect(daemon.stop() == 0)
    }

    /// A source with one row, and a sync whose slot waits for the prepared transaction `held`.
    private static func heldUp() throws -> (Following, Background) {
        let following = try Following("max_prepared_transactions=2")
        try following.server.psql(SourceRow.creator(1))
        try following.server.psql("BEGIN; CREATE TABLE held (a int); PREPARE TRANSACTION 'held'")
        let sync = try Background(following.arguments())
        try sync.waitFor("ROLLBACK PREPARED")
        return (following, sync)
    }

    @Test func `one ledger's slot is not another's, whatever became of a copy`() throws {
        let (following, sync) = try Self.heldUp()
        let server = following.server
        #expect(sync.stop() == 0)
        try server.psql("ROLLBACK PREPARED 'held'")
        let other = following.folder.path + "/other"
        #expect(try run([Repository.program, "init", other]).status == 0)
        func syncOther(_ more: String...) throws -> Finished {
            try run(
                [
                    Repository.program, "model", "sync", "--from", server.address(), "--ledger",
                    other, "--once",
                ] + more)
        }
        #expect(try syncOther("--create").status == 0)
        for more in [[], ["--resync"]] {
            let refused = try run([Repository.program] + following.arguments(["--once"] + more))
            #expect(
                refused.status == 78 && refused.error.contains("did not create it"),
                "\(refused.error)")
        }
        try server.psql(SourceRow.creator(2))
        let goesOn = try syncOther()
        #expect(goesOn.status == 0, "\(goesOn.error)")
    }

    @Test func `a slot is made although nobody can be asked for whom it waits`() throws {
        let (following, sync) = try Self.heldUp()
        let server = following.server
        try server.psql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'stardust' AND backend_type = 'client backend'"
        )
        usleep(1_500_000)
        // The copy needs that connection, and begins again; no slot is left over from before.
        try server.psql("ROLLBACK PREPARED 'held'")
        try Self.wait("row") {
            (try? following.query("SELECT count(*) FROM creators")) == ["1"]
        }
        #expect(!sync.error.contains("is active"), "\(sync.error)")
        #expect(sync.stop() == 0)
        #expect(try server.psql("SELECT count(*) FROM pg_replication_slots") == ["1"])
    }

    @Test func `a server that freezes while rows are copied holds up no end`() throws {
        let following = try Following()
        let server = following.server
        try server.psql(
            """
            INSERT INTO creators (creator_id, platform, username, profile_url)
            SELECT gen_random_uuid(), 'p', 'u' || n, repeat('x', 2000)
            FROM generate_series(1, 200000) n
            """)
        let sync = try Background(following.arguments())
        try sync.waitFor("creating a slot")
        let leader = try String(
            contentsOfFile: server.folder + "/data/postmaster.pid", encoding: .utf8
        ).split(separator: "\n")[0]
        let all = "kill -%@ \(leader) $(pgrep -P \(leader))"
        try Self.wait("copy") {
            (try? FileManager.default.attributesOfItem(atPath: following.ledger + "/model-1.sqlite"))?[
                .size] as? Int ?? 0 > 1 << 20
        }
        #expect(try run(["bash", "-c", all.replacing("%@", with: "STOP")]).status == 0)
        defer { _ = try? run(["bash", "-c", all.replacing("%@", with: "CONT")]) }
        #expect(sync.stop() == 0, "\(sync.error)")
        // What may have remained is on record, and replaced.
        #expect(try run(["bash", "-c", all.replacing("%@", with: "CONT")]).status == 0)
        let mended = try following.catchUp()
        #expect(mended.status == 0, "\(mended.error)")
        #expect(try server.psql("SELECT count(*) FROM pg_replication_slots") == ["1"])
    }

    @Test func `rows that nobody follows are said to be out of date`() throws {
        let following = try Following()
        try following.server.psql(SourceRow.creator(1))
        #expect(try following.catchUp().status == 0)
        let daemon = try Daemon(ledger: following.ledger)
        func warnings() throws -> [String] {
            try HTTPClient(daemon.socket).get("/v1/model/status").json["warnings"] as? [String]
                ?? []
        }
        #expect(try warnings().contains { $0.contains("nobody follows the source") })
        let sync = try Background(following.arguments())
        try sync.waitFor("following")
        #expect(try warnings().isEmpty)
        #expect(sync.stop() == 0)
        #expect(try warnings().count == 1)
        #expect(daemon.stop() == 0)
    }

    @Test func `a table that inherits from a followed one stops the sync`() throws {
        let following = try Following()
        let server = following.server
        try server.psql(SourceRow.creator(1))
        #expect(try following.catchUp().status == 0)
        try server.psql(
            "CREATE TABLE child () INHERITS (creators); " + SourceRow.creator(2)
                + SourceRow.creator(3).replacing("INTO creators", with: "INTO child"))
        let stopped = try following.catchUp()
        #expect(
            stopped.status == 1 && stopped.error.contains("child inherits from creators"),
            "\(stopped.error)")
        let refused = try following.catchUp("--resync")
        #expect(refused.status == 78 && refused.error.contains("NO INHERIT"), "\(refused.error)")
        try server.psql("DROP TABLE child")
        #expect(try following.catchUp("--resync").status == 0)
        #expect(try following.compare().isEqual)
    }

    @Test func `a server that does not answer holds up no end`() throws {
        let following = try Following()
        let server = following.server
        try server.psql(SourceRow.creator(1))
        #expect(try following.catchUp().status == 0)
        // Accepts connections, and says nothing.
        let deaf = try Background(
            [
                "-c",
                """
                import os, socket, sys, time
                s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(9)
                print('ready', file=sys.stderr, flush=True); time.sleep(600)
                """, following.folder.path + "/.s.PGSQL.5432",
            ], program: "/usr/bin/python3")
        defer { deaf.kill() }
        try deaf.waitFor("ready")
        let sync = try Background([
            "model", "sync", "--from", "host=\(following.folder.path) user=u dbname=d", "--ledger",
            following.ledger,
        ])
        usleep(500_000)
        #expect(sync.isRunning && sync.stop() == 0, "\(sync.error)")
    }

    @Test
    func `files that are removed while they are followed are missed before more is confirmed`()
        throws
    {
        let following = try Following()
        let server = following.server
        try server.psql(SourceRow.creator(1))
        #expect(try following.catchUp().status == 0)
        let sync = try Background(following.arguments())
        try sync.waitFor("following")
        for name in try Self.files(following) where name.hasPrefix("model") {
            unlink(following.ledger + "/" + name)
        }
        // A change feed would leave the slot behind.
        let daemon = try Daemon(ledger: following.ledger)
        let feed = try HTTPClient(daemon.socket).request(
            "POST", "/v1/model/changes", Array("{}".utf8), type: "application/x-ndjson")
        #expect(feed.problemCode == "follows_postgres", "\(feed.text)")
        let changes = Repository.root + "/Docs/Examples/changes.ndjson"
        #expect(try daemon.stardust("model", "apply", changes).status == 75)
        #expect(daemon.stop() == 0)
        let confirmed = "SELECT confirmed_flush_lsn FROM pg_replication_slots"
        let before = try server.psql(confirmed)
        try server.psql(SourceRow.creator(2))
        try Self.wait("end") { !sync.isRunning }
        #expect(sync.stop() == 66 && sync.error.contains("--resync"), "\(sync.error)")
        #expect(try server.psql(confirmed) == before)
        // One command recovers, though nothing is left of the read model.
        let mended = try following.catchUp("--resync")
        #expect(mended.status == 0, "\(mended.error)")
        #expect(
            try following.compare().isEqual
                && following.query("SELECT count(*) FROM creators") == ["2"])
        #expect(try server.psql("SELECT count(*) FROM pg_replication_slots") == ["1"])
    }

    @Test(arguments: ["damaged", "empty", "removed", "foreign"])
    func `one command recovers from any state of the files`(_ state: String) throws {
        let following = try Following()
        let server = following.server
        try server.psql(SourceRow.creator(1))
        #expect(try following.catchUp().status == 0)
        let file =
            following.ledger + "/"
            + (try FileManager.default.destinationOfSymbolicLink(
                atPath: following.model))
        for suffix in ["-wal", "-shm"] { unlink(file + suffix) }
        switch state {
        case "damaged":
            try Data((0..<9000).map { UInt8($0 % 251) }).write(to: URL(fileURLWithPath: file))
        case "empty": try Data().write(to: URL(fileURLWithPath: file))
        case "removed": unlink(file)
        default:
            unlink(file)
            #expect(try run(["sqlite3", file, "CREATE TABLE t (a)"]).status == 0)
        }
        try server.psql(SourceRow.creator(2))
        let told = try following.catchUp()
        #expect(told.status != 0 && told.error.contains("--resync"), "\(told)")
        let mended = try following.catchUp("--resync")
        #expect(mended.status == 0, "\(mended.error)")
        #expect(try following.compare().isEqual)
        #expect(try following.query("SELECT count(*) FROM creators") == ["2"])
    }

    @Test func `copies that fail leave nothing behind, and idle connections last`() throws {
        let following = try Following("idle_session_timeout=1s")
        let server = following.server
        try server.psql(SourceRow.creator(1))
        try server.psql(
            """
            CREATE FUNCTION broken(text) RETURNS text LANGUAGE plpgsql AS 'BEGIN RAISE ''no''; END';
            CREATE ROLE nobody LOGIN REPLICATION;
            GRANT ALL ON ALL TABLES IN SCHEMA public TO nobody;
            ALTER TABLE logs ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON logs TO nobody USING (true);
            CREATE PUBLICATION stardust FOR TABLE creators, posts, videos, analysis, clips, edit_jobs,
                upload_jobs, schedules, logs;
            """)
        for _ in 0..<3 {
            let failed = try run([
                Repository.program, "model", "sync", "--from",
                "host=\(server.folder) user=nobody dbname=postgres", "--ledger", following.ledger,
                "--create", "--once",
            ])
            #expect(failed.status != 0 && failed.error.contains("row-level security"), "\(failed)")
            #expect(try Self.files(following) == ["model.lock"])
            #expect(try server.psql("SELECT 1 FROM pg_replication_slots").isEmpty)
        }
        let sync = try Background(following.arguments())
        try sync.waitFor("following")
        // Longer than the server lets a session be idle.
        usleep(3_000_000)
        try server.psql(SourceRow.creator(2))
        try Self.wait("row") { try following.query("SELECT count(*) FROM creators") == ["2"] }
        #expect(!sync.error.contains("interrupted"), "\(sync.error)")
        #expect(sync.stop() == 0)
    }

    @Test func `a file that another program holds is said in status, and since when`() throws {
        let following = try Following()
        let server = following.server
        let daemon = try Daemon(
            configuration: "{\"model\": {\"from\": \"\(server.address())\", \"create\": true}}")
        let client = try HTTPClient(daemon.socket)
        func service() throws -> [String: Any] {
            try client.get("/v1/model/status").json["service"] as? [String: Any] ?? [:]
        }
        try Self.wait("following") { try service()["following"] as? Bool == true }
        let holder = try Background(
            [
                "-c",
                """
                import sqlite3, sys, time
                c = sqlite3.connect(sys.argv[1], isolation_level=None); c.execute('BEGIN IMMEDIATE')
                print('held', file=sys.stderr, flush=True); time.sleep(600)
                """, daemon.ledger + "/model.sqlite",
            ], program: "/usr/bin/python3")
        defer { holder.kill() }
        try holder.waitFor("held")
        try server.psql(SourceRow.creator(1))
        try Self.wait("said") {
            let state = try service()
            return state["following"] as? Bool == false
                && (state["error"] as? String)?.contains("locked") == true
                && state["failing_since"] is String
        }
        #expect(try daemon.metric("model_following") == 0)
        try Self.wait("lag") { try daemon.number("model_lag_seconds") > 0 }
        holder.kill()
        try Self.wait("mended") {
            let state = try service()
            return state["following"] as? Bool == true && state["error"] is NSNull
        }
        try Self.wait("row") { try daemon.sqlite("SELECT count(*) FROM creators") == "1" }
        #expect(daemon.stop() == 0)
    }

    @Test func `the server's notices are lines of the log like others`() throws {
        let following = try Following()
        let server = following.server
        try server.psql(
            #"""
            CREATE FUNCTION loud() RETURNS event_trigger LANGUAGE plpgsql AS
                $$ BEGIN RAISE WARNING E'a "quoted"\nline'; END $$;
            CREATE EVENT TRIGGER loud ON ddl_command_end EXECUTE FUNCTION loud();
            UPDATE pg_database SET datcollversion = '1.0';
            """#)
        let result = try following.catchUp()
        #expect(result.status == 0, "\(result.error)")
        let lines = result.error.split(separator: "\n")
        #expect(lines.contains { $0.contains(#"a \"quoted\" line"#) }, "\(result.error)")
        for line in lines {
            #expect(
                (try? JSONSerialization.jsonObject(with: Data(line.utf8))) != nil, "\(line)")
        }
        let refused = try run([
            Repository.program, "model", "sync", "--from", "host=/x replication=database",
            "--ledger", following.ledger, "--once",
        ])
        #expect(refused.status == 64 && refused.error.contains("replication"), "\(refused.error)")
    }

    @Test func `JSON of any size and columns of any name come as they are`() throws {
        let following = try Following()
        let server = following.server
        let deep = String(repeating: "[", count: 3000) + String(repeating: "]", count: 3000)
        let wide = "{" + (0..<12_000).map { "\"k\($0)\": \($0)" }.joined(separator: ", ") + "}"
        try server.psql(
            """
            ALTER TABLE logs ADD COLUMN rowid text, ADD COLUMN "limit" text, ADD COLUMN "order" int,
                ADD COLUMN "Published At" text;
            """)
        for (number, value) in ["{\"n\": 1e400}", deep, wide].enumerated() {
            try server.psql(
                """
                INSERT INTO logs (log_id, source, level, message, metadata, rowid, "limit", "order",
                    "Published At", created_at) VALUES ('\(SourceRow.id(number))', 's', 'INFO', 'm',
                    '\(value)', 'r', 'l', \(number), 'p', now());
                """)
        }
        #expect(try following.catchUp().status == 0)
        #expect(try following.compare().isEqual)
        let daemon = try Daemon(ledger: following.ledger)
        let client = try HTTPClient(daemon.socket)
        let page = try client.get("/v1/model/tables/logs?limit=2")
        #expect(
            page.text.contains("\"rowid\":\"r\",\"limit\":\"l\",\"order\":1,\"Published At\":\"p\"")
        )
        #expect(!page.text.contains("\"next\":null"))
        let number = "1" + String(repeating: "0", count: 400)
        #expect(page.text.contains("\"metadata\":{\"n\": \(number)}"), "\(page.text.prefix(300))")
        #expect(page.text.contains("\"metadata\":\(deep)"))
        let last =
            try client.get(
                "/v1/model/tables/logs?order=2&Published%20At=p&rowid=r"
            ).json["rows"] as? [[String: Any]]
        #expect((last?.first?["metadata"] as? [String: Int])?.count == 12_000)
        let sql = try daemon.stardust("model", "sql", "SELECT metadata FROM logs ORDER BY log_id")
        #expect(sql.status == 0 && sql.output.contains(deep), "\(sql.error)")
        #expect(try client.get("/v1/model/drift").status == 200)
        #expect(daemon.stop() == 0)
    }

    @Test func `a reader that does not end shows in the size of the log`() throws {
        let following = try Following()
        let server = following.server
        try server.psql(SourceRow.creator(0))
        let daemon = try Daemon(
            configuration: "{\"model\": {\"from\": \"\(server.address())\", \"create\": true}}")
        try Self.wait("following") { try daemon.metric("model_following") == 1 }
        try Self.wait("file") {
            FileManager.default.fileExists(atPath: daemon.ledger + "/model.sqlite")
        }
        let reader = try Background(
            [
                "-c",
                """
                import sqlite3, sys, time
                c = sqlite3.connect('file:' + sys.argv[1] + '?mode=ro', uri=True, isolation_level=None)
                c.execute('BEGIN'); c.execute('SELECT count(*) FROM creators').fetchall()
                print('reads', file=sys.stderr, flush=True); time.sleep(600)
                """, daemon.ledger + "/model.sqlite",
            ], program: "/usr/bin/python3")
        defer { reader.kill() }
        try reader.waitFor("reads")
        let filler = "repeat('x', 2000000)"
        for number in 1...40 {
            try server.psql(SourceRow.creator(number, "profile_url=\(filler)"))
        }
        try Self.wait("log") { try daemon.metric("model_wal_bytes") > 64 << 20 }
        let status = try HTTPClient(daemon.socket).get("/v1/model/status")
        #expect(status.json["wal_bytes"] as? Int ?? 0 > 64 << 20, "\(status.text)")
        #expect(daemon.stop() == 0)
    }
}
