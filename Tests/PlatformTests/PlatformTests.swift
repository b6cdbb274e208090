import Platform
import Testing

@Suite struct BackoffTests {
    @Test func `pauses double up to the bound, and begin again after success`() {
        var backoff = Backoff(from: .seconds(1), to: .seconds(5))
        #expect((0..<5).map { _ in backoff.pause() } == [1, 2, 4, 5, 5].map { .seconds($0) })
        backoff.reset()
        #expect(backoff.pause() == .seconds(1))
    }
}

@Suite struct PaceTests {
    @Test func `so many at once, then so many a second, and no more saved up than at once`() {
        let start = ContinuousClock.now
        var pace = Pace(burst: 3, perSecond: 10)
        let turns = [0, 0, 0, 0, 90, 101, 60_000, 60_000, 60_000, 60_000].map {
            pace.take(now: start + .milliseconds($0))
        }
        #expect(turns == [true, true, true, false, false, true, true, true, true, false])
    }
}

@Suite struct MonitorTests {
    @Test func `whoever waits is woken by a change, and at the deadline without one`() {
        let monitor = Monitor(0)
        startThread("test") { monitor.change { $0 = 7 } }
        #expect(monitor.wait { $0 == 0 ? nil : $0 } == 7)
        #expect(monitor.wait(until: .now + .milliseconds(1)) { $0 == 8 ? $0 : nil } == nil)
    }
}

@Suite struct MetricsTests {
    @Test func `every metric that is declared is listed, with its help and its value`() {
        let metrics = Metrics()
        metrics.batches.add(3)
        metrics.connections.set(2)
        let lines = metrics.text.split(separator: "\n")
        let declared = Mirror(reflecting: metrics).children.count
        for kind in ["HELP", "TYPE"] {
            #expect(lines.count { $0.hasPrefix("# \(kind) ") } == declared && declared > 20)
        }
        #expect(lines.contains("# TYPE stardust_batches_total counter"))
        #expect(lines.contains("stardust_batches_total 3"))
        #expect(lines.contains("# TYPE stardust_connections gauge"))
        #expect(lines.contains("stardust_connections 2"))
    }

    @Test func `durations are counted by how long they were, in seconds`() {
        let metrics = Metrics()
        metrics.requestSeconds.begin(["a", "b"])
        metrics.requestSeconds.add(.milliseconds(3), 1)
        metrics.requestSeconds.add(.seconds(60), 1)
        // One that was not declared is nobody's.
        metrics.requestSeconds.add(.seconds(1), 2)
        metrics.modelLagSeconds.set(.milliseconds(1500))
        metrics.diskFullIn.set(nil)
        metrics.denied.add("read")
        metrics.denied.add("nobody")
        let lines = metrics.text.split(separator: "\n")
        for line in [
            #"stardust_request_seconds_bucket{route="b",le="0.0025"} 0"#,
            #"stardust_request_seconds_bucket{route="b",le="0.01"} 1"#,
            #"stardust_request_seconds_bucket{route="b",le="5.0"} 1"#,
            #"stardust_request_seconds_bucket{route="b",le="+Inf"} 2"#,
            #"stardust_request_seconds_sum{route="b"} 60.003"#,
            #"stardust_request_seconds_count{route="b"} 2"#,
            #"stardust_request_seconds_count{route="a"} 0"#, "stardust_model_lag_seconds 1.5",
            "stardust_disk_full_in_seconds +Inf", #"stardust_denied_total{role="read"} 1"#,
        ] {
            #expect(lines.contains(line[...]), "\(line)")
        }
        #expect(!metrics.text.contains("nobody"))
    }
}
