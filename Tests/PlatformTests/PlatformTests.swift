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
        #expect(lines.count == 3 * declared && declared > 20)
        #expect(lines.contains("# TYPE stardust_batches_total counter"))
        #expect(lines.contains("stardust_batches_total 3"))
        #expect(lines.contains("# TYPE stardust_connections gauge"))
        #expect(lines.contains("stardust_connections 2"))
    }
}
