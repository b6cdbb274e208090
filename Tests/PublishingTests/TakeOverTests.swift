import LedgerFormat
import LedgerStorage
import LedgerTestSupport
import PipelineWorkload
import Platform
import Publishing
import Testing
import Verification

@Suite("taking over, without an archive")
struct TakingOverTests {
    private func takeOver(
        _ ledger: SignedLedger, after epoch: UInt64 = 0, tail: TakeOver.Tail? = nil
    ) throws -> EpochNote {
        var generator = SystemRandomNumberGenerator()
        let now = Timestamp(microseconds: 1_781_000_000_000_000)
        let prepared = try TakeOver.prepare(
            ledger.volume, keys: ledger.volume, machine: "second", after: epoch, tail: tail,
            now: now)
        let note = prepared.note
        try TakeOver.finish(prepared, ledger.volume, now: now, using: &generator)
        return note
    }

    private func codes(_ volume: SimulatedVolume) throws -> [Finding.Code] {
        try Verifier(volume, isBeingWritten: false).run().findings.map(\.code)
    }

    @Test func `N-03 an epoch begins with an entry of its own, above those before it`() throws {
        let ledger = try SignedLedger.make(overlap: .seconds(1))
        let note = try takeOver(ledger)
        #expect(note.number == 1 && note.rotations.count == 1)
        #expect(try codes(ledger.volume) == [])
        let map = try Ledger.open(ledger.volume).map
        let record = try map.read(note.start)
        #expect(record?.entry.kind == .epoch && record?.entry.previous == note.previous)
        #expect(try takeOver(ledger, after: 1, tail: .keep).number == 2)
        let after = try codes(ledger.volume)
        #expect(after == [], "\(after)")
        // The number of an epoch that was.
        _ = try takeOver(ledger, after: 0, tail: .keep)
        let again = try codes(ledger.volume)
        #expect(again == [.epochInvalid], "\(again)")
    }

    @Test func `N-03 an epoch that nobody signed for this place is found`() throws {
        for change in 0..<3 {
            let ledger = try SignedLedger.make()
            let note = try takeOver(ledger)
            for path in try ledger.volume.segments() {
                let records = try ledger.volume.records(path)
                for (number, record) in records.enumerated() where record.entry.kind == .epoch {
                    try ledger.volume.rewrite(path, record: number) { entry, payload in
                        var other = note
                        switch change {
                        case 0: other.start = Position(note.start.value - 1)
                        case 1: other.previous = .zero
                        default: break
                        }
                        var generator = SeededGenerator(seed: 9)
                        let stranger = NoteSigner(name: ledger.origin, .random(using: &generator))
                        payload = other.content(signedBy: change == 2 ? stranger : ledger.key)
                        entry.payloadDigest = .sha256(payload)
                    }
                }
            }
            #expect(try codes(ledger.volume).contains(.epochInvalid), "change \(change)")
        }
    }

    @Test func `entries beyond the checkpoint are kept, or dropped and kept beside`() throws {
        let ledger = try SignedLedger.make(segmentBytes: 1 << 16)
        var fixture = try LedgerFixture(opening: ledger.volume)
        let before = fixture.map.head.size
        try fixture.appendRandom(2)
        #expect(throws: TakeOver.Failure.self) { try takeOver(ledger) }
        #expect(try takeOver(ledger, tail: .drop).start == before.nextPosition)
        #expect(try codes(ledger.volume) == [])
        #expect(try ledger.volume.list("segments").contains { $0.hasSuffix(".torn") })
    }

    @Test func `a folder that was superseded is not taken over`() throws {
        let ledger = try SignedLedger.make()
        ledger.volume.put(LedgerLayout.superseded, [])
        #expect(throws: TakeOver.Failure.self) { try takeOver(ledger) }
    }
}
