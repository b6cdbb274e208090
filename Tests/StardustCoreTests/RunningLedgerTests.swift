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

/// A ledger that serves, without its socket, by a clock that a test sets.
@Suite struct RunningLedgerTests {
    private let volume: PosixVolume
    private let ledger: RunningLedger
    private let folder: TemporaryFolder
    private let time: Clock

    private final class Clock: Sendable {
        private let time = Mutex(Timestamp.systemNow())
        var now: Timestamp { time.withLock { $0 } }
        func jump(days: Int = 0, seconds: Int = 0) {
            time.withLock { $0.microseconds += Int64(days * 86_400 + seconds) * 1_000_000 }
        }
    }

    init() throws {
        folder = try TemporaryFolder()
        volume = try PosixVolume(root: folder.path)
        let time = Clock()
        self.time = time
        var generator = SeededGenerator(seed: 4)
        _ = try Ledger.create(
            in: volume, origin: nil, segmentBytes: 1 << 21, now: time.now, using: &generator)
        ledger = try RunningLedger(
            volume, settings: .init(),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            clock: { time.now })
    }

    private func serving(_ body: () throws -> Void) throws {
        let ended = DispatchSemaphore(value: 0)
        ledger.start { _ in ended.signal() }
        while case .recovering = ledger.phase { usleep(1000) }
        try body()
        ledger.stop()
        #expect(ended.wait(timeout: .now() + 60) == .success)
        #expect(try Verifier(volume, isBeingWritten: false).run().findings == [])
    }

    private func emit(_ number: Int) throws -> AppendOutcome {
        let outcome = Mutex<AppendOutcome?>(nil)
        let done = DispatchSemaphore(value: 0)
        var submission = Submission(peer: Entry.Peer(uid: 0, gid: 0)) { outcomes in
            outcome.withLock { $0 = outcomes[0] }
            done.signal()
        }
        var reader = PacketReader()
        let bytes = LedgerFixture.payload(
            UUID128(high: 0x5b0f_6c1e_2a47_4d7e, low: 0x9a51_0000_0000_0000 + UInt64(number)))
        submission.append(bytes.span, try reader.read(bytes.span))
        #expect(ledger.submit(submission) == nil)
        #expect(done.wait(timeout: .now() + 60) == .success)
        return try #require(outcome.withLock { $0 })
    }

    private func receipt(_ number: Int) throws -> Receipt? {
        guard case .appended(let receipt) = try emit(number) else { return nil }
        return receipt
    }

    @Test func `the clock may jump, positions order and time never goes back`() throws {
        try serving {
            var last = Timestamp(microseconds: 0)
            for (number, jump) in [0, 5, -86_400, 3, -1, 1_000_000, -1_000_000].enumerated() {
                time.jump(seconds: jump)
                let receipt = try #require(try receipt(number))
                #expect(receipt.receivedAt >= last)
                last = receipt.receivedAt
            }
        }
        #expect(ledger.metrics.clockHeldBack.value > 0)
    }

    @Test func `a clock that is years ahead gives its time to no packet`() throws {
        try serving {
            let first = try #require(try receipt(0))
            time.jump(days: 3650)
            guard case .refused(.clockAhead(let reason)) = try emit(1) else {
                Issue.record("appended ten years ahead")
                return
            }
            #expect(reason.contains("\(first.receivedAt)"))
            #expect(reason.contains("clock_step_days_max"))
            // The index may still be catching up.
            #expect(ledger.unreadiness.contains(reason))
            time.jump(days: -3650)
            // Nothing needs to arrive for the warning to end.
            #expect(ledger.clock.warning == nil)
            let second = try #require(try receipt(1))
            #expect(second.receivedAt == first.receivedAt)
        }
    }

    @Test func `a clock that was set back is told of until it is right again`() throws {
        try serving {
            time.jump(days: 20)
            let ahead = try #require(try receipt(0))
            time.jump(days: -20)
            #expect(ledger.clock.warning?.contains("\(ahead.receivedAt)") == true)
            #expect(try #require(try receipt(1)).receivedAt == ahead.receivedAt)
            time.jump(days: 21)
            #expect(ledger.clock.warning == nil)
        }
    }
}
