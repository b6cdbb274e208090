import DaemonTestSupport
import Foundation
import PipelineWorkload
import TestSupport
import Testing

/// Plans of a clean-up, over real rows, packets and files.
struct CleanupPlanTests {
    /// A daemon with rows, and folders of their assets.
    private final class Assets {
        let folder: TemporaryFolder
        let daemon: Daemon
        var raw: String { folder.path + "/raw" }
        var derived: String { folder.path + "/derived" }

        init(more: String = "") throws {
            folder = try TemporaryFolder()
            for name in ["raw", "derived"] {
                try FileManager.default.createDirectory(
                    atPath: folder.path + "/" + name, withIntermediateDirectories: false)
            }
            daemon = try Daemon(
                configuration: """
                    {"cleanup": {"assets": [
                       {"url": "file://\(folder.path)/raw", "class": "raw", "column": "videos.file_path"},
                       {"url": "file://\(folder.path)/derived", "class": "derived",
                        "column": "clips.metadata/file"}]}\(more)}
                    """)
        }

        func file(_ path: String, days: Double, bytes: Int = 100) throws {
            try Data(repeating: 0x41, count: bytes).write(to: URL(fileURLWithPath: path))
            var time = timeval(
                tv_sec: Int(Date().timeIntervalSince1970 - days * 86_400), tv_usec: 0)
            withUnsafePointer(to: &time) { first in
                _ = utimes(path, [first.pointee, first.pointee])
            }
        }

        func plan(_ more: String..., out: String? = nil) throws -> Finished {
            try run(
                [
                    Repository.program, "cleanup", "plan", daemon.ledger, "--config",
                    daemon.folder.path + "/config.json", "--out",
                    out ?? folder.path + "/plan-\(UUID())",
                ] + more)
        }

        /// Findings and paths of a plan, in order.
        func planned(_ more: String...) throws -> [String] {
            let out = folder.path + "/plan-\(UUID())"
            let result = try run(
                [
                    Repository.program, "cleanup", "plan", daemon.ledger, "--config",
                    daemon.folder.path + "/config.json", "--allow-large", "--out", out,
                ] + more)
            guard result.status == 0 else { throw Failure("\(result)") }
            return try String(contentsOfFile: out, encoding: .utf8).split(separator: "\n")
                .dropFirst()
                .map { line in
                    let item =
                        try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
                    let uri = item?["uri"] as? String ?? ""
                    return "\(item?["finding"] ?? "") \(uri.dropFirst("file://".count))"
                }.sorted()
        }

        /// The same by a program that looks at everything again for each asset.
        func naive() throws -> [String] {
            let packets = try run([
                Repository.program, "find", "--socket", daemon.socket, "--json",
            ])
            guard packets.status == 0 else { throw Failure(packets.error) }
            let file = try folder.file("packets-\(UUID())", Array(packets.output.utf8))
            let result = try run([
                "/usr/bin/python3", Repository.root + "/Tests/EndToEndTests/naive_cleanup.py",
                daemon.ledger + "/model.sqlite", file, raw, derived,
            ])
            guard result.status == 0 else { throw Failure(result.error) }
            return result.output.split(separator: "\n").map(String.init)
        }
    }

    private static func id(_ kind: Int, _ number: Int) -> String {
        "0000000\(kind)-0000-4000-8000-\(String(format: "%012d", number))"
    }

    private static func time(daysAgo days: Double) -> String {
        ISO8601DateFormatter().string(from: Date(timeIntervalSinceNow: -days * 86_400))
    }

