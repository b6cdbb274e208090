import Platform
import StardustHTTP
import Testing

/// When what is logged about connections and users, without a clock.
@Suite struct RepeatedNotesTests {
    @Test func `the first time is logged at once, the others once a minute with their number`() {
        let start = ContinuousClock.now
        var notes = RepeatedNotes()
        let first = notes.note(.accessDenied, 7, now: start, "no")
        #expect(first == .init(event: .accessDenied, uid: 7, count: 1, detail: "no"))
        for _ in 0..<40 {
            let more = notes.note(.accessDenied, 7, now: start + .seconds(1), "again")
            #expect(more == nil)
        }
        // Another user, and another event, are first again.
        let other = notes.note(.accessDenied, 8, now: start + .seconds(1), "no")
        let kind = notes.note(.packetsRefused, 7, now: start + .seconds(1), "no")
        #expect(other?.count == 1 && kind?.count == 1)
        let soon = notes.due(now: start + .seconds(59))
        #expect(soon == [])
        let due = notes.due(now: start + .seconds(61))
        #expect(due == [.init(event: .accessDenied, uid: 7, count: 40, detail: "again")])
        let after = notes.due(now: start + .seconds(600))
        #expect(after == [])
        let new = notes.note(.accessDenied, 7, now: start + .seconds(601), "no")
        #expect(new != nil)
    }

    @Test func `many users take little memory, and none of them a line each time`() {
        let start = ContinuousClock.now
        var notes = RepeatedNotes()
        for uid in 0..<10_000 {
            _ = notes.note(.accessDenied, UInt32(uid), now: start, "no")
        }
        let again = (9_990..<10_000).compactMap {
            notes.note(.accessDenied, UInt32($0), now: start, "no")
        }
        #expect(again.isEmpty)
    }

    @Test func `failing is news once, and working again once it lasts`() {
        let start = ContinuousClock.now
        var log = AcceptLog()
        func at(_ seconds: Int) -> ContinuousClock.Instant { start + .seconds(seconds) }
        let news = [
            log.accepted(now: at(0)), log.failed(now: at(1)), log.accepted(now: at(2)),
            log.failed(now: at(3)), log.accepted(now: at(7)), log.accepted(now: at(8)),
            log.accepted(now: at(9)), log.failed(now: at(10)),
        ]
        #expect(news == [false, true, false, false, false, true, false, true])
    }
}
