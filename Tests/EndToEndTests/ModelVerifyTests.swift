import DaemonTestSupport
import Foundation
import TestSupport
import Testing

/// What is found when rows are compared with the source, and what is said before a copy is made.
@Suite(.needs(PostgresServer.obstacle == nil, "PostgreSQL 15 is not installed"))
struct ModelVerifyTests {
    private static func verify(_ following: Following, _ more: String...) throws -> Finished {
        try run([Repository.program] + following.verification + more)
    }

    @Test func `a row that was changed by hand is found, and named`() throws {
        let following = try Following()
        let server = following.server
        try server.psql((0..<50).map { SourceRow.creator($0) }.joined())
        #expect(try following.catchUp().status == 0)
        let equal = try Self.verify(following)
        #expect(equal.status == 0 && equal.output.contains("creators     50 rows"), "\(equal)")
        // What nobody follows is caught up with first.
        try server.psql(SourceRow.creator(50))
        #expect(try Self.verify(following).output.contains("creators     51 rows"))
        for (statement, words) in [
            (
                "UPDATE creators SET username = 'me' WHERE creator_id = '\(SourceRow.id(7))'",
                "\(SourceRow.id(7)): username is \"me\" here, \"u7\" there"
            ),
            (
                "DELETE FROM creators WHERE creator_id = '\(SourceRow.id(8))'",
                "\(SourceRow.id(8)) is only at the source"
            ),
            (
                "INSERT INTO logs VALUES ('\(SourceRow.id(1))', 's', 'INFO', 'm', NULL, '2026-01-01T00:00:00.000000Z')",
                "logs \(SourceRow.id(1)) is only in the read model"
            ),
        ] {
            let changed = try run(["sqlite3", following.model, statement])
            #expect(changed.status == 0, "\(changed.error)")
            let found = try Self.verify(following)
            #expect(found.status == 1 && found.output.contains(words), "\(found)")
        }
        let json = try Self.verify(following, "--json")
        let document =
            try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any]
        let tables = document?["tables"] as? [[String: Any]]
        #expect(document?["equal"] as? Bool == false && tables?.first?["different"] as? Int == 2)
        #expect(try following.catchUp("--resync").status == 0)
        #expect(try Self.verify(following).status == 0)
    }

    @Test func `more differing rows than are looked at again are still a difference`() throws {
        let following = try Following()
        try following.server.psql(
            """
            INSERT INTO creators (creator_id, platform, username)
            SELECT ('00000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'p', 'u' || n
            FROM generate_series(1, 10200) n
            """)
        #expect(try following.catchUp().status == 0)
        #expect(try Self.verify(following).status == 0)
        let changed = try run(["sqlite3", following.model, "UPDATE creators SET username = 'me'"])
        #expect(changed.status == 0, "\(changed.error)")
        let found = try Self.verify(following)
        #expect(found.status == 1 && found.output.contains("DIFFERENT"), "\(found)")
    }

    @Test func `rows are compared while they change and are followed`() throws {
        let following = try Following()
        let server = following.server
        try server.psql((0..<300).map { SourceRow.creator($0) }.joined())
        #expect(try following.catchUp().status == 0)
        let sync = try Background(following.arguments())
        let script = try following.folder.file(
            "load.sql",
            Array(
                (0..<20_000).map {
                    "UPDATE creators SET username = 'w\($0)' WHERE creator_id = '\(SourceRow.id($0 % 300))';\n"
                }.joined().utf8))
        let load = try Background(
            ["-q", "-d", server.address(), "-f", script], program: "/usr/bin/psql")
        try sync.waitFor("following")
        let found = try Self.verify(following)
        #expect(found.status == 0 || found.output.contains("change too often"), "\(found)")
        #expect(!found.output.contains(" here, "), "\(found)")
        load.kill()
        #expect(try Self.verify(following).status == 0)
        #expect(sync.stop() == 0)
    }

    @Test(arguments: [
        (
            "ALTER TABLE logs REPLICA IDENTITY NOTHING",
            "ALTER TABLE \"public\".logs REPLICA IDENTITY DEFAULT"
        ),
        (
            "CREATE UNIQUE INDEX u ON logs (message); ALTER TABLE logs REPLICA IDENTITY USING INDEX u",
            "REPLICA IDENTITY DEFAULT"
        ),
        (
            "DROP MATERIALIZED VIEW best_clip_per_video CASCADE; ALTER TABLE clips ALTER confidence TYPE numeric",
            "TYPE double precision"
        ),
        ("ALTER TABLE logs SET UNLOGGED", "SET LOGGED"),
        ("CREATE TABLE child () INHERITS (logs)", "NO INHERIT"),
        ("CREATE TYPE mood AS ENUM ('a'); ALTER TABLE logs ADD COLUMN m mood", "an enumeration"),
        ("ALTER TABLE logs ADD COLUMN \"Level\" text", "one name in SQLite"),
        (
            "ALTER TABLE logs DROP CONSTRAINT logs_pkey, ADD PRIMARY KEY (log_id) DEFERRABLE",
            "without DEFERRABLE"
        ),
        ("ALTER TABLE logs DROP CONSTRAINT logs_pkey", "ADD PRIMARY KEY (log_id)"),
        (
            "DROP TABLE logs; CREATE TABLE logs (log_id uuid, source text, level text, message text, metadata jsonb, created_at timestamptz) PARTITION BY LIST (level)",
            "is partitioned"
        ),
        (
            "CREATE TYPE mood AS ENUM ('a'); ALTER TABLE logs ADD COLUMN m mood[]",
            "an enumeration"
        ),
        ("CREATE PUBLICATION stardust FOR TABLES IN SCHEMA public", "name the tables"),
        (
            "ALTER TABLE logs DROP CONSTRAINT logs_pkey, ADD PRIMARY KEY (message)",
            "DROP CONSTRAINT logs_pkey, ADD PRIMARY KEY (log_id)"
        ),
        ("CREATE PUBLICATION stardust FOR TABLE logs", "DROP PUBLICATION \"stardust\""),
    ])
    func `what cannot be followed is said before anything is made, with what mends it`(
        _ change: String, _ words: String
    ) throws {
        let following = try Following()
        try following.server.psql(change + ";")
        for more in [["--check"], ["--once"]] {
            let refused = try run([Repository.program] + following.arguments(more))
            #expect(refused.status == 78 && refused.error.contains(words), "\(refused)")
        }
        let slots = "SELECT count(*) FROM pg_replication_slots"
        #expect(try following.server.psql(slots) == ["0"])
        #expect(!FileManager.default.fileExists(atPath: following.model))
    }

    @Test func `names that are words of SQL, domains and swapped values are followed`() throws {
        let following = try Following()
        let server = following.server
        try server.psql(
            """
            CREATE DOMAIN yes AS bool; CREATE DOMAIN words AS text[]; CREATE DOMAIN more AS words;
            ALTER TABLE creators ADD COLUMN "index" text, ADD COLUMN "order" int,
                ADD COLUMN "limit" int, ADD COLUMN "Published At" text, ADD COLUMN rowid int,
                ADD COLUMN is_known yes, ADD COLUMN tags more;
            DROP INDEX creators_handle;
            ALTER TABLE creators ADD CONSTRAINT h UNIQUE (platform, username) DEFERRABLE INITIALLY DEFERRED;
            """ + SourceRow.creator(1) + SourceRow.creator(2))
        let check = try run([Repository.program] + following.arguments(["--check"]))
        #expect(check.status == 0, "\(check)")
        try server.psql("UPDATE creators SET is_known = true, tags = '{a,\"b c\"}', \"order\" = 3")
        let copied = try following.catchUp()
        #expect(copied.status == 0, "\(copied.error)")
        try server.psql(
            """
            BEGIN; UPDATE creators SET username = 'u2' WHERE creator_id = '\(SourceRow.id(1))';
            UPDATE creators SET username = 'u1', is_known = false WHERE creator_id = '\(SourceRow.id(2))';
            COMMIT;
            """)
        #expect(try following.catchUp().status == 0)
        #expect(try Self.verify(following).status == 0)
        #expect(
            try following.query(
                "SELECT is_known, tags, \"order\" FROM creators ORDER BY creator_id")
                == [#"1|["a","b c"]|3"#, #"0|["a","b c"]|3"#])
    }

    @Test func `a column that comes in the transaction of its first rows is followed`() throws {
        let following = try Following()
        let server = following.server
        try server.psql(SourceRow.creator(1))
        #expect(try following.catchUp().status == 0)
        try server.psql(
            "BEGIN; SAVEPOINT m; ALTER TABLE creators ADD COLUMN lang text DEFAULT 'en'; RELEASE m; "
                + SourceRow.creator(2, "lang='fr'") + "COMMIT;")
        let caughtUp = try following.catchUp()
        #expect(caughtUp.status == 0, "\(caughtUp)")
        #expect(
            try following.query("SELECT lang FROM creators ORDER BY creator_id") == ["en", "fr"])
        #expect(try Self.verify(following).status == 0)
    }

    @Test func `an older copy of the server's data is noticed, also once its log is longer`() throws
    {
        let following = try Following()
        let server = following.server
        try server.psql(SourceRow.creator(1))
        #expect(try following.catchUp().status == 0)
        for isLonger in [false, true] {
            let data = server.folder + "/data"
            try server.halt()
            #expect(try run(["cp", "-a", data, data + ".old"]).status == 0)
            try server.restart()
            try server.psql((10..<200).map { SourceRow.creator($0) }.joined())
            #expect(try following.catchUp().status == 0)
            try server.halt()
            #expect(try run(["rm", "-r", data]).status == 0)
            #expect(try run(["mv", data + ".old", data]).status == 0)
            try server.restart()
            try server.psql(
                (isLonger ? 1000..<4000 : 200..<201).map { SourceRow.creator($0) }.joined())
            let result = try following.catchUp()
            if result.status != 0 {
                #expect(
                    result.error.contains("an older copy of its data was put back"), "\(result)")
                #expect(try following.catchUp("--resync").status == 0)
            } else {
                #expect(
                    result.error.contains("an older copy of its data was put back"), "\(result)")
            }
            #expect(try Self.verify(following).status == 0)
        }
    }

    @Test func `detached, nothing is left at the source, and the status says so`() throws {
        let following = try Following()
        let server = following.server
        try server.psql(SourceRow.creator(1))
        let sync = try Background(following.arguments())
        try sync.waitFor("following")
        func detach(_ more: String...) throws -> Finished {
            try run(
                [
                    Repository.program, "model", "detach", "--from", server.address(), "--ledger",
                    following.ledger,
                ] + more)
        }
        #expect(try detach().status == 75)
        #expect(sync.stop() == 0)
        // Nothing is touched under another name.
        #expect(try detach("--slot", "other").status == 78)
        #expect(try server.psql("SELECT count(*) FROM pg_publication") == ["1"])
        #expect(try following.catchUp().status == 0)
        let done = try detach()
        #expect(done.status == 0 && done.output.contains("dropped the slot stardust"), "\(done)")
        #expect(try server.psql("SELECT count(*) FROM pg_replication_slots") == ["0"])
        #expect(try server.psql("SELECT count(*) FROM pg_publication") == ["0"])
        #expect(try detach().output.contains("there is no slot stardust"))
        #expect(try following.query("SELECT count(*) FROM creators") == ["1"])
        #expect(
            try following.query("SELECT phase, last_error LIKE '%detached%' FROM model_state")
                == ["needs_resync|1"])
    }
}
