import DaemonTestSupport
import Foundation
import TestSupport
import Testing

/// Plans that are approved and carried out: real users, real files, a day between.
@Suite(.needs(CleanupAssets.needs, "a second person needs root, and a day a compiler of C"))
struct CleanupRunTests {
    @Test func `what was decided goes a day later, and the ledger says why`() throws {
        let assets = try CleanupAssets(hours: -25)
        try assets.fill(40, seed: 3)
        let plan = try assets.makePlan()
        let uris = try assets.assets(of: plan)
        #expect(uris.count > 20)
        let tooEarly = try assets.carryOut(plan)
        #expect(
            tooEarly.status == 77 && tooEarly.error.contains("nobody has approved"), "\(tooEarly)")
        let approved = try assets.approve(plan)
        #expect(approved.status == 0, "\(approved)")
        let again = try assets.approve(plan)
        #expect(
            again.status == 0 && again.output.contains("You approved this plan before"), "\(again)")
        let decided = try assets.carryOut(plan)
        #expect(decided.status == 0, "\(decided)")
        #expect(decided.output.contains("\(uris.count) to be deleted in a day"), "\(decided)")
        // Nothing goes within the day.
        let waiting = try assets.carryOut(plan)
        #expect(waiting.status == 0 && waiting.output.contains("Run it again after"), "\(waiting)")
        #expect(uris.allSatisfy(assets.isThere))

        try assets.wake()
        // One was promoted since, another is named, a third was written anew.
        let promoted = uris.first { $0.contains("/v") }!
        let number = Int(promoted.firstMatch(of: /v ([0-9]+)/)!.1)!
        let (named, changed) = (
            uris.first { $0.contains("/orphan") }!, uris.last { $0.contains("/orphan") }!
        )
        try assets.daemon.feed(
            [
                #"{"table":"clips","op":"insert","row":{"clip_id":"\#(CleanupAssets.id(6, 1))","video_id":"\#(CleanupAssets.id(3, number))","start_time":0,"end_time":1}}"#,
                #"{"table":"upload_jobs","op":"insert","row":{"upload_job_id":"\#(CleanupAssets.id(6, 2))","clip_id":"\#(CleanupAssets.id(6, 1))","title":"t","status":"SCHEDULED"}}"#,
            ].joined(separator: "\n"))
        let client = try HTTPClient(assets.daemon.socket)
        let emitted = try client.emit(
            Sample.packet(Sample.numbered(1).id, more: ",\"note\":\"\(named)\""))
        #expect(emitted.status == 201)
        try assets.file(String(changed.dropFirst("file://".count)), days: 0, bytes: 7)
        let deleted = try assets.carryOut(plan)
        #expect(deleted.status == 1 && deleted.error.contains("3 assets stay"), "\(deleted)")
        let kept = Set([promoted, named, changed])
        for uri in uris { #expect(assets.isThere(uri) == kept.contains(uri), "\(uri)") }
        let records = try assets.records()
        for uri in uris {
            let end = kept.contains(uri) ? "asset.kept" : "asset.deleted"
            #expect(records[uri] == ["asset.deletion_decided", end], "\(uri)")
        }
        let logs = try assets.logs()
        #expect(logs.count == uris.count)
        #expect(logs.count { $0.hasPrefix("kept ") } == 3)

        // Why is this file gone?
        let gone = uris.first { $0.contains("/v") && !kept.contains($0) }!
        let chain = try run([
            Repository.program, "chain", "x_assets", gone, "--format", "text", "--socket",
            assets.daemon.socket,
        ])
        #expect(chain.status == 0, "\(chain)")
        for words in [
            "asset.deleted", "asset.deletion_decided", "cleanup.approved", "cleanup.planned",
            "raw_expired", "days old; the rule is 90", "approved by user \(CleanupAssets.approver)",
        ] { #expect(chain.output.contains(words), "\(words): \(chain.output)") }
        let history = try run([
            Repository.program, "history", "x_assets", gone, "--socket", assets.daemon.socket,
            "--json",
        ])
        #expect(history.output.split(separator: "\n").count == 2, "\(history)")

        // Once more: nothing is left to do. The next plan does not know of the kept ones by their logs.
        let nothing = try assets.carryOut(plan)
        #expect(
            nothing.status == 0 && nothing.output.contains("of the plan are done"), "\(nothing)")
        #expect(try assets.logs() == logs)
        #expect(try Set(assets.assets(of: assets.makePlan())).isDisjoint(with: uris))
        #expect(try assets.daemon.verify().status == 0)
    }

    @Test func `nobody of all these needs to be root`() throws {
        let assets = try CleanupAssets(hours: -25, owner: 64_014)
        try assets.fill(12, seed: 8)
        #expect(try run(["chown", "-R", "64014", assets.raw, assets.derived]).status == 0)
        let plan = try assets.makePlan()
        #expect(try assets.approve(plan).status == 0)
        let decided = try assets.carryOut(plan)
        #expect(decided.status == 0, "\(decided)")
        try assets.wake()
        let deleted = try assets.carryOut(plan)
        let uris = try assets.assets(of: plan)
        #expect(
            deleted.status == 0 && deleted.output.contains("\(uris.count) deleted"), "\(deleted)")
        #expect(!uris.contains(where: assets.isThere))
    }

    @Test func `only another person, who is named, approves what the ledger knows`() throws {
        let assets = try CleanupAssets()
        try assets.fill(10, seed: 5)
        let plan = try assets.makePlan()
        let own = try assets.command(["approve", plan, "--socket", assets.daemon.socket])
        #expect(own.status == 77 && own.error.contains("another person"), "\(own)")
        // A packet that somebody wrote by hand is judged alike.
        let strangers = try assets.approve(plan, user: 64_012)
        #expect(strangers.status == 0, "\(strangers)")
        let refused = try assets.carryOut(plan)
        #expect(
            refused.status == 77
                && refused.error.contains("user 64012 approved the plan, but is not"),
            "\(refused)")
        let grouped = try assets.approve(plan, user: 64_013, group: 4711)
        #expect(grouped.status == 0, "\(grouped)")
        let run = try assets.carryOut(plan)
        #expect(run.status == 0 && run.output.contains("to be deleted in a day"), "\(run)")
        // Withdrawn by whoever saw it.
        // Somebody took the id that a withdrawal usually has; it comes under another.
        let withdrawn = try assets.approve(plan, user: 64_012, "--withdraw")
        #expect(withdrawn.status == 0, "\(withdrawn)")
        let stopped = try assets.carryOut(plan)
        #expect(stopped.status == 65 && stopped.error.contains("user 64012 withdrew"), "\(stopped)")
        let late = try assets.approve(plan)
        #expect(late.status == 65 && late.error.contains("withdrew"), "\(late)")
    }

    @Test func `a plan that was edited, is of another ledger or too old is refused`() throws {
        let assets = try CleanupAssets(hours: -8 * 24)
        try assets.fill(10, seed: 6)
        let plan = try assets.makePlan()
        #expect(try assets.approve(plan).status == 0)
        let content = try String(contentsOfFile: plan, encoding: .utf8)
        let edited = try assets.folder.file(
            "edited", Array(content.replacing("\"days_over\":", with: "\"days_over\":1").utf8))
        for command in [try assets.carryOut(edited), try assets.approve(edited)] {
            #expect(command.status == 65 && command.error.contains("was changed"), "\(command)")
        }
        let cut = try assets.folder.file(
            "cut", Array(content.split(separator: "\n").dropLast().joined(separator: "\n").utf8))
        let short = try assets.carryOut(cut)
        #expect(short.status == 65 && short.error.contains("assets, but"), "\(short)")
        let other = try CleanupAssets()
        try other.fill(2, seed: 1)
        let foreign = try other.carryOut(plan)
        #expect(foreign.status == 65 && foreign.error.contains("is of ledger"), "\(foreign)")
        let elsewhere = try other.approve(plan)
        #expect(elsewhere.status == 65, "\(elsewhere)")
        try assets.wake()
        for old in [try assets.carryOut(plan), try assets.approve(plan)] {
            #expect(old.status == 65 && old.error.contains("good until"), "\(old)")
        }
        #expect(try assets.records().isEmpty)
    }

    @Test func `old, lagging, replaced and missing rows end the run`() throws {
        let assets = try CleanupAssets()
        try assets.fill(10, seed: 7)
        let set = try run([
            "sqlite3", assets.daemon.ledger + "/model.sqlite", "UPDATE model_state SET lsn = 100",
        ])
        #expect(set.status == 0, "\(set)")
        let plan = try assets.makePlan()
        #expect(try assets.approve(plan).status == 0)
        func refuses(_ words: String, _ change: String) throws {
            let model = assets.daemon.ledger + "/model.sqlite"
            if !change.isEmpty { #expect(try run(["sqlite3", model, change]).status == 0) }
            let ended = try assets.command([
                "run", plan, "--ledger", assets.daemon.ledger, "--config", assets.config,
                "--socket", assets.daemon.socket,
            ])
            #expect(ended.status == 65 && ended.error.contains(words), "\(change): \(ended)")
        }
        let state = "UPDATE model_state SET "
        try refuses("empty transaction", state + "updated_at = '2026-01-01T00:00:00Z'")
        let now = Date().formatted(.iso8601)
        try refuses(
            "the rows are as of 2026-01-01",
            state + "updated_at = '\(now)', behind_since = '2026-01-01T00:00:00Z'")
        try refuses("needs_resync", state + "behind_since = NULL, phase = 'needs_resync'")
        try refuses("behind the plan's", state + "phase = 'live', lsn = 99")
        // Another copy takes its place.
        #expect(assets.daemon.stop() == 0)
        let folder = assets.daemon.ledger
        let target = try FileManager.default.destinationOfSymbolicLink(
            atPath: folder + "/model.sqlite")
        try FileManager.default.copyItem(
            atPath: "\(folder)/\(target)", toPath: "\(folder)/model-99.sqlite")
        #expect(try run(["ln", "-sfn", "model-99.sqlite", folder + "/model.sqlite"]).status == 0)
        try assets.daemon.start()
        try refuses("was replaced", "")
        #expect(try assets.records().isEmpty)
    }
}
