import StardustCore
import Testing

@Suite struct InboxTests {
    @Test func `a reservation holds what it takes, and gives all of it back when it ends`() {
        let inbox = Inbox(bytesMax: 100)
        do {
            var first = inbox.reservation()
            #expect(first.take(60) && first.bytes == 60)
            var second = inbox.reservation()
            let isRefused = !second.take(41)
            #expect(isRefused && second.bytes == 0 && inbox.bytesInFlight == 60)
            let fits = second.take(40)
            #expect(fits && inbox.bytesInFlight == 100)
            first.give(back: 10)
            #expect(first.bytes == 50 && inbox.bytesInFlight == 90)
        }
        #expect(inbox.bytesInFlight == 0)
    }

    @Test func `bytes that have arrived count beyond the limit, and say that there is no room`() {
        let inbox = Inbox(bytesMax: 100)
        var stream = inbox.reservation()
        let (within, beyond) = (stream.add(100), stream.add(1))
        #expect(within && !beyond && inbox.bytesInFlight == 101 && !stream.hasRoom)
        var single = inbox.reservation()
        let isTaken = single.take(1)
        #expect(!isTaken)
        #expect(stream.othersLeaveRoom && !single.othersLeaveRoom)
        stream.give(back: 101)
        #expect(stream.hasRoom && inbox.bytesInFlight == 0)
    }
}
