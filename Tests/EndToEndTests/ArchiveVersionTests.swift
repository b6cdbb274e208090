import DaemonTestSupport
import Foundation
import TestSupport
import Testing

/// A bucket that keeps versions, in which somebody with more rights than the archive process writes.
@Suite(.needs(ObjectStoreServer.obstacle == nil, "SeaweedFS or moto is not installed"))
struct ArchiveVersionTests {
    /// Runs Python with `client` as an administrator, `names` the objects of a prefix, and `put`.
    private static func administer(
        _ server: ObjectStoreServer, _ prefix: String, _ lines: String
    ) throws {
        let script = """
            import boto3, sys
            client = boto3.client("s3", endpoint_url="\(server.url)", region_name="us-east-1",
                                  aws_access_key_id="admin", aws_secret_access_key="admin-secret")
            found = client.list_objects_v2(Bucket="ledgers", Prefix="\(prefix)/")["Contents"]
            names = sorted(item["Key"] for item in found)
            def get(name):
                return client.get_object(Bucket="ledgers", Key=name)["Body"].read()
            def put(name, body):
                client.put_object(Bucket="ledgers", Key=name, Body=body)
            \(lines)
            """
        let result = try run([Repository.root + "/.build/python/bin/python3", "-c", script])
        guard result.status == 0 else { throw Failure("\(result)") }
    }

    @Test func `what somebody wrote over an archive hides nothing of it`() throws {
        let server = try ObjectStoreServer.shared(.weed)
        let prefix = UUID().uuidString
        let archived = try Archived(
            [Archived.bucket(server, prefix: prefix)], environment: ObjectStoreServer.environment)
        try archived.start()
        for round in 0..<3 { try archived.emit(round * 150..<round * 150 + 150) }
        try archived.waitUntilShipped()
        #expect(archived.stop() == 0)
        #expect(archived.daemon.stop() == 0)
        let environment = ObjectStoreServer.environment.merging(["AWS_ENDPOINT_URL": server.url]) {
            $1
        }
        let from = "s3://ledgers/\(prefix)"
        func restore(_ name: String) throws -> Finished {
            try run(
                [
                    Repository.program, "restore", archived.daemon.folder.path + "/" + name,
                    "--from", from,
                ], environment: environment)
        }
        // Another object's bytes, junk, and nothing: of each kind of object one.
        let changes = [
            "segments = [name for name in names if name.endswith('.seg')]",
            "put(segments[0], get(segments[1]))", "put(segments[1], b'')",
            "marks = [name for name in names if name.endswith('.sealed')]",
            "put(marks[0], get(marks[1]))",
            "put([n for n in names if n.endswith('.checkpoints')][0], b'junk')",
            "put([n for n in names if n.endswith('/identity')][0], b'junk')",
            "put([n for n in names if '/epochs/' in n][0], b'junk')",
            "put([n for n in names if '/open/' in n][-1], get([n for n in names if '/open/' in n][0]))",
        ]
        try Self.administer(server, prefix, changes.joined(separator: "\n"))
        let restored = try restore("a")
        #expect(restored.status == 0, "\(restored)")
        #expect(restored.output.contains("restored 450 entries"), "\(restored)")
        #expect(restored.error.contains("archive_damaged: s3://ledgers/\(prefix)"), "\(restored)")
        let verified = try run([
            Repository.program, "verify", archived.daemon.folder.path + "/a", "--checkpoint",
            archived.daemon.ledger + "/checkpoint",
        ])
        #expect(verified.status == 0, "\(verified)")
        // What is wrong now is named, object by object, for the operator.
        let audit = try run(
            [Repository.program, "verify", "--archive", from], environment: environment)
        #expect(audit.status == 1, "\(audit)")
        for name in [".seg", ".checkpoints"] {
            #expect(
                audit.output.split(separator: "\n").contains {
                    $0.contains("archive_damaged") && $0.contains(name)
                }, "\(name): \(audit)")
        }
    }
}
