import Foundation
import TestSupport

extension Daemon {
    /// The answers to the lines of a change feed.
    @discardableResult
    package func feed(_ lines: String) throws -> [[String: Any]] {
        let answer = try HTTPClient(socket).request(
            "POST", "/v1/model/changes", Array(lines.utf8), type: "application/x-ndjson")
        guard answer.status == 200 else { throw Failure(answer.text) }
        return try answer.lines.map {
            try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any] ?? [:]
        }
    }

    /// What the read model's file answers, asked with SQLite's own program.
    package func sqlite(_ sql: String) throws -> String {
        let result = try TestSupport.run([
            "sqlite3", "-readonly", "-list", ledger + "/model.sqlite", sql,
        ])
        guard result.status == 0 else { throw Failure(result.error) }
        return result.output.trimmingCharacters(in: .newlines)
    }

    /// Everything in the tables, as one text.
    package func rows() throws -> String {
        try [
            "creators", "posts", "videos", "analysis", "clips", "edit_jobs", "upload_jobs",
            "schedules", "logs", "latest_analysis_per_video", "best_clip_per_video",
        ].map { try sqlite("SELECT * FROM \($0) ORDER BY 1") }.joined(separator: "\n")
    }

    /// Compares every row and view with a PostgreSQL that has the same rows.
    package func compareRows(with server: PostgresServer) throws -> RowComparison {
        try RowComparison(model: ledger + "/model.sqlite", server, "postgres")
    }
}

/// A read model beside what PostgreSQL answers.
package struct RowComparison: Decodable {
    package var rows: [String: Int]
    package var views: [String: Int]
    package var differences: [String]

    /// Compares every row and view of a model with a database.
    package init(model: String, _ server: PostgresServer, _ database: String) throws {
        let result = try run([
            "python3", Repository.root + "/Tests/compare_model.py", model, server.folder, database,
        ])
        guard result.status == 0 else { throw Failure(result.error) }
        self = try JSONDecoder().decode(Self.self, from: Data(result.output.utf8))
    }

    /// Something of everything was compared, and nothing differs.
    package var isEqualAndFull: Bool {
        differences.isEmpty && rows.values.allSatisfy { $0 > 0 }
            && views.values.allSatisfy { $0 > 0 }
    }

    /// Nothing differs, and not everything is empty.
    package var isEqual: Bool { differences.isEmpty && rows.values.contains { $0 > 0 } }
}
