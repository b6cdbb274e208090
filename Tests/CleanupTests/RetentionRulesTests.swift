import Cleanup
import LedgerFormat
import ObjectStore
import ReadModel
import TestSupport
import Testing

/// The rules at their borders, over real rows.
struct RetentionRulesTests {
    private static let now = Timestamp(rfc3339: "2026-11-27T12:00:00Z")!

    private static func ago(days: Int, microseconds: Int64 = 0) -> Timestamp {
        Timestamp(microseconds: now.microseconds - Int64(days) * 86_400_000_000 - microseconds)
    }

    private static func id(_ number: Int) -> String {
        "00000000-0000-4000-8000-\(String(1_000_000_000_000 + number).dropFirst())"
    }

    /// What becomes of one asset of an age, with these rows beside those that its video needs.
    private static func verdict(
        _ kind: AssetInventory.AssetClass.Kind, changed: Timestamp, made: Timestamp? = nil,
        isWanted: Bool = false, isOrphan: Bool = false, rows: [String] = []
    ) throws -> RetentionRules.Verdict {
        let folder = try TemporaryFolder()
        defer { withExtendedLifetime(folder) {} }
        let name = "gs://omniva/\(kind.rawValue)/a.mp4"
        let path = kind == .raw && !isOrphan ? name : "elsewhere"
        let metadata = kind == .derived && !isOrphan ? #"{"file":"\#(name)"}"# : "{}"
        let created = (made ?? changed).description
        let writer = try ModelWriter.makeEmpty(ModelFolder(folder.path))
        let feed = try ModelFeed(writer)
        let lines =
            [
                #"{"table":"creators","op":"insert","row":{"creator_id":"\#(id(1))","platform":"p","username":"u"}}"#,
                #"{"table":"posts","op":"insert","row":{"post_id":"\#(id(2))","creator_id":"\#(id(1))","platform_post_id":"1","url":"u"}}"#,
                #"{"table":"videos","op":"insert","row":{"video_id":"\#(id(3))","post_id":"\#(id(2))","file_path":"\#(path)","checksum":"0","created_at":"\#(created)"}}"#,
                #"{"table":"clips","op":"insert","row":{"clip_id":"\#(id(4))","video_id":"\#(id(3))","start_time":0,"end_time":1,"metadata":\#(metadata)}}"#,
            ] + rows
        for (number, line) in lines.enumerated() {
            let bytes = Array(line.utf8)
            feed.take(bytes.span, line: number + 1)
        }
        for answer in feed.flush() {
            guard case .applied = answer.outcome else {
                Issue.record("\(answer.line): \(answer.outcome)")
                continue
            }
        }
        let classes: [AssetInventory.AssetClass] = try [
            (.raw, "videos.file_path"), (.derived, "clips.metadata/file"),
        ]
        .map { (kind: AssetInventory.AssetClass.Kind, column: String) in
            try AssetInventory.AssetClass(
                url: StoreURL("gs://omniva/\(kind.rawValue)"), kind: kind,
                column: AssetColumn(column)!)
        }
        var inventory = AssetInventory(classes)
        inventory.add(
            StoredAsset(key: "a.mp4", bytes: 1, tag: "t", changed: changed),
            of: kind == .raw ? 0 : 1)
        inventory.seal()
        let snapshot = try ModelReaders(ModelFolder(folder.path)).snapshot(
            until: .now + .seconds(60))
        let scan = ModelScan(snapshot.connection, endpoints: [])
        for assets in classes { _ = try scan.readOwners(of: assets.column, &inventory) }
        try scan.readMentions(&inventory)
        return RetentionRules().verdict(on: 0, of: inventory, now: now, isWanted: isWanted)
    }

    private static func finding(_ verdict: RetentionRules.Verdict) -> RetentionRules.Finding? {
        if case .goes(let finding, _) = verdict { finding } else { nil }
    }

    @Test(arguments: [
        (AssetInventory.AssetClass.Kind.raw, 90, RetentionRules.Finding.rawExpired),
        (.derived, 365, .derivedExpired),
    ])
    func `an asset goes after its last day, not on it`(
        kind: AssetInventory.AssetClass.Kind, days: Int, finding: RetentionRules.Finding
    ) throws {
        let border = Self.ago(days: days)
        #expect(try Self.finding(Self.verdict(kind, changed: border)) == nil)
        let over = Self.ago(days: days, microseconds: 1)
        #expect(try Self.finding(Self.verdict(kind, changed: over)) == finding)
        // The younger of row and file counts.
        if kind == .raw {
            #expect(try Self.finding(Self.verdict(kind, changed: over, made: border)) == nil)
            #expect(try Self.finding(Self.verdict(kind, changed: border, made: over)) == nil)
        }
    }

