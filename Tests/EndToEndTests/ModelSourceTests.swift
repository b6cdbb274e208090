import DaemonTestSupport
import Foundation
import TestSupport
import Testing

/// What a source may do to whoever follows it: each by itself, on a real server.
@Suite(.needs(PostgresServer.obstacle == nil, "PostgreSQL 15 is not installed"))
struct ModelSourceTests {
    // MARK: Columns that change

    @Test func `a column that is added is taken along, with what it gave to the rows that stood`()
        throws
    {
        let following = try Following()
        let server = following.server
        try server.psql((0..<200).map { SourceRow.creator($0) }.joined())
        #expect(try following.catchUp().status == 0)
        try server.psql(
            """
            ALTER TABLE creators ADD COLUMN tier text DEFAULT 'free';
            ALTER TABLE creators ADD COLUMN score float8 DEFAULT 'NaN';
            ALTER TABLE creators ADD COLUMN tags text[] DEFAULT ARRAY['a', NULL, '"'];
            ALTER TABLE creators ADD COLUMN since timestamptz DEFAULT '2026-01-01 00:00:00.5+00';
            ALTER TABLE creators ADD COLUMN facts jsonb DEFAULT '{"a": 1.00}';
            ALTER TABLE creators ADD COLUMN is_known bool DEFAULT true;
            ALTER TABLE creators ADD COLUMN note text;
            """)
        try server.psql(SourceRow.creator(300, "tier='paid'"))
        try server.psql("UPDATE creators SET note = 'n' WHERE creator_id = '\(SourceRow.id(3))'")
        let result = try following.catchUp()
        #expect(result.status == 0, "\(result.error)")
        let comparison = try following.compare()
        #expect(comparison.isEqual && comparison.rows["creators"] == 201, "\(comparison)")
        #expect(
            try following.query("SELECT DISTINCT tier FROM creators ORDER BY 1") == [
                "free", "paid",
            ])
        #expect(
            try following.query("SELECT DISTINCT score, tags, since FROM creators")
                == [#"NaN|["a",null,"\""]|2026-01-01T00:00:00.500000Z"#])
    }

