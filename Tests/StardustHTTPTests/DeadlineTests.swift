import StardustHTTP
import Testing

/// What a client must do by when, without a clock.
@Suite struct DeadlineTests {
    typealias Deadlines = ConnectionDeadlines
    let start = ContinuousClock.now

    func expiry(_ deadlines: Deadlines, _ seconds: Double) -> Deadlines.Expiry? {
        var deadlines = deadlines
        return deadlines.expiry(now: start + .seconds(seconds))
    }

    @Test func `an idle connection has 60 s, a header 5 s from its first byte`() {
        var deadlines = Deadlines(now: start)
        #expect(expiry(deadlines, 59) == nil && expiry(deadlines, 61) == .idle)
        deadlines.receivedBytes(1, now: start + .seconds(50))
        #expect(expiry(deadlines, 54) == nil && expiry(deadlines, 56) == .header)
        deadlines.receivedBytes(1, now: start + .seconds(54))
        #expect(expiry(deadlines, 56) == .header)
    }

    @Test func `of a body 5 KiB must arrive in each 5 s, whatever came before`() {
        var deadlines = Deadlines(now: start)
        deadlines.headEnded(isStream: false, now: start)
        #expect(expiry(deadlines, 4.9) == nil && expiry(deadlines, 5.1) == .body)
        deadlines.receivedBytes(10 << 20, now: start + .seconds(4))
        #expect(deadlines.expiry(now: start + .seconds(5.1)) == nil)
        #expect(deadlines.expiry(now: start + .seconds(10)) == nil)
        #expect(deadlines.expiry(now: start + .seconds(10.2)) == .body)
    }

    @Test func `a stream may pause for 60 s, and as long again where it is held for room`() {
        var deadlines = Deadlines(now: start)
        deadlines.headEnded(isStream: true, now: start)
        #expect(expiry(deadlines, 59) == nil && expiry(deadlines, 61) == .body)
        deadlines.held(.room, now: start + .seconds(50))
        #expect(expiry(deadlines, 109) == nil && expiry(deadlines, 111) == .body)
        deadlines.held(nil, now: start + .seconds(100))
        #expect(expiry(deadlines, 159) == nil && expiry(deadlines, 161) == .body)
    }

    @Test func `a stream that is held since its answers are not taken is cut after 10 s`() {
        var deadlines = Deadlines(now: start)
        deadlines.headEnded(isStream: true, now: start)
        deadlines.held(.answers, now: start + .seconds(1))
        #expect(expiry(deadlines, 10.9) == nil && expiry(deadlines, 11.1) == .write)
    }

    @Test func `the write deadline runs from the body's end and from each byte taken`() {
        var deadlines = Deadlines(now: start)
        deadlines.headEnded(isStream: true, now: start)
        deadlines.wrote(now: start)
        #expect(expiry(deadlines, 50) == nil)
        deadlines.bodyEnded(now: start + .seconds(50))
        #expect(expiry(deadlines, 59) == nil && expiry(deadlines, 61) == .write)
        deadlines.sent(isAll: false, now: start + .seconds(60))
        #expect(expiry(deadlines, 69) == nil && expiry(deadlines, 71) == .write)
        deadlines.sent(isAll: true, now: start + .seconds(70))
        #expect(expiry(deadlines, 1000) == nil)
    }

    @Test func `a client that takes its answer slowly is neither idle nor cut`() {
        var deadlines = Deadlines(now: start)
        deadlines.wrote(now: start)
        deadlines.answered(now: start)
        for second in stride(from: 9.0, through: 180, by: 9) {
            #expect(expiry(deadlines, second) == nil)
            deadlines.sent(isAll: false, now: start + .seconds(second))
        }
        #expect(expiry(deadlines, 189) == nil && expiry(deadlines, 191) == .write)
        deadlines.sent(isAll: true, now: start + .seconds(189))
        #expect(expiry(deadlines, 248) == nil && expiry(deadlines, 250) == .idle)
    }

    @Test func `after an early answer 2 s or 8 MiB are read`() {
        var deadlines = Deadlines(now: start)
        deadlines.beganDiscarding(now: start)
        #expect(expiry(deadlines, 1.9) == nil && expiry(deadlines, 2.1) == .discard)
        deadlines.receivedBytes(9 << 20, now: start)
        #expect(expiry(deadlines, 0.1) == .discard)
    }
}
