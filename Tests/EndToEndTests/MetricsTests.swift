import DaemonTestSupport
import Foundation
import TestSupport
import Testing

/// Metrics, alerts and the dashboard, with the programs that read them.
@Suite(.needs(Repository.has("promtool"), "Prometheus is not installed"))
struct MetricsTests {
    private static let rules = Repository.root + "/Packaging/prometheus/stardust.rules.yml"

    /// Names of metrics in an expression, without what histograms add.
    private static func names(_ text: String) -> Set<String> {
        Set(
            text.matches(of: /stardust_[a-z_]+/).map { match in
                var name = String(match.output)
                for end in ["_bucket", "_sum", "_count"] where name.hasSuffix("_seconds" + end) {
                    name = String(name.dropLast(end.count))
                }
                return name
            })
    }

    @Test func `names and units are as they should be`() throws {
        let daemon = try Daemon()
        try daemon.emit(0..<10)
        let page = try HTTPClient(daemon.socket).get("/metrics").body
        let checked = try run(["promtool", "check", "metrics"], input: page)
        #expect(checked.status == 0 && checked.error == "", "\(checked.error)\(checked.output)")
        // What alerts and the dashboard look at is there, or the archive process has it.
        let found = Self.names(String(decoding: page, as: UTF8.self))
        let old: Set = [
            "stardust_commit_microseconds_total", "stardust_model_lag_milliseconds",
            "stardust_budget_total",
        ]
        let archive: Set = ["stardust_archive_lag_seconds", "stardust_drill_age_seconds"]
        for path in [Self.rules, Repository.root + "/Packaging/grafana/stardust.json"] {
            let text = try String(contentsOfFile: path, encoding: .utf8)
            let lacking = Self.names(text).subtracting(found).subtracting(archive)
                .subtracting(old).subtracting(["stardust_old_names"])
            #expect(lacking.isEmpty, "\(path): \(lacking)")
        }
        #expect(try daemon.number("commit_seconds_count") >= 1)
        #expect(try daemon.number(#"ready{reason="index"}"#) == 1)
        let deadline = Date() + 60
        while try daemon.number("disk_free_bytes") == 0, Date() < deadline { usleep(20_000) }
        #expect(try daemon.number("disk_free_bytes") > 0)
    }

    @Test func `each alert fires when it should, and is silent when it should not`() throws {
        let folder = try TemporaryFolder()
        defer { withExtendedLifetime(folder) {} }
        let checked = try run(["promtool", "check", "rules", Self.rules])
        #expect(checked.status == 0, "\(checked)")
        let tests = Repository.root + "/Tests/EndToEndTests/stardust.rules.test.yml"
        for path in [Self.rules, tests] {
            let content = try Data(contentsOf: URL(fileURLWithPath: path))
            _ = try folder.file((path as NSString).lastPathComponent, Array(content))
        }
        let tested = try run(
            ["promtool", "test", "rules", folder.path + "/stardust.rules.test.yml"])
        #expect(tested.status == 0, "\(tested.output)\(tested.error)")
        // Each alert has a test of both kinds, and a heading that says what to do.
        let rules = try String(contentsOfFile: Self.rules, encoding: .utf8)
        let text = try String(contentsOfFile: tests, encoding: .utf8)
        let page = try Repository.text("Docs/Operating.md")
        let alerts = rules.matches(of: /alert: (\w+)/).map { String($0.1) }
        #expect(alerts.count == 17)
        for alert in alerts {
            #expect(text.contains("name: \(alert) fires\n"))
            #expect(text.contains("name: \(alert) stays silent\n"))
            #expect(page.contains("\n### \(alert)\n"), "\(alert)")
            #expect(rules.contains("Operating.md#\(alert.lowercased())\n"))
        }
    }

    @Test(.needs(Repository.has("prometheus"), "Prometheus is not installed"))
    func `a collector scrapes the daemon, and each panel shows something`() throws {
        let manager = try ServiceManagedDaemon()
        try manager.waitFor("READY=1")
        let client = try HTTPClient(manager.socket)
        for number in 0..<20 {
            #expect(try client.emit(Sample.numbered(number).bytes).status == 201)
        }
        let port = Int.random(in: 31_000...38_000)
        let folder = try TemporaryFolder()
        defer { withExtendedLifetime(folder) {} }
        let configuration = """
            global: {scrape_interval: 1s, evaluation_interval: 1s}
            rule_files: ["\(Self.rules)"]
            scrape_configs:
              - job_name: stardust
                static_configs: [{targets: ["127.0.0.1:\(manager.text("port"))"]}]
            """
        let file = try folder.file("prometheus.yml", Array(configuration.utf8))
        let prometheus = try Background(
            [
                "--config.file=\(file)", "--storage.tsdb.path=\(folder.path)/data",
                "--web.listen-address=127.0.0.1:\(port)", "--log.level=error",
            ], program: "/usr/bin/prometheus")
        defer { prometheus.kill() }
        func count(_ expression: String) throws -> Int {
            let answer = try run([
                "curl", "-s", "-G", "http://127.0.0.1:\(port)/api/v1/query", "--data-urlencode",
                "query=\(expression)",
            ]).output
            let json = try JSONSerialization.jsonObject(with: Data(answer.utf8)) as? [String: Any]
            return ((json?["data"] as? [String: Any])?["result"] as? [Any])?.count ?? 0
        }
        let content = try Data(
            contentsOf: URL(
                fileURLWithPath: Repository.root + "/Packaging/grafana/stardust.json"))
        let dashboard = try JSONSerialization.jsonObject(with: content) as? [String: Any]
        let expressions = (dashboard?["panels"] as? [[String: Any]] ?? []).flatMap { panel in
            (panel["targets"] as? [[String: Any]] ?? []).compactMap { $0["expr"] as? String }
        }
        #expect(expressions.count > 20)
        let deadline = Date() + 90
        var empty = expressions
        while !empty.isEmpty, Date() < deadline {
            usleep(500_000)
            empty = empty.filter { ((try? count($0)) ?? 0) == 0 }
            _ = try client.get("/v1/packets?limit=1")
        }
        #expect(empty == [])
        #expect(try count("ALERTS") == 0)
    }
}
