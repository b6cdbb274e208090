import DaemonTestSupport
import Foundation
import TestSupport
import Testing

/// What becomes of slots, and of the files that they belong to.
@Suite(.needs(PostgresServer.obstacle == nil, "PostgreSQL 15 is not installed"))
struct ModelSlotTests {

    @Test func `a slot that the server gave up is made again, with a new copy`() throws {
        let following = try Following(
            "max_slot_wal_keep_size=1MB", "min_wal_size=32MB", "max_wal_size=48MB")
        let server = following.server
        try server.psql(SourceRow.creator(1))
        #expect(try following.catchUp().status == 0)
        try server.psql(SourceRow.creator(2))
        try server.psql("CREATE TABLE filler (t text)")
        for _ in 0..<10 {
            try server.psql(
                "INSERT INTO filler SELECT repeat('x', 900) FROM generate_series(1, 10000); SELECT pg_switch_wal(); CHECKPOINT;"
            )
        }
        #expect(try server.psql("SELECT wal_status FROM pg_replication_slots") == ["lost"])
        let refused = try run(
            [Repository.program] + following.arguments(["--once"]).filter { $0 != "--create" })
        #expect(refused.status == 78 && refused.error.contains("--create"), "\(refused.error)")
        let result = try following.catchUp()
        #expect(result.status == 0, "\(result.error)")
        #expect(
            try following.compare().isEqual
                && following.query("SELECT count(*) FROM creators") == ["2"])
        #expect(try server.psql("SELECT wal_status FROM pg_replication_slots") == ["reserved"])
    }

    @Test func `an older file is refused, since the server has let go of what came after`() throws {
        let following = try Following()
        let server = following.server
        try server.psql(SourceRow.creator(1))
        #expect(try following.catchUp().status == 0)
        let folder = try FileManager.default.contentsOfDirectory(atPath: following.ledger)
        let file = try #require(folder.first { $0.hasPrefix("model-") && $0.hasSuffix(".sqlite") })
        let old = try Data(contentsOf: URL(fileURLWithPath: following.ledger + "/" + file))
        try server.psql(SourceRow.creator(2))
        #expect(try following.catchUp().status == 0)
        for suffix in ["-wal", "-shm"] { unlink(following.ledger + "/" + file + suffix) }
        try old.write(to: URL(fileURLWithPath: following.ledger + "/" + file))
        let result = try following.catchUp()
        #expect(result.status == 78 && result.error.contains("older file"), "\(result.error)")
        #expect(try following.catchUp("--resync").status == 0)
        #expect(try following.query("SELECT count(*) FROM creators") == ["2"])
    }

    @Test func `a slot that is gone, of another kind, or in use`() throws {
        let following = try Following()
        let server = following.server
        try server.psql(SourceRow.creator(1))
        #expect(try following.catchUp().status == 0)
        try server.psql("SELECT pg_drop_replication_slot('stardust')")
        #expect(try following.catchUp().status == 0)
        #expect(try server.psql("SELECT slot_name FROM pg_replication_slots") == ["stardust"])
        try server.psql("SELECT pg_create_logical_replication_slot('others', 'test_decoding')")
        let wrong = try run(
            [Repository.program] + following.arguments(["--once", "--resync", "--slot", "others"]))
        #expect(wrong.status == 78 && wrong.error.contains("others"), "\(wrong.error)")
        try server.psql("SELECT pg_create_logical_replication_slot('strange', 'pgoutput')")
        let strange = try run(
            [Repository.program] + following.arguments(["--once", "--resync", "--slot", "strange"]))
        #expect(
            strange.status == 78 && strange.error.contains("did not create it"),
            "\(strange.error)")
        let upper = try run(
            [Repository.program] + following.arguments(["--once", "--slot", "Stardust"]))
        #expect(upper.status == 64 && upper.error.contains("lower-case"), "\(upper.error)")
        // Two processes on one ledger.
        let first = try Background(following.arguments())
        try first.waitFor("following")
        let second = try following.catchUp()
        #expect(second.status == 75, "\(second.error)")
        #expect(first.stop() == 0)
        #expect(try following.catchUp().status == 0)
    }

    @Test func `what the source lacks is said before anything is made`() throws {
        let plain = try PostgresServer()
        let folder = try TemporaryFolder()
        let ledger = folder.path + "/ledger"
        #expect(try run([Repository.program, "init", ledger]).status == 0)
        func sync(_ server: PostgresServer, _ more: String...) throws -> Finished {
            try run(
                [
                    Repository.program, "model", "sync", "--from", server.address(), "--ledger",
                    ledger, "--once",
                ] + more)
        }
        let level = try sync(plain, "--create")
        #expect(level.status == 78 && level.error.contains("wal_level"), "\(level.error)")
        let source = try PostgresServer.source()
        let tables = try sync(source, "--create")
        #expect(tables.status == 78 || tables.status == 69, "\(tables.error)")
        try source.makeEngine("postgres")
        let publication = try sync(source)
        #expect(
            publication.status == 78 && publication.error.contains("CREATE PUBLICATION"),
            "\(publication.error)")
        try source.psql("CREATE PUBLICATION stardust FOR TABLE creators")
        let part = try sync(source, "--create")
        #expect(part.status == 78 && part.error.contains("public.posts"), "\(part.error)")
        try source.psql("DROP PUBLICATION stardust")
        let slot = try sync(source, "--create")
        #expect(slot.status == 0, "\(slot.error)")
        #expect(try source.psql("SELECT count(*) FROM pg_publication_tables") == ["9"])
        let nobody = try run([
            Repository.program, "model", "sync", "--from", "host=/nowhere", "--ledger", folder.path,
            "--once",
        ])
        #expect(nobody.status == 66, "\(nobody.error)")
    }

    @Test func `a copying that was killed while it wrote is begun again`() throws {
        let following = try Following()
        try following.server.psql(SourceRow.creator(1))
        // What such a copying leaves: its slot, a file that cannot be read, and the slot's record.
        try following.server.psql(
            "SELECT pg_create_logical_replication_slot('stardust', 'pgoutput')")
        let system = try following.server.psql("SELECT system_identifier FROM pg_control_system()")
        for (name, text) in [
            ("model-3.sqlite", "SQLite format 3"),
            ("replication.slot", "stardust \(system[0]) 3 copying\n"),
        ] {
            try Data(text.utf8).write(to: URL(fileURLWithPath: following.ledger + "/" + name))
        }
        let result = try following.catchUp()
        #expect(result.status == 0, "\(result.error)")
        #expect(try following.compare().isEqual)
        let left = try FileManager.default.contentsOfDirectory(atPath: following.ledger)
            .filter { $0.hasPrefix("model") }
        #expect(
            Set(left).isSubset(of: [
                "model.sqlite", "model-4.sqlite", "model-4.sqlite-wal", "model-4.sqlite-shm",
                "model.lock",
            ]), "\(left)")
    }

    @Test func `write-ahead log that the slot holds back is a warning`() throws {
        let server = try PostgresServer.source()
        try server.makeEngine("postgres")
        try server.psql(SourceRow.creator(1))
        let daemon = try Daemon(
            configuration:
                "{\"model\": {\"from\": \"\(server.address())\", \"create\": true, \"retained_bytes_warning\": 1048576}}"
        )
        let client = try HTTPClient(daemon.socket)
        func warnings() throws -> [String] {
            try client.get("/v1/model/status").json["warnings"] as? [String] ?? []
        }
        func wait(_ condition: () throws -> Bool) throws {
            let deadline = Date() + 40
            var isMet = try condition()
            while !isMet, Date() < deadline {
                usleep(100_000)
                isMet = try condition()
            }
            let status = try client.get("/v1/model/status").text
            #expect(isMet, "\(status)")
        }
        try wait {
            (try client.get("/v1/model/status").json["tables"] as? [String: Int])?["creators"] == 1
        }
        // A transaction that stays open: the slot cannot let go of what comes after it.
        let open = try Background(
            [
                "-h", server.folder, "-U", "postgres", "-Xqc",
                "BEGIN; CREATE TABLE t (a int); SELECT pg_sleep(300)",
            ],
            program: "/usr/bin/psql")
        usleep(300_000)
        try server.psql(
            "CREATE TABLE filler AS SELECT repeat('x', 900) FROM generate_series(1, 10000)")
        try server.psql(SourceRow.creator(2))
        try wait { try warnings().contains { $0.contains("holds back") } }
        #expect(try daemon.metric("model_retained_bytes") > 1 << 20)
        #expect(daemon.logs("holds back a lot of write-ahead log"))
        open.kill()
        try server.psql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(300)%' AND pid <> pg_backend_pid()"
        )
        try server.psql("CHECKPOINT; " + SourceRow.creator(3))
        try wait { try warnings().isEmpty }
    }
}
