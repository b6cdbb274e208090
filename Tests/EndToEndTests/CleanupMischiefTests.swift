import DaemonTestSupport
import Foundation
import TestSupport
import Testing

/// Clean-ups that somebody, or chance, works against.
@Suite(.needs(CleanupAssets.needs, "a second person needs root, and a day a compiler of C"))
struct CleanupMischiefTests {
    /// A plan over ten videos and orphans that was approved, decided and is a day old.
    private static func decided(
        _ count: Int = 10, decides: Bool = true
    ) throws -> (CleanupAssets, plan: String, uris: [String]) {
        let assets = try CleanupAssets(hours: -25)
        try assets.fill(count, seed: 11)
        let plan = try assets.makePlan()
        #expect(try assets.approve(plan).status == 0)
        if decides { #expect(try assets.carryOut(plan).status == 0) }
        try assets.wake()
        return (assets, plan, try assets.assets(of: plan))
    }

    private static func items(_ plan: String) throws -> [[String: Any]] {
        try String(contentsOfFile: plan, encoding: .utf8).split(separator: "\n").dropFirst().map {
            try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any] ?? [:]
        }
    }

    private static func path(_ uri: String) -> String { String(uri.dropFirst("file://".count)) }

    // MARK: Settings

    @Test func `places that cannot be right are refused`() throws {
        let assets = try CleanupAssets()
        try assets.fill(10, seed: 2)
        let link = assets.folder.path + "/link"
        try FileManager.default.createSymbolicLink(
            atPath: link, withDestinationPath: assets.raw)
        func plan(_ places: String) throws -> Finished {
            let config = try assets.folder.file(
                "c-\(UUID()).json", Array("{\"cleanup\": {\"assets\": [\(places)]}}".utf8))
            return try run([
                Repository.program, "cleanup", "plan", assets.daemon.ledger, "--config", config,
                "--socket", assets.daemon.socket, "--allow-large", "--out",
                assets.folder.path + "/never",
            ])
        }
        func place(_ path: String, _ column: String = "videos.file_path") -> String {
            "{\"url\": \"file://\(path)\", \"class\": \"raw\", \"column\": \"\(column)\"}"
        }
        for (places, status, words) in [
            (place(assets.daemon.ledger), 78, "overlap"),
            (place(assets.daemon.folder.path), 78, "overlap"),
            (place(assets.daemon.ledger + "/segments"), 78, "overlap"),
            (place(assets.folder.path), 78, "overlap"),
            (place(assets.raw) + ", " + place(assets.raw), 78, "judged twice"),
            (place(assets.raw) + ", " + place(assets.raw + "/deep"), 78, "judged twice"),
            (place(assets.raw, "videos.nosuch"), 78, "have no column nosuch"),
            (place(assets.raw, "videos.resolution"), 65, "correct url or column"),
            (place(link), 65, "correct url or column"),
            (place(assets.derived), 65, "correct url or column"),
        ] {
            let result = try plan(places)
            #expect(result.status == status && result.error.contains(words), "\(places): \(result)")
        }
        // A copy of a segment, without its ledger.
        try assets.file(assets.raw + "/00000000000000000000.seg", days: 1)
        let segment = try plan(place(assets.raw))
        #expect(segment.status == 65 && segment.error.contains("part of a ledger"), "\(segment)")
    }

