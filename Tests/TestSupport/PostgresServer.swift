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

    /// With settings of postgres's beside what tests need.
    package init(_ settings: [String] = []) throws {
        let all = ["fsync=off", "shared_buffers=128MB"] + settings
        let result = try run(
            [Repository.root + "/Scripts/postgres", "start"] + all.flatMap { ["-c", $0] })
        guard result.status == 0 else { throw Failure("PostgreSQL: \(result.error)") }
        folder = result.output.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    deinit { _ = try? run([Repository.root + "/Scripts/postgres", "stop", folder]) }

    /// One that logical replication can follow.
    package static func source(_ settings: String...) throws -> PostgresServer {
        try PostgresServer(["wal_level=logical", "max_wal_senders=10"] + settings)
    }

    /// Stops it; `restart` starts it again.
    package func halt() throws {
        let result = try run([Repository.root + "/Scripts/postgres", "halt", folder])
        guard result.status == 0 else { throw Failure("PostgreSQL: \(result.error)") }
    }

    /// Stops it and starts it again; as after a crash where `crashes`.
    package func restart(crashes: Bool = false) throws {
        let result = try run([
            Repository.root + "/Scripts/postgres", "restart", folder,
            crashes ? "immediate" : "fast",
        ])
        guard result.status == 0 else { throw Failure("PostgreSQL: \(result.error)") }
    }

    /// How libpq finds a database of it.
    package func address(_ database: String = "postgres") -> String {
        "host=\(folder) user=postgres dbname=\(database)"
    }

    /// Runs a script of psql and gives its output, one row a line.
    @discardableResult
    package func psql(_ script: String, database: String = "postgres") throws -> [String] {
        let result = try run(
            [
                "psql", "-h", folder, "-U", "postgres", "-d", database, "-XqAt", "-v",
                "ON_ERROR_STOP=1",
            ], input: Array(script.utf8))
        guard result.status == 0 else { throw Failure("psql: \(result.error)") }
        return result.output.split(separator: "\n", omittingEmptySubsequences: true)
            .map(String.init)
    }

    /// Texts without control characters as a CSV file that psql copies as they are.
    package static let copyOptions = "(FORMAT csv, DELIMITER E'\\x01', QUOTE E'\\x02')"
}