    /// Rows of videos and their clips, and the files of both, of every age and status.
    private static func fill(_ assets: Assets, _ count: Int, seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let statuses = [
            "PENDING", "FAILED", "CANCELLED", "REJECTED", "PUBLISHED", "DONE", "RUNNING", "failed ",
            "NOBODY_KNOWS",
        ]
        var lines = [
            #"{"table":"creators","op":"insert","row":{"creator_id":"\#(id(1, 0))","platform":"p","username":"u"}}"#,
            #"{"table":"posts","op":"insert","row":{"post_id":"\#(id(2, 0))","creator_id":"\#(id(1, 0))","platform_post_id":"1","url":"https://x.example/1"}}"#,
        ]
        for number in 0..<count {
            let age = Double.random(in: 0...200, using: &generator)
            let path = "\(assets.raw)/v \(number).mp4"
            let spelled = [
                path, "file://" + path, "file://localhost" + path.replacing(" ", with: "%20"),
            ]
            .randomElement(using: &generator)!
            lines.append(
                #"{"table":"videos","op":"insert","row":{"video_id":"\#(id(3, number))","post_id":"\#(id(2, 0))","file_path":"\#(spelled)","checksum":"\#(number)","created_at":"\#(time(daysAgo: Double.random(in: 0...200, using: &generator)))"}}"#
            )
            try assets.file(path, days: age, bytes: 100 + number)
            try assets.file(
                "\(assets.raw)/orphan\(number)", days: Double.random(in: 0...20, using: &generator))
            guard Bool.random(using: &generator) else { continue }
            let made = "\(assets.derived)/c\(number).mp4"
            try assets.file(made, days: Double.random(in: 0...800, using: &generator))
            lines.append(
                #"{"table":"clips","op":"insert","row":{"clip_id":"\#(id(4, number))","video_id":"\#(id(3, number))","start_time":0,"end_time":1,"metadata":{"file":"file:\/\/\#(made)"}}}"#
            )
            let job = ["upload_jobs", "schedules", "edit_jobs"].randomElement(using: &generator)!
            let key = [
                "upload_jobs": "upload_job_id", "schedules": "schedule_id",
                "edit_jobs": "edit_job_id",
            ][job]!
            let more =
                job == "edit_jobs"
                ? #","operations":{"in":"\#(Int.random(in: 0..<6, using: &generator) == 0 ? "\(assets.raw)/orphan\(number)" : "")"}"#
                : ""
            lines.append(
                #"{"table":"\#(job)","op":"insert","row":{"\#(key)":"\#(id(5, number))","clip_id":"\#(id(4, number))","status":"\#(statuses.randomElement(using: &generator)!)"\#(more)}}"#
            )
        }
        for answer in try assets.daemon.feed(lines.joined(separator: "\n")) {
            #expect(answer["error"] == nil && answer["problem"] == nil, "\(answer)")
        }
        // Some orphans are named after all: in a packet's evidence, or in a log.
        let client = try HTTPClient(assets.daemon.socket)
        for number in stride(from: 0, to: count, by: 7) {
            let uri = "FILE://\(assets.raw)/Orphan\(number)"
            let emitted = try client.emit(
                Sample.packet(Sample.numbered(number).id, more: ",\"note\":\"read \(uri), twice\""))
            #expect(emitted.status == 201)
        }
    }

    @Test func `a plan is what a look at everything finds`() throws {
        for seed in 1...3 as ClosedRange<UInt64> {
            let assets = try Assets()
            try Self.fill(assets, 120, seed: seed)
            let (planned, naive) = (try assets.planned(), try assets.naive())
            let differences = Set(planned).symmetricDifference(naive).sorted()
            #expect(differences.isEmpty, "seed \(seed)")
            #expect(Set(naive.map { $0.prefix { $0 != " " } }).count == 3, "seed \(seed)")
            // Nothing was deleted.
            #expect(try FileManager.default.contentsOfDirectory(atPath: assets.raw).count == 240)
        }
    }

