import DaemonTestSupport
import Foundation
import PipelineWorkload
import TestSupport
import Testing

/// A daemon with rows, and folders of their assets.
final class CleanupAssets: @unchecked Sendable {
    // Unchecked: only the beat of the feed has a thread of its own.
    let folder: TemporaryFolder
    let daemon: Daemon
    var raw: String { folder.path + "/raw" }
    var derived: String { folder.path + "/derived" }

    static let approver = 64_011
    static let needs =
        Repository.isRoot && Repository.has("setpriv") && OtherTime.isThere

    /// What makes the commands of another day; empty for today.
    var day: [String] = []
    /// What runs the commands, such as strace.
    var wrapper: [String] = []
    var environment: [String: String] = [:]

    /// What makes the daemon's user of whoever plans and runs; empty for root.
    private let owner: [String]

    /// `assets` are their places, or nil for two folders; `more` is more of the configuration.
    init(_ assets: String? = nil, more: String = "", hours: Int? = nil, owner: Int? = nil) throws {
        folder = try TemporaryFolder()
        chmod(folder.path, 0o711)
        for name in ["raw", "derived"] {
            try FileManager.default.createDirectory(
                atPath: folder.path + "/" + name, withIntermediateDirectories: false)
        }
        let assets =
            assets ?? """
                {"url": "file://\(folder.path)/raw", "class": "raw", "column": "videos.file_path"},
                {"url": "file://\(folder.path)/derived", "class": "derived",
                 "column": "clips.metadata/file"}
                """
        day = hours.map { OtherTime.command($0 * 3600) } ?? []
        self.owner =
            owner.map { ["setpriv", "--reuid=\($0)", "--regid=\($0)", "--clear-groups"] } ?? []
        daemon = try Daemon(
            configuration: """
                {"cleanup": {"assets": [\(assets)],
                   "approvers": [{"user": \(Self.approver)}, {"group": 4711}]},
                 "access": [{"user": \(Self.approver), "roles": ["append", "read"]},
                            {"group": 4711, "roles": ["append", "read"]},
                            {"user": 64012, "roles": ["append", "read"]}]\(more)}
                """, wrapper: self.owner + self.day, starts: owner == nil)
        if let owner {
            try daemon.program = program()
            chmod(daemon.folder.path, 0o777)
            chmod(config, 0o644)
            for path in [daemon.ledger, folder.path] {
                let given = try run(["chown", "-R", "\(owner):\(owner)", path])
                guard given.status == 0 else { throw Failure("\(given)") }
            }
            chmod(daemon.folder.path, 0o755)
            let own = try run(["chown", "\(owner)", daemon.folder.path])
            guard own.status == 0 else { throw Failure("\(own)") }
            try daemon.start()
        }
        chmod(daemon.folder.path, 0o755)
        chmod(daemon.socket, 0o666)
    }

    // MARK: Commands

    var config: String { daemon.folder.path + "/config.json" }

    func command(_ arguments: [String]) throws -> Finished {
        try TestSupport.run(
            wrapper + owner + day + [daemon.program, "cleanup"] + arguments,
            environment: environment)
    }

    /// A plan of everything that may go; returns its file.
    func makePlan() throws -> String {
        let out = folder.path + "/plan-\(UUID())"
        let made = try command([
            "plan", daemon.ledger, "--config", config, "--socket", daemon.socket, "--out", out,
            "--allow-large",
        ])
        guard made.status == 0 else { throw Failure("\(made)") }
        return out
    }

    private func program() throws -> String {
        let program = folder.path + "/stardust"
        if !FileManager.default.fileExists(atPath: program) {
            try FileManager.default.copyItem(atPath: Repository.program, toPath: program)
        }
        return program
    }

    /// Acts as another user, who may neither read the ledger nor the settings.
    func approve(
        _ plan: String, user: Int = approver, group: Int? = nil, _ more: String...
    ) throws -> Finished {
        let program = try program()
        chmod(plan, 0o644)
        return try TestSupport.run(
            ["setpriv", "--reuid=\(user)", "--regid=\(group ?? user)", "--clear-groups"] + day + [
                program, "cleanup", "approve", plan, "--socket", daemon.socket,
            ] + more)
    }

    /// Runs a plan, while the feed says now and then that nothing else changed.
    func carryOut(_ plan: String, _ more: String...) throws -> Finished {
        try beat()
        let isOver = DispatchSemaphore(value: 0)
        let beating = DispatchQueue(label: "beat")
        beating.async { [self] in
            while isOver.wait(timeout: .now() + 10) == .timedOut { try? beat() }
        }
        defer {
            isOver.signal()
            beating.sync {}
        }
        return try command(
            [
                "run", plan, "--ledger", daemon.ledger, "--config", config, "--socket",
                daemon.socket,
            ] + more)
    }

    /// The feed says that nothing has changed.
    func beat() throws {
        let id = Self.id(9, 9)
        try daemon.feed(
            #"{"table":"creators","op":"insert","row":{"creator_id":"\#(id)","platform":"p","username":"beat"},"committed_at":"2026-01-01T00:00:00Z"}"#
        )
    }

    /// The daemon and all commands go on so many hours after today.
    func wake(hours: Int = 0) throws {
        guard daemon.stop() == 0 else { throw Failure(daemon.log) }
        day = OtherTime.command(hours * 3600)
        daemon.wrapper = owner + day
        try daemon.start()
        chmod(daemon.socket, 0o666)
    }

    /// Waits until the read model has heard of its source.
    func waitForRows() throws {
        let deadline = Date() + 60
        while Date() < deadline {
            let state = try? daemon.sqlite(
                "SELECT count(*) FROM model_state WHERE phase = 'live' AND behind_since IS NULL")
            if state == "1" { return }
            usleep(50_000)
        }
        throw Failure("the read model does not become live: \(daemon.log)")
    }

