import DaemonTestSupport
import Foundation
import PipelineWorkload
import TestSupport
import Testing

/// What an administrator may do to the source, in any order, among rows. Either the read model equals
/// the source, or the sync has stopped and says why.
@Suite(.needs(PostgresServer.obstacle == nil, "PostgreSQL 15 is not installed"))
struct SchemaWalkTests {
    /// What follows `ALTER TABLE creators`, `logs` or another of the tables below.
    private static let alterations = [
        "ADD COLUMN a text DEFAULT 'en'", "ADD COLUMN b int", "ADD COLUMN c int DEFAULT 7",
        "ADD COLUMN a text DEFAULT md5(random()::text)",
        "ADD COLUMN b int GENERATED ALWAYS AS (1) STORED",
        "ADD COLUMN c timestamptz NOT NULL DEFAULT now()", "ADD COLUMN e mood DEFAULT 'calm'",
        "ADD COLUMN \"index\" text DEFAULT 'x'", "ADD COLUMN d positive DEFAULT 3",
        "DROP COLUMN a", "DROP COLUMN b", "DROP COLUMN c",
        "RENAME COLUMN a TO z", "RENAME COLUMN z TO a", "RENAME COLUMN a TO b",
        "ALTER a TYPE text USING upper(a)", "ALTER b TYPE int USING b + 1", "ALTER c TYPE bigint",
        "ALTER b TYPE bigint USING b * 2", "ALTER a TYPE varchar(3) USING left(a, 3)",
        "ALTER a SET DEFAULT 'fr'", "ALTER a DROP DEFAULT", "ALTER b SET DEFAULT 5",
        "ALTER a SET NOT NULL", "ALTER a DROP NOT NULL", "ALTER b DROP EXPRESSION",
        "REPLICA IDENTITY FULL", "REPLICA IDENTITY DEFAULT", "REPLICA IDENTITY NOTHING",
        "SET (fillfactor = 70)", "ADD CONSTRAINT k CHECK (true)", "DROP CONSTRAINT k",
        "RENAME TO elsewhere", "SET SCHEMA other", "SET UNLOGGED", "SET LOGGED",
        "DISABLE TRIGGER ALL",
    ]
    private static let others = [
        "VACUUM FULL creators", "VACUUM FULL logs", "CLUSTER creators USING creators_pkey",
        "TRUNCATE logs", "BEGIN; TRUNCATE logs; ROLLBACK",
        "ALTER TYPE mood RENAME VALUE 'calm' TO 'quiet'",
        "ALTER PUBLICATION stardust DROP TABLE logs", "ALTER PUBLICATION stardust ADD TABLE logs",
        "ALTER PUBLICATION stardust SET (publish = 'insert')",
        "ALTER PUBLICATION stardust SET (publish = 'insert, update, delete, truncate')",
        "ALTER TABLE elsewhere RENAME TO creators", "ALTER TABLE other.creators SET SCHEMA public",
        "DROP PUBLICATION stardust", "CREATE INDEX i ON creators (username)",
        "DROP INDEX creators_handle",
        "CREATE PUBLICATION stardust FOR TABLE creators, posts, videos, analysis, clips, edit_jobs, "
            + "upload_jobs, schedules, logs",
        "CREATE TABLE part PARTITION OF whole DEFAULT", "CREATE TABLE child () INHERITS (creators)",
        "INSERT INTO child (creator_id, platform, username) VALUES (gen_random_uuid(), 'p', 'child')",
        "DROP TABLE child", "ALTER TABLE logs RENAME COLUMN source TO origin",
        "ALTER TABLE logs RENAME COLUMN origin TO source",
        "SAVEPOINT m; ALTER TABLE creators ADD COLUMN s text DEFAULT 's'; RELEASE m",
    ]

    private struct Walk {
        var generator: SeededGenerator
        var number = 0

        /// Statements of one transaction, or one that must stand alone.
        mutating func next() -> String {
            switch Int.random(in: 0..<10, using: &generator) {
            case 0..<3:
                let change = alterations.randomElement(using: &generator)!
                return
                    "ALTER TABLE \(["creators", "logs"].randomElement(using: &generator)!) \(change);"
            case 3: return others.randomElement(using: &generator)! + ";"
            case 4:
                let change = alterations.randomElement(using: &generator)!
                return "BEGIN; \(rows()) SAVEPOINT m; ALTER TABLE creators \(change); RELEASE m; "
                    + "\(rows()) COMMIT;"
            default: return rows()
            }
        }

        /// In a subtransaction: the column may be missing, or of another type.
        private static func tried(_ statement: String) -> String {
            "DO $$ BEGIN \(statement); EXCEPTION WHEN others THEN NULL; END $$;"
        }

        mutating func rows() -> String {
            (0..<Int.random(in: 1...4, using: &generator)).map { _ -> String in
                number += 1
                let before = Int.random(in: 1...number, using: &generator)
                switch Int.random(in: 0..<8, using: &generator) {
                case 0: return "DELETE FROM creators WHERE creator_id = '\(SourceRow.id(before))';"
                case 1:
                    return "UPDATE creators SET username = 'v\(number)' WHERE creator_id = "
                        + "'\(SourceRow.id(before))';"
                case 2:
                    return Self.tried("UPDATE creators SET a = 'x\(number)' WHERE random() < 0.3")
                case 3: return Self.tried("UPDATE creators SET b = \(number) WHERE random() < 0.3")
                case 4:
                    return "INSERT INTO logs (log_id, source, level, message) VALUES "
                        + "(gen_random_uuid(), 's', 'INFO', 'm\(number)');"
                default: return SourceRow.creator(number)
                }
            }.joined(separator: " ")
        }
    }

    @Test func `whatever is done to the source, the rows are equal or the sync says why not`()
        throws
    {
        #expect(Self.alterations.count + Self.others.count >= 40)
        try Soak.seeds("schema walks", 20, soak: 200) { try Self.walk(seed: $0) }
    }

    private static func walk(seed: UInt64) throws -> Bool {
        let following = try Following()
        let server = following.server
        try server.psql(
            """
            CREATE SCHEMA other; CREATE TYPE mood AS ENUM ('calm', 'loud');
            CREATE DOMAIN positive AS int CHECK (VALUE > 0);
            CREATE TABLE whole (n int) PARTITION BY LIST (n);
            """)
        var walk = Walk(generator: SeededGenerator(seed: seed))
        try server.psql((0..<4).map { _ in walk.rows() }.joined())
        var isFollowed = try following.catchUp().status == 0
        #expect(isFollowed)
        var done: [String] = []
        for _ in 0..<12 {
            for _ in 0..<Int.random(in: 1...4, using: &walk.generator) {
                let statement = walk.next()
                // Many of them are refused: what they change is not there.
                if (try? server.psql(statement)) != nil { done.append(statement) }
            }
            let result = try following.catchUp()
            guard result.status == 0 else {
                #expect(!result.error.isEmpty, "seed \(seed): \(done)")
                // A new copy, or what has to be changed before one can be made.
                let again = try following.catchUp("--resync")
                isFollowed = again.status == 0
                #expect(isFollowed || !again.error.isEmpty, "seed \(seed): \(done)")
                if !isFollowed { return true }
                continue
            }
            let verified = try run(
                [Repository.program] + following.verification)
            guard verified.status == 0 else {
                Issue.record(
                    "seed \(seed): \(verified.output.suffix(600))\(verified.error)\nafter \(done.suffix(8))"
                )
                return false
            }
        }
        return true
    }
}
