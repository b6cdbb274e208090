import DaemonTestSupport
import Foundation
import TestSupport
import Testing

/// What Docs/Backup.md tells an operator to do, done as it stands.
struct BackupPageTests {
    /// The blocks of commands under a heading.
    private static func blocks(under heading: String) throws -> [String] {
        let text = String(decoding: try Repository.content("Docs/Backup.md"), as: UTF8.self)
        let section = text.components(separatedBy: "\n## \(heading)\n")[1]
            .components(separatedBy: "\n## ")[0]
        return section.components(separatedBy: "```bash\n").dropFirst().map {
            $0.components(separatedBy: "\n```")[0]
        }
    }

    private static let path =
        (Repository.program as NSString).deletingLastPathComponent + ":"
        + (ProcessInfo.processInfo.environment["PATH"] ?? "")

    @Test func `a ledger goes on from another machine at three in the morning`() throws {
        let store = try TemporaryFolder()
        defer { withExtendedLifetime(store) {} }
        let archived = try Archived([Archived.folder(store.path)], leaves: true)
        try archived.start()
        try archived.emit(0..<150)
        try archived.waitUntilShipped()
        let key = try archived.daemon.vkey
        // The machine is gone.
        archived.kill()
        archived.daemon.kill()
        let folder = try TemporaryFolder()
        let ledger = folder.path + "/ledger"
        let block = try #require(try Self.blocks(under: "At three in the morning").first)
        let result = try run(
            ["bash", "-euo", "pipefail", "-c", block],
            environment: [
                "STORE": "file://" + store.path, "VKEY": key, "LEDGER": ledger,
                "KEY": archived.daemon.ledger + "/key", "CONFIG": archived.configuration,
                "STARDUST_SOCKET": folder.path + "/s", "PATH": Self.path,
            ])
        #expect(result.status == 0, "\(result)")
        #expect(result.output.contains("restored 150 entries"), "\(result)")
        let verified = try run([
            Repository.program, "verify", ledger, "--archive", "file://" + store.path,
        ])
        // With the entry of the new epoch.
        #expect(verified.status == 0 && verified.output.contains("151 entries"), "\(verified)")
    }

    private static let obstacle =
        PostgresServer.obstacle
        ?? (Repository.has("pgbackrest") ? nil : "pgbackrest is not installed")
        ?? (getuid() == 0 ? nil : "only root can act as postgres")

    @Test(.needs(obstacle == nil, "PostgreSQL 15 or pgBackRest is missing, or this is not root"))
    func `rows come back from their backup, and agree with the packets`() throws {
        let server = try PostgresServer.source()
        let folder = try TemporaryFolder()
        defer { withExtendedLifetime((server, folder)) {} }
        chmod(folder.path, 0o777)
        let configuration = try Self.prepare(server, folder)
        let blocks = try Self.blocks(under: "The engine's PostgreSQL")
        #expect(blocks.count == 3)
        func asPostgres(_ block: String) throws -> Finished {
            // Its settings are not where the page puts them.
            let commands = block.replacingOccurrences(
                of: "pgbackrest ", with: "pgbackrest --config=\(configuration) ")
            return try run([
                "setpriv", "--reuid", "postgres", "--regid", "postgres", "--init-groups", "bash",
                "-euc", "cd /; " + commands,
            ])
        }
        try server.makeEngine("postgres")
        let daemon = try Daemon(configuration: "{\"model\": {\"from\": \"\(server.address())\"}}")
        func add(_ numbers: ClosedRange<Int>) throws {
            let client = try HTTPClient(daemon.socket)
            for number in numbers {
                try server.psql(SourceRow.creator(number))
                let packet = """
                    {"entity_type":"creators","entity_id":"\(SourceRow.id(number))","lineage":\
                    {"trace_id":"7d3f0a52-6f0d-4f6e-8c1b-1a2b3c4d5e6f","_meta_parents":[]}}
                    """
                #expect(try client.emit(Array(packet.utf8)).status == 201)
            }
        }
        try add(1...20)
        let backup = try asPostgres(blocks[0])
        #expect(backup.status == 0, "\(backup)")
        // What came after the backup comes back from the write-ahead log.
        try add(21...40)
        try server.psql("SELECT pg_switch_wal()")
        let wanted = "SELECT last_archived_wal >= pg_walfile_name(pg_current_wal_lsn() - 1)"
        let deadline = Date() + 120
        while try server.psql(wanted + " FROM pg_stat_archiver") != ["t"] {
            guard Date() < deadline else { throw Failure("the log is not archived") }
            usleep(100_000)
        }
        try server.halt()
        let data = server.folder + "/data"
        for name in try FileManager.default.contentsOfDirectory(atPath: data) {
            try FileManager.default.removeItem(atPath: data + "/" + name)
        }
        let restored = try asPostgres(blocks[1])
        #expect(restored.status == 0, "\(restored)")
        try server.restart()
        #expect(daemon.stop() == 0)
        let followed = try run(
            ["bash", "-euo", "pipefail", "-c", blocks[2]],
            environment: [
                "SOURCE": server.address(), "LEDGER": daemon.ledger, "PATH": Self.path,
            ])
        #expect(followed.status == 0, "\(followed)")
        try daemon.start()
        let drift = try daemon.stardust("model", "drift")
        #expect(drift.status == 0 && drift.output.contains("40 of 40 rows"), "\(drift)")
        #expect(daemon.stop() == 0)
    }

    /// Settings as the page has them, and pgBackRest's own with this server's folders. Returns the path
    /// of the latter.
    private static func prepare(
        _ server: PostgresServer, _ folder: TemporaryFolder
    ) throws -> String {
        let text = String(decoding: try Repository.content("Docs/Backup.md"), as: UTF8.self)
        let pages = text.components(separatedBy: "```ini\n").dropFirst().map {
            $0.components(separatedBy: "\n```")[0]
        }
        let configuration =
            try #require(pages.first { $0.contains("[engine]") })
            .replacingOccurrences(of: "/mnt/backup/pgbackrest", with: folder.path + "/repo")
            .replacingOccurrences(of: "/var/lib/postgresql/15/main", with: server.folder + "/data")
            .replacingOccurrences(
                of: "[engine]",
                with: """
                    log-level-file=off
                    lock-path=\(folder.path)/lock

                    [engine]
                    pg1-socket-path=\(server.folder)
                    pg1-user=postgres
                    """)
        let path = try folder.file("pgbackrest.conf", Array(configuration.utf8))
        chmod(path, 0o644)
        var settings = [
            "unix_socket_directories": server.folder, "listen_addresses": "",
            "wal_level": "logical", "max_wal_senders": "10",
        ]
        for line in try #require(pages.first { $0.contains("archive_mode") }).split(separator: "\n")
        {
            let sides = line.split(separator: "=", maxSplits: 1).map {
                $0.trimmingCharacters(in: .whitespaces)
            }
            settings[sides[0]] = sides[1].trimmingCharacters(in: ["'"])
        }
        settings["archive_command"] = settings["archive_command"]?
            .replacingOccurrences(of: "pgbackrest ", with: "pgbackrest --config=\(path) ")
        for (name, value) in settings.sorted(by: { $0.key < $1.key }) {
            try server.psql("ALTER SYSTEM SET \(name) = '\(value)'")
        }
        try server.restart()
        return path
    }
}
