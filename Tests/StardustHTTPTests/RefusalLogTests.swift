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

    @Test func `failing and working again are each news once`() {
        var log = RefusalLog()
        let news = [
            log.accepted(), log.failed(), log.failed(), log.accepted(), log.accepted(),
            log.failed(),
        ]
        #expect(news == [false, true, false, true, false, true])
    }
}
