import DaemonTestSupport
import Foundation
import TestSupport
import Testing

/// Who may append only some entity types may amend only packets of those types.
@Suite struct AmendingTests {
    private static let user = 65534

    private static func daemon() throws -> Daemon {
        let daemon = try Daemon(
            configuration: """
                {"access": [{"user": \(user), "roles": ["append"], "entity_types": ["clips", "edit_jobs"]}]}
                """)
        #expect(chmod(daemon.folder.path, 0o755) == 0 && chmod(daemon.socket, 0o666) == 0)
        let client = try HTTPClient(daemon.socket)
        #expect(try client.emit(Array(Story.packet(1).utf8)).status == 201)
        #expect(try client.emit(Array(Story.packet(2, type: "posts").utf8)).status == 201)
        return daemon
    }

    /// What the limited user is answered: statuses, and all that it is told.
    private static func ask(
        _ daemon: Daemon, _ body: String, type: String = "application/json"
    ) throws -> (status: String, text: String) {
        let result = try run(
            [
                "setpriv", "--reuid=\(user)", "--regid=\(user)", "--clear-groups", "curl", "-s",
                "-w", "\n%{http_code}", "--unix-socket", daemon.socket, "-H",
                "content-type: \(type)", "--data-binary", "@-", "http://x/v1/packets",
            ], input: Array(body.utf8))
        let lines = result.output.split(separator: "\n").map(String.init)
        return (lines.last ?? result.error, lines.dropLast().joined(separator: "\n"))
    }

    @Test(
        .needs(Repository.isRoot && Repository.has("setpriv"), "acting as another user needs root"),
        arguments: ["retracts", "supersedes", "revision_of"])
    func `another type's packets are not amended, nor what is not there yet`(
        relation: String
    ) throws {
        let daemon = try Self.daemon()
        let own = try Self.ask(daemon, Story.packet(3, parents: [Story.parent(1, relation)]))
        #expect(own.status == "201", "\(own)")
        let other = try Self.ask(
            daemon,
            Story.packet(4, parents: [Story.parent(1, relation), Story.parent(2, relation)]))
        #expect(other.status == "403" && other.text.contains("revise posts"), "\(other)")
        let missing = try Self.ask(daemon, Story.packet(4, parents: [Story.parent(9, relation)]))
        #expect(missing.status == "403" && missing.text.contains("not in the ledger"), "\(missing)")
        let derived = try Self.ask(daemon, Story.packet(4, parents: [Story.parent(2)]))
        #expect(derived.status == "201", "\(derived)")
    }

    @Test(
        .needs(Repository.isRoot && Repository.has("setpriv"), "acting as another user needs root")
    )
    func `each line of a stream is judged, and the others are appended in order`() throws {
        let daemon = try Self.daemon()
        var lines = (10..<5_000).map { Story.packet($0, entity: $0) }
        lines.insert(Story.packet(3, parents: [Story.parent(2, "retracts")]), at: 4_000)
        lines.insert(Story.packet(4, parents: [Story.parent(1, "retracts")]), at: 20)
        lines.append(Story.packet(5, parents: [Story.parent(9, "supersedes")]))
        let answer = try Self.ask(
            daemon, lines.joined(separator: "\n"), type: "application/x-ndjson")
        let answers = try answer.text.split(separator: "\n").map {
            try #require(JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
        }
        #expect(answers.count == lines.count)
        let refused = answers.enumerated().filter { $1["status"] as? Int != 201 }
        #expect(refused.map(\.offset) == [4_001, 4_992])
        #expect(refused.allSatisfy { $0.element["status"] as? Int == 403 })
        let positions = answers.compactMap {
            ($0["receipt"] as? [String: Any])?["position"] as? Int
        }
        let isInOrder = positions == Array(2..<lines.count)
        #expect(isInOrder, "\(positions.count) positions, from \(positions.first ?? -1)")
    }
}