    /// URIs of a plan's assets.
    func assets(of plan: String) throws -> [String] {
        try String(contentsOfFile: plan, encoding: .utf8).split(separator: "\n").dropFirst().map {
            let item = try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]
            return item?["uri"] as? String ?? ""
        }
    }

    /// Events of all packets about assets, by URI, in order.
    func records() throws -> [String: [String]] {
        let found = try TestSupport.run([
            Repository.program, "find", "--entity-type", "x_assets", "--socket", daemon.socket,
            "--json",
        ])
        guard found.status == 0 else { throw Failure("\(found)") }
        var events: [String: [String]] = [:]
        for line in found.output.split(separator: "\n") {
            let listed = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
            let lineage = (listed?["packet"] as? [String: Any])?["lineage"] as? [String: Any]
            let context = lineage?["decision_context"] as? [String: Any]
            events[context?["uri"] as? String ?? "?", default: []].append(
                lineage?["event"] as? String ?? "?")
        }
        return events
    }

    /// Log rows of clean-ups.
    func logs() throws -> [String] {
        try daemon.sqlite("SELECT message FROM logs WHERE source = 'stardust-cleanup' ORDER BY 1")
            .split(separator: "\n").map(String.init)
    }

    func client() throws -> HTTPClient { try HTTPClient(daemon.socket) }

    func isThere(_ uri: String) -> Bool {
        FileManager.default.fileExists(atPath: String(uri.dropFirst("file://".count)))
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
                Repository.program, "cleanup", "plan", daemon.ledger, "--config", config,
                "--socket", daemon.socket, "--out",
                out ?? folder.path + "/plan-\(UUID())",
            ] + more)
    }

    /// Findings and paths of a plan, in order.
    func planned(_ more: String...) throws -> [String] {
        let out = folder.path + "/plan-\(UUID())"
        let result = try run(
            [
                Repository.program, "cleanup", "plan", daemon.ledger, "--config", config,
                "--socket", daemon.socket, "--allow-large", "--out", out,
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

    static func id(_ kind: Int, _ number: Int) -> String {
        "0000000\(kind)-0000-4000-8000-\(String(format: "%012d", number))"
    }

    static func time(daysAgo days: Double) -> String {
        ISO8601DateFormatter().string(from: Date(timeIntervalSinceNow: -days * 86_400))
    }

    /// Rows of videos and their clips, and the files of both, of every age and status.
    func fill(_ count: Int, seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let statuses = [
            "PENDING", "FAILED", "CANCELLED", "REJECTED", "PUBLISHED", "DONE", "RUNNING", "failed ",
            "NOBODY_KNOWS",
        ]
        var lines = [
            #"{"table":"creators","op":"insert","row":{"creator_id":"\#(Self.id(1, 0))","platform":"p","username":"u"}}"#,
            #"{"table":"posts","op":"insert","row":{"post_id":"\#(Self.id(2, 0))","creator_id":"\#(Self.id(1, 0))","platform_post_id":"1","url":"https://x.example/1"}}"#,
        ]
        for number in 0..<count {
            let age = Double.random(in: 0...200, using: &generator)
            let path = "\(raw)/v \(number).mp4"
            let spelled = [
                path, "file://" + path, "file://localhost" + path.replacing(" ", with: "%20"),
            ]
            .randomElement(using: &generator)!
            lines.append(
                #"{"table":"videos","op":"insert","row":{"video_id":"\#(Self.id(3, number))","post_id":"\#(Self.id(2, 0))","file_path":"\#(spelled)","checksum":"\#(number)","created_at":"\#(Self.time(daysAgo: Double.random(in: 0...200, using: &generator)))"}}"#
            )
            try file(path, days: age, bytes: 100 + number)
            try file(
                "\(raw)/orphan\(number)", days: Double.random(in: 0...20, using: &generator))
            guard Bool.random(using: &generator) else { continue }
            let made = "\(derived)/c\(number).mp4"
            try file(made, days: Double.random(in: 0...800, using: &generator))
            lines.append(
                #"{"table":"clips","op":"insert","row":{"clip_id":"\#(Self.id(4, number))","video_id":"\#(Self.id(3, number))","start_time":0,"end_time":1,"metadata":{"file":"file:\/\/\#(made)"}}}"#
            )
            let job = ["upload_jobs", "schedules", "edit_jobs"].randomElement(using: &generator)!
            let key = [
                "upload_jobs": "upload_job_id", "schedules": "schedule_id",
                "edit_jobs": "edit_job_id",
            ][job]!
            let more =
                job == "edit_jobs"
                ? #","operations":{"in":"\#(Int.random(in: 0..<6, using: &generator) == 0 ? "\(raw)/orphan\(number)" : "")"}"#
                : ""
            lines.append(
                #"{"table":"\#(job)","op":"insert","row":{"\#(key)":"\#(Self.id(5, number))","clip_id":"\#(Self.id(4, number))","status":"\#(statuses.randomElement(using: &generator)!)"\#(more)}}"#
            )
        }
        for answer in try daemon.feed(lines.joined(separator: "\n")) {
            #expect(answer["error"] == nil && answer["problem"] == nil, "\(answer)")
        }
        // Some orphans are named after all: in a packet's evidence, or in a log.
        let client = try HTTPClient(daemon.socket)
        for number in stride(from: 0, to: count, by: 7) {
            let uri = "FILE://\(raw)/Orphan\(number)"
            let emitted = try client.emit(
                Sample.packet(Sample.numbered(number).id, more: ",\"note\":\"read \(uri), twice\""))
            #expect(emitted.status == 201)
        }
    }
}
