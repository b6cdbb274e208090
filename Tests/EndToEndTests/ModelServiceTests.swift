import DaemonTestSupport
import Foundation
import TestSupport
import Testing

/// Replication as a service of the daemon.
@Suite(.needs(PostgresServer.obstacle == nil, "PostgreSQL 15 is not installed"))
struct ModelServiceTests {
    @Test func `the daemon follows, tells its lag, and the ledger goes on whatever happens`() throws
    {
        let server = try PostgresServer.source()
        try server.makeEngine("postgres")
        let daemon = try Daemon(
            configuration: "{\"model\": {\"from\": \"\(server.address())\", \"create\": true}}")
        let client = try HTTPClient(daemon.socket)
        func status() throws -> [String: Any] { try client.get("/v1/model/status").json }
        func wait(_ what: String, _ condition: ([String: Any]) throws -> Bool) throws {
            let deadline = Date() + 30
            while try !condition(try status()) {
                guard Date() < deadline else {
                    throw Failure("\(what): \(try status()) \(daemon.log)")
                }
                usleep(50_000)
            }
        }
        func rows(_ status: [String: Any]) -> Int {
            (status["tables"] as? [String: Int])?["creators"] ?? 0
        }
        func follows(_ status: [String: Any]) -> Bool {
            (status["service"] as? [String: Any])?["following"] as? Bool ?? false
        }
        try wait("copy") { follows($0) }
        try server.psql((1...5).map { SourceRow.creator($0) }.joined())
        try wait("rows") { rows($0) == 5 }
        #expect(try status()["source"] as? String == "postgres")
        #expect(try daemon.metric("model_changes_total") >= 5)
        #expect(try daemon.metric("model_lag_bytes") == 0)
        // The feed and another sync are kept out.
        let feed = try client.request(
            "POST", "/v1/model/changes", Array("{}".utf8), type: "application/x-ndjson")
        #expect(feed.status == 409 && feed.problemCode == "follows_postgres")
        let other = try run([
            Repository.program, "model", "sync", "--from", server.address(), "--socket",
            daemon.socket, "--once",
        ])
        #expect(other.status == 75, "\(other.error)")
        // The server goes away and comes back.
        try server.restart(crashes: true)
        try server.psql(SourceRow.creator(6))
        try wait("restart") { rows($0) == 6 && follows($0) }
        // A change that is not followed: rows stay as they were, packets are taken.
        try server.psql(
            "ALTER TABLE creators DROP COLUMN profile_url;" + SourceRow.creator(7))
        try wait("stop") {
            ($0["last_error"] as? String)?.contains("profile_url") == true && !follows($0)
        }
        #expect(try rows(status()) == 6)
        #expect(try client.emit(Sample.packet(Sample.id)).status == 201)
        let ready = try client.get("/readyz")
        #expect(ready.status == 503 && ready.text.contains("the read model has stopped following"))
        #expect(try daemon.metric("model_following") == 0)
        #expect(try status()["service"].map { "\($0)" }?.contains("failing_since") == true)
        // Whoever copies anew does so beside the daemon, which takes it up.
        var mended = try run([
            Repository.program, "model", "sync", "--from", server.address(), "--socket",
            daemon.socket, "--resync", "--once",
        ])
        let deadline = Date() + 20
        while mended.status == 75, Date() < deadline {
            usleep(100_000)
            mended = try run([
                Repository.program, "model", "sync", "--from", server.address(), "--socket",
                daemon.socket, "--resync", "--once",
            ])
        }
        #expect(mended.status == 0, "\(mended.error)")
        try server.psql(
            "INSERT INTO creators (creator_id, platform, username) VALUES ('\(SourceRow.id(8))', 'p', 'u8')"
        )
        try wait("mended") { rows($0) == 8 && follows($0) }
        #expect(daemon.stop() == 0)
    }

    @Test func `a source that is wrong stops no daemon`() throws {
        let daemon = try Daemon(configuration: #"{"model": {"from": "host=/nowhere"}}"#)
        let client = try HTTPClient(daemon.socket)
        #expect(try client.emit(Sample.packet(Sample.id)).status == 201)
        let deadline = Date() + 10
        var error = ""
        while error.isEmpty, Date() < deadline {
            error =
                (try client.get("/v1/model/status").json["service"] as? [String: Any])?["error"]
                as? String ?? ""
        }
        #expect(error.contains("/nowhere"), "\(error)")
        #expect(daemon.stop() == 0)
        for (wrong, words) in [
            (#"{"model": {}}"#, "from"), (#"{"model": {"from": "x", "slot": "S"}}"#, "slot"),
            (#"{"model": {"from": "x", "sloth": "s"}}"#, "sloth"), (#"{"model": []}"#, "object"),
            (#"{"model": {"from": "x", "create": 1}}"#, "true or false"),
        ] {
            let file = try daemon.folder.file("wrong.json", Array(wrong.utf8))
            let result = try run([
                Repository.program, "serve", daemon.ledger, "--config", file, "--socket",
                daemon.socket,
            ])
            #expect(result.status == 78 && result.error.contains(words), "\(result.error)")
        }
    }
}