    @Test func `an orphan goes after seven days`() throws {
        for (microseconds, finding) in [(0, nil), (1, RetentionRules.Finding.orphan)] {
            let changed = Self.ago(days: 7, microseconds: Int64(microseconds))
            #expect(
                try Self.finding(Self.verdict(.raw, changed: changed, isOrphan: true)) == finding)
        }
    }

    @Test func `what a person names goes at once, unless it is in use`() throws {
        let young = Self.ago(days: 1)
        #expect(
            try Self.finding(Self.verdict(.derived, changed: young, isWanted: true))
                == .derivedExpired)
        // Downloads do not.
        #expect(try Self.finding(Self.verdict(.raw, changed: young, isWanted: true)) == nil)
        let promoted = try Self.verdict(
            .derived, changed: young, isWanted: true, rows: [Self.job("upload_jobs", "PUBLISHED")])
        #expect(Self.finding(promoted) == nil)
    }

    private static func job(_ table: String, _ status: String) -> String {
        let key = String(table.dropLast()) + "_id"
        return
            #"{"table":"\#(table)","op":"insert","row":{"\#(key)":"\#(id(9))","clip_id":"\#(id(4))","status":"\#(status)"\#(table == "edit_jobs" ? ",\"operations\":{}" : table == "upload_jobs" ? ",\"title\":\"t\"" : "")}}"#
    }

    @Test(arguments: ["upload_jobs", "schedules", "edit_jobs"])
    func `every status but the known ends protects`(table: String) throws {
        let ends: Set = ["FAILED", "CANCELLED", "CANCELED", "REJECTED"]
        let ofEdits: Set = ["DONE", "COMPLETED", "SUCCEEDED"]
        for status in [
            "PENDING", "SCHEDULED", "PUBLISHED", "RUNNING", "COMMITTED", "NOBODY_KNOWS", "",
            "FAILED?",
            "FAILED", "failed ", "CANCELLED", "CANCELED", "REJECTED", "DONE", "COMPLETED",
            "SUCCEEDED",
        ] {
            let known = status.uppercased().trimmingPrefix(" ").filter { $0 != " " }
            let goes =
                ends.contains(known) || (table == "edit_jobs" && ofEdits.contains(known))
            for (kind, days) in [(AssetInventory.AssetClass.Kind.raw, 91), (.derived, 366)] {
                let verdict = try Self.verdict(
                    kind, changed: Self.ago(days: days), rows: [Self.job(table, status)])
                #expect((Self.finding(verdict) != nil) == goes, "\(table) \(status) \(kind)")
            }
        }
    }

    @Test func `another member of the same column protects, and is nobody's own`() throws {
        let rows = [
            #"{"table":"clips","op":"insert","row":{"clip_id":"\#(Self.id(8))","video_id":"\#(Self.id(3))","start_time":0,"end_time":1,"metadata":{"file":"gs://omniva/derived/b.mp4","thumb":"gs://omniva/derived/a.mp4"}}}"#
        ]
        for isOrphan in [true, false] {
            let verdict = try Self.verdict(
                .derived, changed: Self.ago(days: 400), isOrphan: isOrphan, rows: rows)
            #expect(Self.finding(verdict) == nil, "\(isOrphan)")
        }
        // In a list each text is a name.
        let listed = [
            #"{"table":"clips","op":"insert","row":{"clip_id":"\#(Self.id(8))","video_id":"\#(Self.id(3))","start_time":0,"end_time":1,"metadata":{"file":["x","gs://omniva/derived/a.mp4"]}}}"#
        ]
        #expect(
            try Self.finding(
                Self.verdict(.derived, changed: Self.ago(days: 400), isOrphan: true, rows: listed))
                == .derivedExpired)
    }

    @Test(arguments: [
        #"{"table":"clips","op":"insert","row":{"clip_id":"\#(id(8))","video_id":"\#(id(3))","start_time":0,"end_time":1,"metadata":{"a":[{"b":"x GCS://Omniva/raw/A%2Emp4, y"}]}}}"#,
        #"{"table":"analysis","op":"insert","row":{"analysis_id":"\#(id(8))","video_id":"\#(id(3))","raw_ai_output":{"https://storage.googleapis.com/omniva/raw/a.mp4":1}}}"#,
        #"{"table":"analysis","op":"insert","row":{"analysis_id":"\#(id(8))","video_id":"\#(id(3))","keywords":["gs://omniva/raw/a.mp4"]}}"#,
        #"{"table":"analysis","op":"insert","row":{"analysis_id":"\#(id(8))","video_id":"\#(id(3))","transcript":"see gs://omniva/raw/a.mp4."}}"#,
    ])
    func `a name anywhere in another row protects`(row: String) throws {
        for isOrphan in [true, false] {
            let verdict = try Self.verdict(
                .raw, changed: Self.ago(days: 400), isOrphan: isOrphan, rows: [row])
            #expect(Self.finding(verdict) == nil, "\(row)")
        }
    }

    @Test func `a log protects orphans only, and a clean-up's own log nobody`() throws {
        func log(_ source: String) -> String {
            #"{"table":"logs","op":"insert","row":{"log_id":"\#(Self.id(8))","source":"\#(source)","level":"INFO","message":"deleted gs://omniva/raw/a.mp4"}}"#
        }
        let old = Self.ago(days: 400)
        #expect(
            try Self.finding(Self.verdict(.raw, changed: old, isOrphan: true, rows: [log("w")]))
                == nil)
        #expect(try Self.finding(Self.verdict(.raw, changed: old, rows: [log("w")])) == .rawExpired)
        #expect(
            try Self.finding(
                Self.verdict(.raw, changed: old, isOrphan: true, rows: [log("stardust-cleanup")]))
                == .orphan)
    }
}
