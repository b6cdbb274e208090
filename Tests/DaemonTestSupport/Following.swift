import Foundation
import TestSupport

/// A source with the engine's tables, and a ledger whose read model follows it.
package final class Following {
    package let server: PostgresServer
    package let folder: TemporaryFolder
    package var ledger: String { folder.path + "/ledger" }
    package var model: String { ledger + "/model.sqlite" }

    package init(_ settings: String...) throws {
        server = try PostgresServer(
            ["wal_level=logical", "max_wal_senders=10", "timezone=Asia/Tokyo"] + settings)
        folder = try TemporaryFolder()
        try server.makeEngine("postgres")
        let made = try run([Repository.program, "init", ledger])
        guard made.status == 0 else { throw Failure("init: \(made.error)") }
    }

    package func arguments(_ more: [String] = []) -> [String] {
        ["model", "sync", "--from", server.address(), "--ledger", ledger, "--create"] + more
    }

    package var verification: [String] {
        ["model", "verify", "--from", server.address(), "--ledger", ledger]
    }

    /// Brings the read model up to date.
    @discardableResult
    package func catchUp(_ more: String...) throws -> Finished {
        try run(["timeout", "180", Repository.program] + arguments(["--once"] + more))
    }

    /// Compares every row and view with what a database of the source answers.
    package func compare(_ database: String = "postgres") throws -> RowComparison {
        try RowComparison(model: model, server, database)
    }

    package func query(_ sql: String) throws -> [String] {
        let result = try run(["sqlite3", "-readonly", "-list", model, sql])
        guard result.status == 0 else { throw Failure(result.error) }
        return result.output.split(separator: "\n").map(String.init)
    }
}

/// Rows of the table `creators` at a source.
package enum SourceRow {
    package static func id(_ number: Int) -> String {
        "00000000-0000-4000-8000-\(String(format: "%012x", number))"
    }

    /// The statement that inserts one; `more` is another column and its value, as `column=value`.
    package static func creator(_ number: Int, _ more: String = "") -> String {
        let parts = more.split(separator: "=").map { ", " + $0 }
        return "INSERT INTO creators (creator_id, platform, username\(parts.first ?? ""))"
            + " VALUES ('\(id(number))', 'p', 'u\(number)'\(parts.count > 1 ? parts[1] : ""));"
    }
}

extension PostgresServer {
    /// The engine's tables, without the trigger that makes each run's rows its own.
    package func makeEngine(_ database: String) throws {
        let schema = try run([Repository.program, "model", "schema", "--dialect", "postgres"])
        try psql(schema.output, database: database)
        try psql("ALTER TABLE creators DISABLE TRIGGER creators_updated_at", database: database)
    }
}
