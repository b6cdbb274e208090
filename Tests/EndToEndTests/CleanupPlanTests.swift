import DaemonTestSupport
import Foundation
import PipelineWorkload
import TestSupport
import Testing

/// Plans of a clean-up, over real rows, packets and files.
struct CleanupPlanTests {
    @Test func `a plan is what a look at everything finds`() throws {
        for seed in 1...3 as ClosedRange<UInt64> {
            let assets = try CleanupAssets()
            try assets.fill(120, seed: seed)
            let (planned, naive) = (try assets.planned(), try assets.naive())
            let differences = Set(planned).symmetricDifference(naive).sorted()
            #expect(differences.isEmpty, "seed \(seed)")
            #expect(Set(naive.map { $0.prefix { $0 != " " } }).count == 3, "seed \(seed)")
            // Nothing was deleted.
            #expect(try FileManager.default.contentsOfDirectory(atPath: assets.raw).count == 240)
        }
    }

    @Test func `what looks like a mistake is refused, and says what to do`() throws {
        let assets = try CleanupAssets()
        try assets.fill(20, seed: 9)
        let large = try assets.plan()
        #expect(large.status == 65 && large.error.contains("--allow-large"), "\(large)")
        let there = try assets.plan("--allow-large", out: assets.folder.path + "/raw")
        #expect(there.status == 78, "\(there)")
        let asset = try assets.plan("--allow-large", "--asset", "c1.mp4")
        #expect(asset.status == 64 && asset.error.contains("name of an asset"), "\(asset)")
        // Another folder: the rows' files are not in it.
        for name in try FileManager.default.contentsOfDirectory(atPath: assets.raw)
        where name.hasPrefix("v ") {
            try FileManager.default.removeItem(atPath: assets.raw + "/" + name)
        }
        let empty = try assets.plan("--allow-large")
        #expect(empty.status == 65 && empty.error.contains("correct url or column"), "\(empty)")
        try FileManager.default.createDirectory(
            atPath: assets.raw + "/" + Sample.id, withIntermediateDirectories: false)
        try assets.file(assets.raw + "/\(Sample.id)/identity", days: 1)
        let archive = try assets.plan("--allow-large")
        #expect(
            archive.status == 65 && archive.error.contains("part of a ledger"), "\(archive)")
        for (store, status) in [("raw", 78), ("", 78), ("raw/deep", 78), ("other", 65)] {
            let overlapping = try CleanupAssets(
                more:
                    ", \"archive\": {\"stores\": [{\"url\": \"file://\(assets.folder.path)/\(store)\"}]}"
            )
            let text = try String(
                contentsOfFile: overlapping.daemon.folder.path + "/config.json", encoding: .utf8
            ).replacing(overlapping.folder.path, with: assets.folder.path)
            let config = try assets.folder.file("c\(UUID()).json", Array(text.utf8))
            let result = try run([
                Repository.program, "cleanup", "plan", assets.daemon.ledger, "--config", config,
                "--socket", assets.daemon.socket, "--allow-large", "--out",
                assets.folder.path + "/never",
            ])
            #expect(result.status == status, "\(store): \(result)")
        }
        #expect(!FileManager.default.fileExists(atPath: assets.folder.path + "/never"))
    }

    @Test func `no plan is made over a packet that cannot be read`() throws {
        let assets = try CleanupAssets()
        try assets.fill(20, seed: 5)
        #expect(assets.daemon.stop() == 0)
        let path = assets.daemon.ledger + "/segments/00000000000000000000.seg"
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        bytes[128 + 176 + 20] ^= 1
        try bytes.write(to: URL(fileURLWithPath: path))
        let damaged = try assets.plan("--allow-large")
        #expect(damaged.status != 0 && damaged.error.contains("position 0"), "\(damaged)")
    }

    @Test func `show explains a plan, and refuses what is none`() throws {
        let assets = try CleanupAssets()
        try assets.fill(60, seed: 4)
        let out = assets.folder.path + "/plan"
        #expect(try assets.plan("--allow-large", out: out).status == 0)
        let shown = try run([
            Repository.program, "cleanup", "show", out, "--socket", assets.daemon.socket,
        ])
        #expect(shown.status == 0, "\(shown)")
        for words in [
            "orphan: no row and no packet names these", "raw_expired: downloads", "largest:",
            "oldest:", "closest to the rule's border:", ", of videos/", "good until",
            "made by user",
            "finding         class", "together", "orphans stay 7 days", "by videos.file_path",
            "cleanup approve", "What stays:", "too young for its rule", " until it is an ",
            "of a promoted clip",
            " is ", "the packet at position",
        ] { #expect(shown.output.contains(words), "\(words): \(shown.output)") }
        let json = try run([
            Repository.program, "cleanup", "show", out, "--json", "--socket", assets.daemon.socket,
        ])
        let summary =
            try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any]
        let goes = summary?["goes"] as? [[String: Any]] ?? []
        let count = try assets.assets(of: out).count
        #expect(goes.reduce(0) { $0 + ($1["assets"] as? Int ?? 0) } == count, "\(json)")
        let content = try String(contentsOfFile: out, encoding: .utf8)
        let edited = try assets.folder.file(
            "edited", Array(content.replacing("\"bytes\":1", with: "\"bytes\":2").utf8))
        let unknown = try run([
            Repository.program, "cleanup", "show", edited, "--socket", assets.daemon.socket,
        ])
        #expect(unknown.output.contains("NOT IN THE LEDGER"), "\(unknown)")
        for wrong in ["", "{}", String(content.dropLast(200))] {
            let file = try assets.folder.file("wrong", Array(wrong.utf8))
            let refused = try run([Repository.program, "cleanup", "show", file])
            #expect(refused.status == 65 && refused.error.contains("line"), "\(refused)")
        }
    }

    @Test(.needs(ObjectStoreServer.obstacle == nil, "SeaweedFS or moto is not installed"))
    func `assets in a bucket are judged like files`() throws {
        let server = try ObjectStoreServer.shared(.weed)
        let prefix = UUID().uuidString
        let daemon = try Daemon(
            configuration: """
                {"cleanup": {"assets": [
                   {"url": "s3://open/\(prefix)", "endpoint": "\(server.url)", "class": "derived",
                    "column": "clips.metadata/file"}]}}
                """)
        let script = """
            import boto3
            client = boto3.client("s3", endpoint_url="\(server.url)", region_name="us-east-1",
                                  aws_access_key_id="admin", aws_secret_access_key="admin-secret")
            for number in range(1200):
                client.put_object(Bucket="open", Key=f"\(prefix)/a b/{number}.mp4", Body=b"x" * number)
            """
        let filled = try run([Repository.root + "/.build/python/bin/python3", "-c", script])
        #expect(filled.status == 0, "\(filled)")
        let host = server.url.dropFirst("http://".count)
        // One clip is promoted; each spelling means its object.
        let spelled = [
            "s3://open/\(prefix)/a b/1.mp4", "http://\(host)/open/\(prefix)/a%20b/2.mp4",
            "s3a://open/\(prefix)/a%20b/3.mp4",
        ]
        var lines = [
            #"{"table":"creators","op":"insert","row":{"creator_id":"\#(CleanupAssets.id(1, 0))","platform":"p","username":"u"}}"#,
            #"{"table":"posts","op":"insert","row":{"post_id":"\#(CleanupAssets.id(2, 0))","creator_id":"\#(CleanupAssets.id(1, 0))","platform_post_id":"1","url":"https://x.example/1"}}"#,
            #"{"table":"videos","op":"insert","row":{"video_id":"\#(CleanupAssets.id(3, 0))","post_id":"\#(CleanupAssets.id(2, 0))","file_path":"x","checksum":"0"}}"#,
        ]
        for (number, uri) in spelled.enumerated() {
            lines.append(
                #"{"table":"clips","op":"insert","row":{"clip_id":"\#(CleanupAssets.id(4, number))","video_id":"\#(CleanupAssets.id(3, 0))","start_time":0,"end_time":1,"metadata":{"file":"\#(uri)"}}}"#
            )
        }
        lines.append(
            #"{"table":"schedules","op":"insert","row":{"schedule_id":"\#(CleanupAssets.id(5, 0))","clip_id":"\#(CleanupAssets.id(4, 0))","status":"COMMITTED"}}"#
        )
        try daemon.feed(lines.joined(separator: "\n"))
        func plan(_ name: String, _ more: [String], _ environment: [String: String]) throws
            -> Finished
        {
            try run(
                [
                    Repository.program, "cleanup", "plan", daemon.ledger, "--config",
                    daemon.folder.path + "/config.json", "--socket", daemon.socket, "--out",
                    daemon.folder.path + "/" + name,
                ] + more, environment: environment)
        }
        let right = ObjectStoreServer.environment
        let none = try plan("a", [], right)
        #expect(none.status == 0 && none.output.contains("None of 1200 assets may go"), "\(none)")
        let wanted = try plan("b", spelled.flatMap { ["--asset", $0] }, right)
        #expect(
            wanted.status == 0 && wanted.output.contains("2 of 1200 assets may go"), "\(wanted)")
        let shown = try run([
            Repository.program, "cleanup", "show", daemon.folder.path + "/b", "--all",
        ])
        #expect(
            shown.output.contains("schedules \(CleanupAssets.id(5, 0)) is COMMITTED"), "\(shown)")
        #expect(shown.output.contains("a b/3.mp4"), "\(shown)")
        let wrong = try plan(
            "c", [], ["AWS_ACCESS_KEY_ID": "archive", "AWS_SECRET_ACCESS_KEY": "no"])
        #expect(wrong.status == 78 && wrong.error.contains("aws_secret_access_key"), "\(wrong)")
    }
}
