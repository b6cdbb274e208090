import Foundation

/// A real PostgreSQL on a Unix socket in a folder of its own.
package final class PostgresServer: Sendable {
    package let folder: String

    /// Why there can be none here; nil where there can.
    package static let obstacle: String? = {
        if !FileManager.default.isExecutableFile(atPath: "/usr/lib/postgresql/15/bin/initdb") {
            return "PostgreSQL 15 is not installed (Debian: postgresql-15)"
        }
        return nil
    }()

    package init() throws {
        let result = try run([
            Repository.root + "/Tests/postgres", "start", "-c", "fsync=off", "-c",
            "shared_buffers=256MB",
        ])
        guard result.status == 0 else { throw Daemon.Failure("PostgreSQL: \(result.error)") }
        folder = result.output.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    deinit { _ = try? run([Repository.root + "/Tests/postgres", "stop", folder]) }

    /// Runs a script of psql and gives its output, one row a line.
    package func psql(_ script: String) throws -> [String] {
        let result = try run(
            ["psql", "-h", folder, "-U", "postgres", "-XqAt", "-v", "ON_ERROR_STOP=1"],
            input: Array(script.utf8))
        guard result.status == 0 else { throw Daemon.Failure("psql: \(result.error)") }
        return result.output.split(separator: "\n", omittingEmptySubsequences: true)
            .map(String.init)
    }

    /// Texts without control characters as a CSV file that psql copies as they are.
    package static let copyOptions = "(FORMAT csv, DELIMITER E'\\x01', QUOTE E'\\x02')"
}
