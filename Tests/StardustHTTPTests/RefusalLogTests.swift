import StardustHTTP
import Testing

/// When what is logged about connections, without a clock.
@Suite struct RefusalLogTests {
    @Test func `the first refusal is logged at once, the others once a minute with their number`() {
        let start = ContinuousClock.now
        var log = RefusalLog()
        let before = log.line(now: start)
        log.refused(7)
        let first = log.line(now: start) ?? ""
        for _ in 0..<40 { log.refused(8) }
        let soon = log.line(now: start + .seconds(59))
        let line = log.line(now: start + .seconds(60)) ?? ""
        let after = log.line(now: start + .seconds(600))
        #expect(before == nil && soon == nil && after == nil && first.contains("1 refused"))
        #expect(line.contains("40 refused") && line.hasSuffix("the newest of user 8"))
    }

    @Test func `failing is news once, and working again once it lasts`() {
        let start = ContinuousClock.now
        var log = RefusalLog()
        func at(_ seconds: Int) -> ContinuousClock.Instant { start + .seconds(seconds) }
        let news = [
            log.accepted(now: at(0)), log.failed(now: at(1)), log.accepted(now: at(2)),
            log.failed(now: at(3)), log.accepted(now: at(7)), log.accepted(now: at(8)),
            log.accepted(now: at(9)), log.failed(now: at(10)),
        ]
        #expect(news == [false, true, false, false, false, true, false, true])
    }
}