    @Test func `settings that changed since the plan end the run`() throws {
        let (assets, plan, uris) = try Self.decided()
        let text = try String(contentsOfFile: assets.config, encoding: .utf8)
        try text.replacing("\"approvers\":", with: "\"days\": {\"raw\": 89}, \"approvers\":")
            .write(toFile: assets.config, atomically: false, encoding: .utf8)
        let changed = try assets.carryOut(plan)
        #expect(
            changed.status == 65 && changed.error.contains("cleanup.days changed"), "\(changed)")
        #expect(uris.allSatisfy(assets.isThere))
    }

    // MARK: Forged packets and plans

    @Test func `records that another user emitted are not a run's own`() throws {
        let (assets, plan, uris) = try Self.decided(decides: false)
        let item = try Self.items(plan)[0]
        let records = item["records"] as? [String: String] ?? [:]
        let planned = try #require(
            try assets.client().get("/v1/packets?lineage=%7B%22event%22%3A%22cleanup.planned%22%7D")
                .json["packets"] as? [[String: Any]])[0]
        let lineage = (planned["packet"] as? [String: Any])?["lineage"] as? [String: Any] ?? [:]
        let digest = (lineage["decision_context"] as? [String: Any])?["plan"] as? String ?? ""
        let chain = try assets.command(["show", plan, "--socket", assets.daemon.socket])
        #expect(chain.output.contains(digest))
        let packet = """
            {"stardust_id":"\(records["decision"] ?? "")","entity_type":"x_assets",
             "entity_id":"\(Sample.id)","lineage":{"trace_id":"\(lineage["trace_id"] ?? "")",
             "event":"asset.deletion_decided","_meta_parents":[],
             "decision_context":{"plan":"\(digest)","uri":"\(uris[0])"}}}
            """
        let forged = try run(
            [
                "setpriv", "--reuid=64012", "--regid=64012", "--clear-groups", "curl", "-s", "-w",
                "%{http_code}", "--unix-socket", assets.daemon.socket, "-d", "@-",
                "http://x/v1/packets",
            ], input: Array(packet.utf8))
        #expect(forged.output.hasSuffix("201"), "\(forged)")
        let ended = try assets.carryOut(plan)
        #expect(ended.status == 65 && ended.error.contains("somebody took it"), "\(ended)")
        #expect(uris.allSatisfy(assets.isThere))
    }

    @Test func `a withdrawal whose usual id somebody took comes under another`() throws {
        let (assets, plan, _) = try Self.decided()
        let digest = try run(["sha256sum", plan]).output.prefix(64)
        let name = "cleanup.withdrawn\nsha256:\(digest)\n\(CleanupAssets.approver)"
        let hash = try run(["sha256sum"], input: Array(name.utf8)).output
        let id = Self.shaped(String(hash.prefix(32)))
        #expect(try assets.client().emit(Sample.packet(id)).status == 201)
        let withdrawn = try assets.approve(plan, "--withdraw")
        #expect(withdrawn.status == 0 && withdrawn.output.contains("Withdrawn"), "\(withdrawn)")
        let ended = try assets.carryOut(plan)
        #expect(ended.status == 65 && ended.error.contains("withdrew the plan"), "\(ended)")
    }

    @Test func `what a plan claims of an asset is not believed`() throws {
        let assets = try CleanupAssets(hours: -25)
        try assets.fill(10, seed: 12)
        let plan = try assets.makePlan()
        // A young file, and one that a packet names, described like old ones.
        try assets.file(assets.raw + "/young", days: 0)
        try assets.file(assets.raw + "/told", days: 30)
        let emitted = try assets.client().emit(
            Sample.packet(Sample.id, more: ",\"note\":\"see raw/told.\""))
        #expect(emitted.status == 201)
        var lines = try String(contentsOfFile: plan, encoding: .utf8).split(separator: "\n").map(
            String.init)
        let line = try #require(lines.first { $0.contains("\"finding\":\"orphan\"") })
        let (old, records) = (try #require(line.firstMatch(of: /"uri":"([^"]*)"/)), /"records":.*/)
        for name in ["young", "told"] {
            let ids = (0..<3).map { _ in UUID().uuidString.lowercased() }
            let status = try FileManager.default.attributesOfItem(atPath: assets.raw + "/" + name)
            let tag = try run([
                "stat", "-c", "%i-%s-%.9Y", assets.raw + "/" + name,
            ]).output.trimmingCharacters(in: .newlines)
            let parts = tag.split(separator: ".")
            let exact = "\(parts[0]).\(Int(parts[1]) ?? 0)"
            #expect(status[.size] as? Int == 100)
            lines.append(
                line.replacing(String(old.1), with: "file://\(assets.raw)/\(name)")
                    .replacing(/"tag":"[^"]*"/, with: "\"tag\":\"\(exact)\"")
                    .replacing(
                        records,
                        with:
                            "\"records\":{\"decision\":\"\(ids[0])\",\"deletion\":\"\(ids[1])\",\"log\":\"\(ids[2])\"}}"
                    ))
        }
        lines[0] = lines[0].replacing(/"assets":[0-9]+/, with: "\"assets\":\(lines.count - 1)")
        let forged = try assets.folder.file(
            "forged", Array((lines.joined(separator: "\n") + "\n").utf8))
        let digest = try run(["sha256sum", forged]).output.prefix(64)
        // Whoever may append can say that there is such a plan.
        let trace = Self.shaped(String(digest.prefix(32)))
        let said = try assets.client().emit(
            Array(
                """
                {"stardust_id":"\(Sample.numbered(77).id)","entity_type":"x_cleanups","entity_id":"\(trace)",
                 "lineage":{"trace_id":"\(trace)","event":"cleanup.planned","_meta_parents":[],
                 "decision_context":{"plan":"sha256:\(digest)"}}}
                """.utf8))
        #expect(said.status == 201, "\(said.text)")
        #expect(try assets.approve(forged).status == 0)
        let decided = try assets.carryOut(forged)
        #expect(decided.status == 1, "\(decided)")
        #expect(decided.output.contains("raw/young  9 days until it is an orphan"), "\(decided)")
        #expect(decided.output.contains("raw/told  the packet at position"), "\(decided)")
    }

    private static func shaped(_ digits: String) -> String {
        var hex = Array(digits)
        (hex[12], hex[16]) = ("4", ["8", "9", "a", "b"][Int(String(hex[16]), radix: 16)! & 3])
        return [hex[0..<8], hex[8..<12], hex[12..<16], hex[16..<20], hex[20..<32]]
            .map { String($0) }.joined(separator: "-")
    }

    @Test func `no asset and no id stands in a plan twice`() throws {
        let assets = try CleanupAssets()
        try assets.fill(10, seed: 13)
        let plan = try assets.makePlan()
        let lines = try String(contentsOfFile: plan, encoding: .utf8).split(separator: "\n").map(
            String.init)
        let ids = lines[1].firstMatch(of: /"records":.*/)!.0
        for wrong in [
            lines + [lines[1]],
            Array(lines.dropLast()) + [lines.last!.replacing(/"records":.*/, with: ids)],
        ] {
            var text = wrong
            text[0] = text[0].replacing(/"assets":[0-9]+/, with: "\"assets\":\(wrong.count - 1)")
            let file = try assets.folder.file("twice", Array(text.joined(separator: "\n").utf8))
            let refused = try assets.command(["show", file])
            #expect(refused.status == 65 && refused.error.contains("twice"), "\(refused)")
        }
    }

    // MARK: Chance

    @Test func `a file whose deletion was cut short comes back, whatever took its name`() throws {
        let (assets, plan, uris) = try Self.decided()
        let items = try Self.items(plan).prefix(2).map { item in
            (
                Self.path(item["uri"] as? String ?? ""),
                (item["records"] as? [String: String])?["deletion"] ?? ""
            )
        }
        for (path, id) in items {
            let url = URL(fileURLWithPath: path)
            let hidden =
                url.deletingLastPathComponent().path + "/.deleting-\(id)-"
                + url.lastPathComponent
            try FileManager.default.moveItem(atPath: path, toPath: hidden)
        }
        let told = try assets.command([
            "plan", assets.daemon.ledger, "--config", assets.config, "--socket",
            assets.daemon.socket, "--out", assets.folder.path + "/other", "--allow-large",
        ])
        #expect(told.error.contains("hidden by a deletion that was cut short"), "\(told)")
        try assets.file(items[0].0, days: 0, bytes: 3)
        #expect(try assets.approve(plan, "--withdraw").status == 0)
        let ended = try assets.carryOut(plan)
        #expect(ended.status == 65 && ended.error.contains("withdrew"), "\(ended)")
        #expect(uris.allSatisfy(assets.isThere))
        let kept = items[0].0 + ".kept-" + items[0].1.prefix(8)
        #expect(FileManager.default.fileExists(atPath: kept))
        #expect(try assets.records().values.allSatisfy { $0 == ["asset.deletion_decided"] })
    }

    @Test func `a deletion that was cut short is finished by the next run`() throws {
        let (assets, plan, uris) = try Self.decided()
        for item in try Self.items(plan).prefix(2) {
            let path = Self.path(item["uri"] as? String ?? "")
            let id = (item["records"] as? [String: String])?["deletion"] ?? ""
            let url = URL(fileURLWithPath: path)
            try FileManager.default.moveItem(
                atPath: path,
                toPath: url.deletingLastPathComponent().path + "/.deleting-\(id)-"
                    + url.lastPathComponent)
        }
        let ended = try assets.carryOut(plan)
        #expect(ended.status == 0 && ended.output.contains("\(uris.count) deleted"), "\(ended)")
        #expect(!ended.output.contains("gone"), "\(ended)")
        for folder in [assets.raw, assets.derived] {
            let left = try FileManager.default.contentsOfDirectory(atPath: folder)
            #expect(left.allSatisfy { !$0.hasPrefix(".") }, "\(left)")
        }
        #expect(
            try assets.records().values.allSatisfy {
                $0 == ["asset.deletion_decided", "asset.deleted"]
            })
    }

    @Test func `a packet that is no withdrawal hides none`() throws {
        let (assets, plan, uris) = try Self.decided()
        let digest = try run(["sha256sum", plan]).output.prefix(32)
        let trace = Self.shaped(String(digest))
        let said = try assets.client().emit(
            Array(
                """
                {"stardust_id":"\(Sample.numbered(78).id)","entity_type":"x_cleanups","entity_id":"\(trace)",
                 "lineage":{"trace_id":"\(trace)","event":"cleanup.withdrawn","_meta_parents":[]}}
                """.utf8))
        #expect(said.status == 201, "\(said.text)")
        let ended = try assets.carryOut(plan)
        #expect(ended.status == 65 && ended.error.contains("withdrawn"), "\(ended)")
        #expect(uris.allSatisfy(assets.isThere))
    }

    @Test func `a place without anything is not one whose assets are gone`() throws {
        let (assets, plan, _) = try Self.decided()
        try FileManager.default.moveItem(atPath: assets.raw, toPath: assets.raw + "-away")
        try FileManager.default.createDirectory(
            atPath: assets.raw, withIntermediateDirectories: false)
        let ended = try assets.carryOut(plan)
        #expect(ended.status == 69 && ended.error.contains("is the disk mounted"), "\(ended)")
        #expect(try assets.records().values.allSatisfy { $0 == ["asset.deletion_decided"] })
    }

    @Test func `another plan leaves alone what was decided, and one run excludes another`() throws {
        let (assets, plan, uris) = try Self.decided()
        let other = try assets.command([
            "plan", assets.daemon.ledger, "--config", assets.config, "--socket",
            assets.daemon.socket, "--out", assets.folder.path + "/other",
        ])
        #expect(other.status == 0 || other.output.contains("None of"), "\(other)")
        if FileManager.default.fileExists(atPath: assets.folder.path + "/other") {
            let second = try assets.assets(of: assets.folder.path + "/other")
            #expect(Set(second).isDisjoint(with: uris))
        }
        let held = try run([
            "flock", "-x", assets.daemon.ledger + "/identity", Repository.program, "cleanup", "run",
            plan, "--ledger", assets.daemon.ledger, "--config", assets.config, "--socket",
            assets.daemon.socket,
        ])
        #expect(held.status == 75 && held.error.contains("another clean-up runs"), "\(held)")
    }

    @Test func `a thousand go in an hour, and the rest waits`() throws {
        let assets = try CleanupAssets(hours: -25)
        try assets.fill(4, seed: 14)
        for number in 0..<1005 {
            try assets.file("\(assets.raw)/old \(number)", days: 40, bytes: 1)
        }
        let plan = try assets.makePlan()
        let count = try assets.assets(of: plan).count
        #expect(count >= 1005)
        #expect(try assets.approve(plan).status == 0)
        #expect(try assets.carryOut(plan).status == 0)
        try assets.wake()
        // Others' records do not hold it up.
        let first = try assets.carryOut(plan, "--json")
        let last = first.output.split(separator: "\n").last ?? ""
        #expect(
            first.status == 0 && last.contains("\"deleted\":1000")
                && last.contains("\"left\":\(count - 1000)"), "\(last) \(first.error)")
        let second = try assets.carryOut(plan)
        #expect(
            second.status == 0 && second.output.contains("at most 1,000 go in an hour"), "\(second)"
        )
        try assets.wake(hours: 1)
        let third = try assets.carryOut(plan)
        #expect(third.status == 0 && third.output.contains("\(count - 1000) deleted"), "\(third)")
        #expect(try assets.logs().count == count)
    }
}
