import DaemonTestSupport
import Foundation
import TestSupport
import Testing

/// Clean-ups of buckets, and of rows that PostgreSQL has.
@Suite(.needs(CleanupAssets.needs, "a second person needs root, and a day a compiler of C"))
struct CleanupStoreTests {
    /// Runs Python with `client`, an administrator of the store.
    private static func administer(_ server: ObjectStoreServer, _ lines: String) throws -> String {
        let script = """
            import boto3
            client = boto3.client("s3", endpoint_url="\(server.url)", region_name="us-east-1",
                                  aws_access_key_id="admin", aws_secret_access_key="admin-secret")
            \(lines)
            """
        let result = try run([Repository.root + "/.build/python/bin/python3", "-c", script])
        guard result.status == 0 else { throw Failure("\(result)") }
        return result.output
    }

    @Test(
        .needs(ObjectStoreServer.obstacle == nil, "SeaweedFS or moto is not installed"),
        arguments: [true, false])
    func `orphans in a bucket go, and with versions they could come back`(isVersioned: Bool) throws
    {
        let server = try ObjectStoreServer.shared(.weed)
        let bucket = isVersioned ? "assets" : "open"
        let prefix = UUID().uuidString
        if isVersioned {
            _ = try Self.administer(
                server,
                """
                if not any(b["Name"] == "assets" for b in client.list_buckets()["Buckets"]):
                    client.create_bucket(Bucket="assets")
                client.put_bucket_versioning(Bucket="assets",
                                             VersioningConfiguration={"Status": "Enabled"})
                """)
        }
        _ = try Self.administer(
            server,
            """
            client.put_object(Bucket="\(bucket)", Key="\(prefix)/own.mp4", Body=b"own")
            for number in range(30):
                client.put_object(Bucket="\(bucket)", Key=f"\(prefix)/a b/{number}.mp4", Body=b"x" * number)
            """)
        // Nothing in a bucket can be made older, so the clocks go ahead.
        let assets = try CleanupAssets(
            """
            {"url": "s3://\(bucket)/\(prefix)", "endpoint": "\(server.url)", "class": "derived",
             "column": "clips.metadata/file"}
            """, hours: 8 * 24)
        assets.environment = [
            "AWS_ACCESS_KEY_ID": "admin", "AWS_SECRET_ACCESS_KEY": "admin-secret",
        ]
        try Self.own(assets, "s3://\(bucket)/\(prefix)/own.mp4")
        let plan = try assets.makePlan()
        #expect(try assets.assets(of: plan).count == 30)
        #expect(try assets.approve(plan).status == 0)
        let decided = try assets.carryOut(plan)
        #expect(decided.status == 0, "\(decided)")
        try assets.wake(hours: 8 * 24 + 25)
        // One becomes another object, one goes.
        _ = try Self.administer(
            server,
            """
            client.put_object(Bucket="\(bucket)", Key="\(prefix)/a b/7.mp4", Body=b"new")
            client.delete_object(Bucket="\(bucket)", Key="\(prefix)/a b/8.mp4")
            """)
        let ended = try assets.carryOut(plan, "--json")
        #expect(ended.status == 1, "\(ended)")
        #expect(ended.output.contains("\"deleted\":29,\"kept\":1"), "\(ended)")
        #expect(ended.output.contains("it was gone already"), "\(ended)")
        let left = try Self.administer(
            server,
            """
            found = client.list_objects_v2(Bucket="\(bucket)", Prefix="\(prefix)/").get("Contents", [])
            print(*(item["Key"].split("/")[-1] for item in found))
            if \(isVersioned ? "True" : "False"):
                print(len(client.list_object_versions(Bucket="\(bucket)", Prefix="\(prefix)/")["Versions"]))
            """)
        #expect(left == (isVersioned ? "7.mp4 own.mp4\n32\n" : "7.mp4 own.mp4\n"))
        #expect(try assets.records().values.allSatisfy { $0.count == 2 })
        // Wrong credentials end it.
        let refused = try Self.refusal(server, bucket, prefix)
        #expect(
            refused.status == 69 && refused.error.contains("403"),
            "\(refused)")
    }

    /// A clip whose file this is, so that the place is plausible.
    private static func own(_ assets: CleanupAssets, _ uri: String) throws {
        let answers = try assets.daemon.feed(
            [
                #"{"table":"creators","op":"insert","row":{"creator_id":"\#(CleanupAssets.id(1, 0))","platform":"p","username":"u"}}"#,
                #"{"table":"posts","op":"insert","row":{"post_id":"\#(CleanupAssets.id(2, 0))","creator_id":"\#(CleanupAssets.id(1, 0))","platform_post_id":"1","url":"u"}}"#,
                #"{"table":"videos","op":"insert","row":{"video_id":"\#(CleanupAssets.id(3, 0))","post_id":"\#(CleanupAssets.id(2, 0))","file_path":"x","checksum":"0"}}"#,
                #"{"table":"clips","op":"insert","row":{"clip_id":"\#(CleanupAssets.id(4, 0))","video_id":"\#(CleanupAssets.id(3, 0))","start_time":0,"end_time":1,"metadata":{"file":"\#(uri)"}}}"#,
            ].joined(separator: "\n"))
        for answer in answers { #expect(answer["problem"] == nil, "\(answer)") }
    }

    /// A run whose credentials do not fit.
    private static func refusal(
        _ server: ObjectStoreServer, _ bucket: String, _ prefix: String
    ) throws -> Finished {
        _ = try administer(
            server,
            """
            client.put_object(Bucket="\(bucket)", Key="\(prefix)-2/own.mp4", Body=b"own")
            for number in range(5):
                client.put_object(Bucket="\(bucket)", Key=f"\(prefix)-2/{number}.mp4", Body=b"x")
            """)
        let assets = try CleanupAssets(
            """
            {"url": "s3://\(bucket)/\(prefix)-2", "endpoint": "\(server.url)", "class": "derived",
             "column": "clips.metadata/file"}
            """, hours: 8 * 24)
        assets.environment = [
            "AWS_ACCESS_KEY_ID": "admin", "AWS_SECRET_ACCESS_KEY": "admin-secret",
        ]
        try own(assets, "s3://\(bucket)/\(prefix)-2/own.mp4")
        let plan = try assets.makePlan()
        #expect(try assets.approve(plan).status == 0)
        #expect(try assets.carryOut(plan).status == 0)
        try assets.wake(hours: 8 * 24 + 25)
        assets.environment = ["AWS_ACCESS_KEY_ID": "admin", "AWS_SECRET_ACCESS_KEY": "wrong"]
        return try assets.carryOut(plan)
    }

    @Test(.needs(PostgresServer.obstacle == nil, "PostgreSQL 15 is not installed"))
    func `log rows go where the rows come from, by a user who may add no more`() throws {
        let server = try PostgresServer.source()
        try server.makeEngine("postgres")
        try server.psql(
            """
            CREATE ROLE cleaner LOGIN; GRANT INSERT ON logs TO cleaner;
            """)
        let assets = try CleanupAssets(
            more: ", \"model\": {\"from\": \"\(server.address())\", \"create\": true}", hours: -25)
        for name in ["orphan", "v"] { try assets.file(assets.raw + "/" + name, days: 20) }
        try server.psql(
            """
            INSERT INTO creators (creator_id, platform, username) VALUES ('\(CleanupAssets.id(1, 0))', 'p', 'u');
            INSERT INTO posts (post_id, creator_id, platform_post_id, url)
            VALUES ('\(CleanupAssets.id(2, 0))', '\(CleanupAssets.id(1, 0))', '1', 'u');
            INSERT INTO videos (video_id, post_id, file_path, checksum)
            VALUES ('\(CleanupAssets.id(3, 0))', '\(CleanupAssets.id(2, 0))', '\(assets.raw)/v', '0');
            """)
        try assets.waitForRows()
        let plan = try assets.makePlan()
        #expect(try assets.approve(plan).status == 0)
        func carryOut(_ more: String...) throws -> Finished {
            try assets.command(
                [
                    "run", plan, "--ledger", assets.daemon.ledger, "--config", assets.config,
                    "--socket", assets.daemon.socket,
                ] + more)
        }
        let missing = try carryOut()
        #expect(missing.status == 64 && missing.error.contains("--logs is missing"), "\(missing)")
        let address = server.address().replacing("postgres@", with: "cleaner@")
        let decided = try carryOut("--logs", address)
        #expect(decided.status == 0, "\(decided)")
        try assets.wake()
        try assets.waitForRows()
        let deleted = try carryOut("--logs", address)
        #expect(deleted.status == 0 && deleted.output.contains("1 deleted"), "\(deleted)")
        let logged = try server.psql("SELECT level, message FROM logs")
        #expect(logged.count == 1 && logged[0].contains("deleted file://"), "\(logged)")
        // Once more changes nothing, whether the row has come back by replication or not.
        #expect(try carryOut("--logs", address).status == 0)
        #expect(try server.psql("SELECT count(*) FROM logs") == ["1"])
    }
}