    @Test(arguments: [
        ("ALTER TABLE creators RENAME profile_url TO address", "has lost profile_url"),
        ("ALTER TABLE creators DROP COLUMN profile_url", "has lost profile_url"),
        (
            "ALTER TABLE creators ALTER profile_url TYPE int USING length(profile_url)",
            "creators.profile_url is INT at the source"
        ),
        ("ALTER TABLE creators ADD COLUMN token text DEFAULT md5(random()::text)", "are not known"),
    ])
    func `another change of the schema stops the sync, and a new copy mends it`(
        _ change: String, _ words: String
    ) throws {
        let following = try Following()
        try following.server.psql((0..<5).map { SourceRow.creator($0) }.joined())
        #expect(try following.catchUp().status == 0)
        try following.server.psql(
            "BEGIN; " + SourceRow.creator(10) + "COMMIT;" + change + ";" + SourceRow.creator(11))
        let stopped = try following.catchUp()
        #expect(stopped.status == 1 && stopped.error.contains(words), "\(stopped.error)")
        #expect(stopped.error.contains("--resync"))
        // What was whole before the change stands, and nothing of what came after.
        #expect(try following.query("SELECT count(*) FROM creators") == ["6"])
        #expect(try following.query("SELECT phase FROM model_state") == ["needs_resync"])
        let again = try following.catchUp()
        #expect(again.status == 1 && again.error.contains("--resync"), "\(again.error)")
        let mended = try following.catchUp("--resync")
        #expect(mended.status == 0, "\(mended.error)")
        #expect(try following.query("SELECT count(*) FROM creators") == ["7"])
        #expect(
            try following.query("SELECT last_error IS NULL, phase FROM model_state") == ["1|live"])
        try following.server.psql(SourceRow.creator(12))
        #expect(try following.catchUp().status == 0)
        #expect(try following.query("SELECT count(*) FROM creators") == ["8"])
    }

    @Test(arguments: [
        """
        ALTER TABLE creators RENAME platform TO tmp; ALTER TABLE creators RENAME username TO platform;
        ALTER TABLE creators RENAME tmp TO username;
        """,
        "ALTER TABLE creators DROP COLUMN profile_url; ALTER TABLE creators ADD COLUMN profile_url text DEFAULT 'new';",
        "ALTER TABLE creators ALTER platform TYPE text USING upper(platform);",
        "ALTER TABLE creators ALTER amount TYPE numeric(10, 1);",
        "ALTER TABLE creators ALTER amount TYPE money;",
        "ALTER TABLE creators ALTER profile_url TYPE varchar(1) USING left(profile_url, 1);",
    ])
    func `a change that leaves the names stops the sync, too`(_ change: String) throws {
        let following = try Following()
        let server = following.server
        try server.psql("ALTER TABLE creators ADD COLUMN amount numeric(10, 4) DEFAULT 1.2345;")
        try server.psql(
            (0..<5).map { SourceRow.creator($0) }.joined()
                + "UPDATE creators SET profile_url = 'xyz';")
        #expect(try following.catchUp().status == 0)
        try server.psql(
            change
                + "UPDATE creators SET updated_at = now() WHERE creator_id = '\(SourceRow.id(1))';")
        let stopped = try following.catchUp()
        #expect(stopped.status == 1 && stopped.error.contains("creators"), "\(stopped.error)")
        #expect(try following.catchUp("--resync").status == 0)
        let comparison = try following.compare()
        #expect(comparison.isEqual && comparison.rows["creators"] == 5, "\(comparison)")
    }

    @Test func `a change without rows is noticed, and what only looks like one is not`() throws {
        let following = try Following()
        let server = following.server
        try server.psql((0..<5).map { SourceRow.creator($0) }.joined())
        #expect(try following.catchUp().status == 0)
        try server.psql(
            """
            ALTER TABLE creators ALTER platform SET DEFAULT 'none'; ALTER TABLE creators ALTER username SET STATISTICS 50;
            GRANT SELECT (platform) ON creators TO omniva_worker; CREATE INDEX more ON creators (profile_url);
            """)
        try server.psql(SourceRow.creator(6))
        #expect(try following.catchUp().status == 0)
        try server.psql("VACUUM FULL creators; ANALYZE creators;" + SourceRow.creator(7))
        #expect(try following.catchUp().status == 0)
        try server.psql(
            "TRUNCATE logs; INSERT INTO logs VALUES ('\(SourceRow.id(1))', 's', 'l', 'm')")
        #expect(try following.catchUp().status == 0)
        #expect(try following.compare().isEqual)
        try server.psql("ALTER TABLE creators ALTER platform TYPE text USING upper(platform)")
        let stopped = try following.catchUp()
        #expect(stopped.status == 1 && stopped.error.contains("rewritten"), "\(stopped.error)")
    }

    @Test(arguments: [
        "ALTER TABLE creators ADD COLUMN x uuid DEFAULT gen_random_uuid(); ALTER TABLE creators ALTER x DROP DEFAULT;",
        "ALTER TABLE creators ADD COLUMN x int GENERATED ALWAYS AS IDENTITY;",
        "ALTER TABLE creators ADD COLUMN x int DEFAULT 5; ALTER TABLE creators ALTER x DROP DEFAULT; VACUUM FULL creators;",
        "ALTER TABLE creators ADD COLUMN x int GENERATED ALWAYS AS (length(platform)) STORED; ALTER TABLE creators ALTER x DROP EXPRESSION;",
        "ALTER TABLE creators ADD COLUMN x int DEFAULT 5; UPDATE creators SET x = 99 WHERE username < 'u3'; ALTER TABLE creators DROP COLUMN x; ALTER TABLE creators ADD COLUMN x int DEFAULT 6;",
        "ALTER TABLE creators ALTER username DROP NOT NULL; UPDATE creators SET username = NULL WHERE username = 'u2';",
        "ALTER PUBLICATION stardust DROP TABLE schedules;", "DROP TABLE schedules CASCADE;",
        "ALTER TABLE schedules RENAME TO plans;",
        "ALTER PUBLICATION stardust SET (publish = 'insert');",
    ])
    func `what cannot be known of the rows stops the sync, and a new copy mends it`(
        _ change: String
    ) throws {
        let following = try Following()
        let server = following.server
        try server.psql((0..<5).map { SourceRow.creator($0) }.joined())
        #expect(try following.catchUp().status == 0)
        try server.psql(
            change
                + "UPDATE creators SET profile_url = 'x' WHERE creator_id = '\(SourceRow.id(4))';")
        let stopped = try following.catchUp()
        #expect([1, 78].contains(stopped.status), "\(change): \(stopped.status) \(stopped.error)")
        guard !change.contains("schedules"), !change.contains("publish") else { return }
        #expect(stopped.error.contains("creators") && stopped.status == 1, "\(stopped.error)")
        #expect(try following.catchUp("--resync").status == 0)
        let comparison = try following.compare()
        #expect(comparison.isEqual && comparison.rows["creators"] == 5, "\(comparison)")
    }

    @Test func `a table that is moved after it got a column is still followed`() throws {
        let following = try Following()
        let server = following.server
        try server.psql((0..<5).map { SourceRow.creator($0) }.joined())
        #expect(try following.catchUp().status == 0)
        try server.psql(
            "ALTER TABLE creators ADD COLUMN prio int NOT NULL DEFAULT 1;" + SourceRow.creator(6))
        #expect(try following.catchUp().status == 0)
        try server.psql("VACUUM FULL creators;" + SourceRow.creator(7))
        let moved = try following.catchUp()
        #expect(moved.status == 0, "\(moved.error)")
        #expect(try following.compare().isEqual)
    }

    @Test func `while rows come, the catalogue is looked at, too`() throws {
        let following = try Following()
        let server = following.server
        try server.psql((0..<5).map { SourceRow.creator($0) }.joined())
        let sync = try Background(following.arguments())
        try sync.waitFor("following")
        try server.psql("ALTER TABLE creators ALTER platform TYPE text USING upper(platform)")
        var number = 0
        let deadline = Date() + 40
        while sync.isRunning, Date() < deadline {
            number += 1
            try server.psql(
                "INSERT INTO logs (log_id, source, level, message) VALUES ('\(SourceRow.id(number))', 's', 'l', 'm')"
            )
            usleep(200_000)
        }
        #expect(
            !sync.isRunning && sync.error.contains("creators was rewritten"), "\(sync.error)")
    }

    @Test func `a role that may not read everything makes no copy, and leaves no slot`() throws {
        let following = try Following()
        let server = following.server
        try server.psql(
            """
            CREATE ROLE reader LOGIN REPLICATION; CREATE ROLE other LOGIN;
            GRANT SELECT ON creators, posts TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA public TO other;
            CREATE PUBLICATION stardust FOR TABLE creators, posts, videos, analysis, clips, edit_jobs, upload_jobs, schedules, logs;
            """ + SourceRow.creator(1))
        func sync(_ role: String) throws -> Finished {
            try run([
                "timeout", "60", Repository.program, "model", "sync", "--from",
                "host=\(server.folder) user=\(role) dbname=postgres", "--ledger", following.ledger,
                "--create", "--once",
            ])
        }
        let denied = try sync("reader")
        #expect(
            denied.status == 77 && denied.error.contains("GRANT SELECT ON")
                && denied.error.contains(".videos TO reader;"), "\(denied.error)")
        try server.psql(
            "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader; ALTER TABLE creators ENABLE ROW LEVEL SECURITY"
        )
        let hidden = try sync("reader")
        #expect(
            hidden.status == 69 && hidden.error.contains("row-level security"), "\(hidden.error)")
        #expect(try server.psql("SELECT count(*) FROM pg_replication_slots") == ["0"])
        let other = try sync("other")
        #expect(other.status == 77 && other.error.contains("ALTER ROLE other REPLICATION;"))
        try server.psql("ALTER ROLE reader BYPASSRLS")
        #expect(try sync("reader").status == 0)
        #expect(try following.query("SELECT count(*) FROM creators") == ["1"])
    }

    // MARK: Other tables and identities

    @Test func `tables that are none of the engine's are skipped, whatever becomes of them`() throws
    {
        let following = try Following()
        let server = following.server
        try server.psql(
            """
            CREATE TABLE others (a int);
            CREATE SCHEMA archive;
            CREATE TABLE archive.creators (creator_id uuid PRIMARY KEY, platform text);
            CREATE PUBLICATION stardust FOR ALL TABLES;
            """)
        #expect(try following.catchUp().status == 0)
        try server.psql(
            "INSERT INTO others VALUES (1), (2); TRUNCATE others; INSERT INTO archive.creators VALUES ('\(SourceRow.id(7))', 'x');"
                + SourceRow.creator(1))
        let result = try following.catchUp()
        #expect(result.status == 0 && result.error.contains("archive.creators"), "\(result.error)")
        #expect(try following.query("SELECT creator_id FROM creators") == [SourceRow.id(1)])
    }

    @Test func `a table with replica identity full is followed by its key`() throws {
        let following = try Following()
        let server = following.server
        try server.psql(
            "ALTER TABLE creators REPLICA IDENTITY FULL;" + SourceRow.creator(1)
                + SourceRow.creator(2)
                + SourceRow.creator(3))
        #expect(try following.catchUp().status == 0)
        try server.psql(
            """
            UPDATE creators SET profile_url = 'x' WHERE creator_id = '\(SourceRow.id(1))';
            UPDATE creators SET creator_id = '\(SourceRow.id(9))' WHERE creator_id = '\(SourceRow.id(2))';
            DELETE FROM creators WHERE creator_id = '\(SourceRow.id(3))';
            """)
        #expect(try following.catchUp().status == 0)
        let comparison = try following.compare()
        #expect(comparison.isEqual && comparison.rows["creators"] == 2, "\(comparison)")
    }

    @Test func `formats that the database prefers change nothing`() throws {
        let following = try Following()
        let server = following.server
        try server.psql(
            """
            ALTER DATABASE postgres SET datestyle = 'SQL, DMY';
            ALTER DATABASE postgres SET extra_float_digits = 0;
            ALTER DATABASE postgres SET intervalstyle = 'sql_standard';
            ALTER DATABASE postgres SET bytea_output = 'escape';
            """)
        var load = ModelLoad(seed: 3)
        try server.psql(load.foundation(400))
        #expect(try following.catchUp().status == 0)
        try server.psql((0..<150).map { _ in load.transaction() }.joined(separator: "\n"))
        #expect(try following.catchUp().status == 0)
        let comparison = try following.compare()
        #expect(comparison.isEqualAndFull, "\(comparison)")
    }

    // MARK: The stream

    @Test func `rows that were changed here stop the sync as drift`() throws {
        let following = try Following()
        let server = following.server
        try server.psql(SourceRow.creator(1) + SourceRow.creator(2))
        #expect(try following.catchUp().status == 0)
        let tampered = try run([
            "sqlite3", following.model,
            "DELETE FROM creators WHERE creator_id = '\(SourceRow.id(1))'",
        ])
        #expect(tampered.status == 0)
        try server.psql(
            SourceRow.creator(3)
                + "UPDATE creators SET profile_url = 'x' WHERE creator_id = '\(SourceRow.id(1))';")
        let result = try following.catchUp()
        #expect(result.status == 1 && result.error.contains(SourceRow.id(1)), "\(result.error)")
        #expect(try following.query("SELECT phase FROM model_state") == ["needs_resync"])
        #expect(try following.catchUp("--resync").status == 0)
        #expect(try following.compare().isEqual)
    }

    @Test func `a neighbour's writes do not pile up behind the slot`() throws {
        let following = try Following()
        let server = following.server
        try server.psql(SourceRow.creator(1))
        try server.psql("CREATE DATABASE neighbour")
        let sync = try Background(following.arguments())
        try sync.waitFor("following")
        try server.psql(
            "CREATE TABLE t AS SELECT repeat('x', 900) FROM generate_series(1, 60000)",
            database: "neighbour")
        let deadline = Date() + 30
        var behind = Int.max
        while behind > 20 << 20, Date() < deadline {
            behind =
                Int(
                    try server.psql(
                        "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)::bigint FROM pg_replication_slots"
                    ).first ?? "") ?? .max
            usleep(100_000)
        }
        #expect(behind <= 20 << 20, "\(behind) bytes behind")
        // What was told of is durable here.
        let confirmed =
            try server.psql("SELECT confirmed_flush_lsn::pg_lsn - '0/0' FROM pg_replication_slots")
            .first ?? ""
        let here = try following.query("SELECT lsn FROM model_state").first ?? ""
        #expect(Int(confirmed)! <= Int(here)!)
        #expect(sync.stop() == 0)
    }

    @Test func `a long wait for the file does not end the connection`() throws {
        let following = try Following("wal_sender_timeout=1500ms")
        let server = following.server
        try server.psql(SourceRow.creator(1))
        let sync = try Background(following.arguments())
        try sync.waitFor("following")
        let hold = """
            import sqlite3, time
            c = sqlite3.connect('\(following.model)', isolation_level=None)
            c.execute('BEGIN IMMEDIATE'); print('held', flush=True); time.sleep(4); c.execute('ROLLBACK')
            """
        let holder = try Background(["-c", hold], program: "/usr/bin/python3")
        let deadline = Date() + 60
        while !holder.output.contains("held"), Date() < deadline { usleep(10_000) }
        try server.psql(SourceRow.creator(2))
        usleep(4_500_000)
        let arrived = Date() + 60
        while try following.query("SELECT count(*) FROM creators") != ["2"], Date() < arrived {
            usleep(50_000)
        }
        #expect(try following.query("SELECT count(*) FROM creators") == ["2"])
        #expect(!sync.error.contains("interrupted"), "\(sync.error)")
        #expect(sync.stop() == 0)
    }

    @Test func `a transaction that is larger than memory costs little here`() throws {
        let following = try Following()
        let server = following.server
        #expect(try following.catchUp().status == 0)
        let sync = try Background(following.arguments())
        try sync.waitFor("following")
        try server.psql(
            """
            INSERT INTO logs (log_id, source, level, message, metadata)
            SELECT gen_random_uuid(), 's', 'INFO', repeat('m', 500), jsonb_build_object('n', n, 't', repeat('x', 500))
            FROM generate_series(1, 120000) n
            """)
        let deadline = Date() + 90
        while try following.query("SELECT count(*) FROM logs") != ["120000"], Date() < deadline {
            usleep(200_000)
        }
        #expect(try following.query("SELECT count(*) FROM logs") == ["120000"])
        let status = try String(contentsOfFile: "/proc/\(sync.pid)/status", encoding: .utf8)
        let peak = status.firstMatch(of: /VmHWM:\s+([0-9]+) kB/).flatMap { Int($0.1) } ?? .max
        #expect(peak < 110 << 10, "\(peak) KiB")
        #expect(sync.stop() == 0)
    }

    @Test func `a server that hangs is noticed, and followed again when it goes on`() throws {
        let following = try Following()
        let server = following.server
        try server.psql(SourceRow.creator(1))
        let sync = try Background(following.arguments())
        try sync.waitFor("following")
        let pids = try server.psql(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'stardust'"
        ).compactMap { Int32($0) }
        #expect(pids.count == 3)
        for pid in pids { kill(pid, SIGSTOP) }
        try server.psql(SourceRow.creator(2))
        let deadline = Date() + 60
        while !sync.error.contains("interrupted"), Date() < deadline { usleep(200_000) }
        #expect(
            sync.error.contains("has said nothing") || sync.error.contains("has not answered"),
            "\(sync.error)")
        for pid in pids { kill(pid, SIGCONT) }
        while try following.query("SELECT count(*) FROM creators") != ["2"], Date() < deadline {
            usleep(100_000)
        }
        #expect(try following.query("SELECT count(*) FROM creators") == ["2"])
        #expect(sync.stop() == 0)
    }

    @Test func `whoever only wants to catch up is told at once that there is nobody`() throws {
        let following = try Following()
        for address in [following.server.address("nodb"), "host=/nowhere"] {
            let result = try run([
                Repository.program, "model", "sync", "--from", address, "--ledger",
                following.ledger, "--create", "--once",
            ])
            #expect(result.status == 69, "\(result.error)")
        }
    }

    @Test
    func `rows that the source does not keep unique are taken, and columns it lacks are told`()
        throws
    {
        let following = try Following()
        let server = following.server
        try server.psql(
            "DROP INDEX creators_handle; ALTER TABLE schedules DROP COLUMN status CASCADE;"
                + SourceRow.creator(1)
                + SourceRow.creator(1).replacingOccurrences(
                    of: SourceRow.id(1), with: SourceRow.id(2)))
        #expect(try following.catchUp().status == 0)
        #expect(
            try following.query("SELECT warnings LIKE '%no schedules.status%' FROM model_state")
                == ["1"])
        try server.psql(
            """
            SET session_replication_role = replica;
            INSERT INTO schedules (schedule_id, clip_id) VALUES ('\(SourceRow.id(1))', '\(SourceRow.id(1))');
            """
                + SourceRow.creator(1).replacingOccurrences(
                    of: SourceRow.id(1), with: SourceRow.id(3)))
        #expect(try following.catchUp().status == 0)
        #expect(try following.query("SELECT status IS NULL FROM schedules") == ["1"])
        #expect(try following.query("SELECT count(*) FROM creators") == ["3"])
    }

    @Test func `many clips of one video are followed as fast as others`() throws {
        let following = try Following()
        let server = following.server
        try server.psql(
            """
            SET session_replication_role = replica;
            INSERT INTO clips (clip_id, video_id, start_time, end_time, confidence)
            SELECT gen_random_uuid(), '\(SourceRow.id(1))', 1, 2, random() FROM generate_series(1, 10000);
            """)
        #expect(try following.catchUp().status == 0)
        try server.psql(
            "UPDATE clips SET confidence = confidence + 10 WHERE clip_id < '40000000-0000-0000-0000-000000000000'"
        )
        try server.psql("DELETE FROM clips WHERE clip_id > 'b0000000-0000-0000-0000-000000000000'")
        let followed = try run(
            ["bash", "-c", "ulimit -t 8; exec \"$0\" \"$@\"", Repository.program]
                + following.arguments(["--once"]))
        #expect(followed.status == 0, "\(followed)")
        #expect(try following.compare().differences == [])
    }
}
