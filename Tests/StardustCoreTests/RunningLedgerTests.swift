import Foundation
import LedgerFormat
import LedgerStorage
import LedgerTestSupport
import Logging
import Packets
import PipelineWorkload
import Platform
import StardustCore
import Synchronization
import TestSupport
import Testing
import Verification

/// A ledger that serves, without its socket.
@Suite struct RunningLedgerTests {
    @Test func `the clock may jump, positions order and time never goes back`() throws {
        let folder = try TemporaryFolder()
        let volume = try PosixVolume(root: folder.path)
        var generator = SeededGenerator(seed: 4)
        _ = try Ledger.create(
            in: volume, origin: nil, segmentBytes: 1 << 21, now: .systemNow(), using: &generator)
        let clock = Mutex(Timestamp.systemNow())
        let ledger = try RunningLedger(
            volume, settings: .init(),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            clock: { clock.withLock { $0 } })
        let ended = DispatchSemaphore(value: 0)
        ledger.start { _ in ended.signal() }
        while case .recovering = ledger.phase { usleep(1000) }
        for (number, jump) in [0, 5, -86_400, 3, -1, 1_000_000, -1_000_000].enumerated() {
            clock.withLock { $0.microseconds += Int64(jump) * 1_000_000 }
            let done = DispatchSemaphore(value: 0)
            var submission = Submission(peer: Entry.Peer(uid: 0, gid: 0)) { outcomes in
                guard case .appended = outcomes[0] else { return }
                done.signal()
            }
            var reader = PacketReader()
            let bytes = LedgerFixture.payload(
                UUID128(high: 0x5b0f_6c1e_2a47_4d7e, low: 0x9a51_0000_0000_0000 + UInt64(number)))
            submission.append(bytes.span, try reader.read(bytes.span))
            #expect(ledger.submit(submission) == nil)
            #expect(done.wait(timeout: .now() + 60) == .success)
        }
        ledger.stop()
        #expect(ended.wait(timeout: .now() + 60) == .success)
        #expect(ledger.metrics.clockHeldBack.value > 0)
        #expect(try Verifier(volume, isBeingWritten: false).run().findings == [])
    }
}