    @Test func `what looks like a mistake is refused, and says what to do`() throws {
        let assets = try Assets()
        try Self.fill(assets, 20, seed: 9)
        let large = try assets.plan()
        #expect(large.status == 65 && large.error.contains("--allow-large"), "\(large)")
        let there = try assets.plan("--allow-large", out: assets.folder.path + "/raw")
        #expect(there.status == 73, "\(there)")
        let asset = try assets.plan("--allow-large", "--asset", "c1.mp4")
        #expect(asset.status == 64 && asset.error.contains("name of an asset"), "\(asset)")
        // Another folder: the rows' files are not in it.
        for name in try FileManager.default.contentsOfDirectory(atPath: assets.raw)
        where name.hasPrefix("v ") {
            try FileManager.default.removeItem(atPath: assets.raw + "/" + name)
        }
        let empty = try assets.plan("--allow-large")
        #expect(empty.status == 65 && empty.error.contains("is it the right url"), "\(empty)")
        try FileManager.default.createDirectory(
            atPath: assets.raw + "/" + Sample.id, withIntermediateDirectories: false)
        try assets.file(assets.raw + "/\(Sample.id)/identity", days: 1)
        let archive = try assets.plan("--allow-large")
        #expect(
            archive.status == 65 && archive.error.contains("identity of a ledger"), "\(archive)")
        for (store, status) in [("raw", 78), ("", 78), ("raw/deep", 78), ("other", 65)] {
            let overlapping = try Assets(
                more:
                    ", \"archive\": {\"stores\": [{\"url\": \"file://\(assets.folder.path)/\(store)\"}]}"
            )
            let text = try String(
                contentsOfFile: overlapping.daemon.folder.path + "/config.json", encoding: .utf8
            ).replacing(overlapping.folder.path, with: assets.folder.path)
            let config = try assets.folder.file("c\(UUID()).json", Array(text.utf8))
            let result = try run([
                Repository.program, "cleanup", "plan", assets.daemon.ledger, "--config", config,
                "--allow-large", "--out", assets.folder.path + "/never",
            ])
            #expect(result.status == status, "\(store): \(result)")
        }
        #expect(!FileManager.default.fileExists(atPath: assets.folder.path + "/never"))
    }

    @Test func `no plan is made over a packet that cannot be read`() throws {
        let assets = try Assets()
        try Self.fill(assets, 20, seed: 5)
        #expect(assets.daemon.stop() == 0)
        let path = assets.daemon.ledger + "/segments/00000000000000000000.seg"
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        bytes[128 + 176 + 20] ^= 1
        try bytes.write(to: URL(fileURLWithPath: path))
        let damaged = try assets.plan("--allow-large")
        #expect(damaged.status != 0 && damaged.error.contains("position 0"), "\(damaged)")
    }

    @Test func `show explains a plan, and refuses what is none`() throws {
        let assets = try Assets()
        try Self.fill(assets, 60, seed: 4)
        let out = assets.folder.path + "/plan"
        #expect(try assets.plan("--allow-large", out: out).status == 0)
        let shown = try run([Repository.program, "cleanup", "show", out])
        #expect(shown.status == 0, "\(shown)")
        for words in [
            "orphan: no row and no packet names these", "raw_expired: downloads", "largest:",
            "closest to the border:", ", of videos/", "good until", "Nothing has been deleted.",
            "What stays:", "too young for its rule", "days until it is", "of a promoted clip",
            " is ", "the packet at position",
        ] { #expect(shown.output.contains(words), "\(words): \(shown.output)") }
        let json = try run([Repository.program, "cleanup", "show", out, "--json"])
        #expect(json.output == (try String(contentsOfFile: out, encoding: .utf8)))
        for wrong in ["", "{}", String(json.output.dropLast(200))] {
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
            #"{"table":"creators","op":"insert","row":{"creator_id":"\#(Self.id(1, 0))","platform":"p","username":"u"}}"#,
            #"{"table":"posts","op":"insert","row":{"post_id":"\#(Self.id(2, 0))","creator_id":"\#(Self.id(1, 0))","platform_post_id":"1","url":"https://x.example/1"}}"#,
            #"{"table":"videos","op":"insert","row":{"video_id":"\#(Self.id(3, 0))","post_id":"\#(Self.id(2, 0))","file_path":"x","checksum":"0"}}"#,
        ]
        for (number, uri) in spelled.enumerated() {
            lines.append(
                #"{"table":"clips","op":"insert","row":{"clip_id":"\#(Self.id(4, number))","video_id":"\#(Self.id(3, 0))","start_time":0,"end_time":1,"metadata":{"file":"\#(uri)"}}}"#
            )
        }
        lines.append(
            #"{"table":"schedules","op":"insert","row":{"schedule_id":"\#(Self.id(5, 0))","clip_id":"\#(Self.id(4, 0))","status":"COMMITTED"}}"#
        )
        try daemon.feed(lines.joined(separator: "\n"))
        func plan(_ name: String, _ more: [String], _ environment: [String: String]) throws
            -> Finished
        {
            try run(
                [
                    Repository.program, "cleanup", "plan", daemon.ledger, "--config",
                    daemon.folder.path + "/config.json", "--out", daemon.folder.path + "/" + name,
                ] + more, environment: environment)
        }
        let right = ObjectStoreServer.environment
        let none = try plan("a", [], right)
        #expect(none.status == 0 && none.output.contains("0 of 1200 assets may go"), "\(none)")
        let wanted = try plan("b", spelled.flatMap { ["--asset", $0] }, right)
        #expect(
            wanted.status == 0 && wanted.output.contains("2 of 1200 assets may go"), "\(wanted)")
        let shown = try run([Repository.program, "cleanup", "show", daemon.folder.path + "/b"])
        #expect(shown.output.contains("schedules \(Self.id(5, 0)) is COMMITTED"), "\(shown)")
        #expect(shown.output.contains("a b/3.mp4"), "\(shown)")
        let wrong = try plan(
            "c", [], ["AWS_ACCESS_KEY_ID": "archive", "AWS_SECRET_ACCESS_KEY": "no"])
        #expect(wrong.status == 78 && wrong.error.contains("aws_secret_access_key"), "\(wrong)")
    }
}
