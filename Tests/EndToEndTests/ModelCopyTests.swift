import DaemonTestSupport
import Foundation
import TestSupport
import Testing

/// What happens at the source while the first copy is made.
@Suite(.needs(PostgresServer.obstacle == nil, "PostgreSQL 15 is not installed"))
struct ModelCopyTests {
    @Test func `a table that is emptied while others are copied is copied as it was, or again`()
        throws
    {
        let following = try Following()
        let server = following.server
        try server.psql((0..<8000).map { SourceRow.creator($0) }.joined())
        // At each border of transactions the table has one row.
        let turn =
            "BEGIN; TRUNCATE logs; INSERT INTO logs (log_id, source, level, message) VALUES "
            + "(gen_random_uuid(), 'a', 'INFO', 'm'); COMMIT; SELECT pg_sleep(0.05);\n"
        try server.psql(turn)
        let script = try following.folder.file(
            "turns.sql", Array(String(repeating: turn, count: 400).utf8))
        for _ in 0..<3 {
            let sync = try Background(following.arguments(["--resync"]))
            let writer = try Background(
                ["-q", "-d", server.address(), "-f", script], program: "/usr/bin/psql")
            // Before much of what came later is applied.
            try sync.waitFor("following")
            sync.kill()
            writer.kill()
            #expect(try following.query("SELECT count(*) FROM logs") == ["1"])
        }
        #expect(try following.catchUp().status == 0)
        #expect(try following.compare().isEqual)
        #expect(try server.psql("SELECT count(*) FROM pg_replication_slots") == ["1"])
    }
}
