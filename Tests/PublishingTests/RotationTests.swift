import LedgerFormat
import LedgerStorage
import LedgerTestSupport
import PipelineWorkload
import Publishing
import TestSupport
import Testing
import Verification

/// Changes of key, and which of a ledger's keys may sign what.
@Suite struct RotationTests {
    private static let keys = (0..<4).map {
        NoteSigner(
            name: "log.example/a", Ed25519Key(seed: Array(repeating: UInt8($0), count: 32)))
    }

    private static func rotation(
        _ position: UInt64, _ old: Int, _ new: Int, until: Int64 = 0
    ) -> KeyRotation {
        KeyRotation(
            origin: "log.example/a", position: Position(position), previous: .sha256([1]),
            oldKey: keys[old].verifier, newKey: keys[new].verifier,
            oldKeyUntil: Timestamp(microseconds: until))
    }

    @Test func `K-01 a change of key is read as it was signed, and after no other byte`() throws {
        let rotation = Self.rotation(17, 0, 1, until: 5)
        let payload = rotation.payload(signedBy: Self.keys[0], Self.keys[1])
        #expect(try KeyRotation(payload: payload) == rotation)
        for place in payload.indices {
            for change in [1, 16] as [UInt8] {
                var changed = payload
                changed[place] ^= change
                #expect(throws: KeyRotation.DecodeError.self, "byte \(place)") {
                    try KeyRotation(payload: changed)
                }
            }
        }
        // Signed by one of the two alone, or from a key to itself.
        let note = try SignedNote(payload)
        for signature in note.signatures {
            let half = SignedNote(text: note.text, signatures: [signature])
            #expect(throws: KeyRotation.DecodeError.self) {
                try KeyRotation(payload: half.bytes)
            }
        }
        let same = Self.rotation(17, 0, 0)
        #expect(throws: KeyRotation.DecodeError.self) {
            try KeyRotation(payload: same.payload(signedBy: Self.keys[0], Self.keys[0]))
        }
    }

    @Test func `K-02 keys follow each other, and none comes back`() {
        var history = KeyHistory(first: Self.keys[0].verifier)
        let second = history.add(Self.rotation(10, 1, 2))
        #expect(!second)
        let steps = [(0, 1, true), (0, 2, false), (1, 0, false), (1, 2, true), (2, 1, false)]
        for (old, new, isTaken) in steps {
            #expect(history.add(Self.rotation(10, old, new)) == isTaken, "\(old) to \(new)")
        }
        #expect(history.current == Self.keys[2].verifier && history.all.count == 3)
    }

    @Test func `K-03 before, during and after an overlap`() {
        var history = KeyHistory(first: Self.keys[0].verifier)
        _ = history.add(Self.rotation(10, 0, 1, until: 1000))
        _ = history.add(Self.rotation(20, 1, 2, until: 2000))
        func permitted(_ size: UInt64, _ time: Int64) -> Set<Int> {
            let found = history.permitted(
                at: LedgerSize(size), lastReceivedAt: Timestamp(microseconds: time))
            return Set(found.map { key in Self.keys.firstIndex { $0.verifier == key }! })
        }
        // Size, time of the last entry, and who may have signed; the last of them must.
        for (size, time, expected) in [
            (5, 0, [0]), (10, 999, [0]), (11, 999, [0, 1]), (11, 1000, [1]), (20, 1000, [1]),
            (21, 999, [0, 1, 2]), (21, 1999, [1, 2]), (21, 2000, [2]), (99, 2001, [2]),
        ] as [(UInt64, Int64, [Int])] {
            #expect(permitted(size, time) == Set(expected), "\(size) at \(time)")
            let required = history.required(at: LedgerSize(size))
            #expect(required == Self.keys[expected.last!].verifier)
        }
    }

    @Test func `a crash at any call while the key is changed leaves a ledger with one key`() throws
    {
        var changed: UInt64 = 0
        let changes = try Soak.seeds("power cuts while the key changes", 80, soak: 4_000) { seed in
            let ledger = try SignedLedger.make(batches: 2)
            let volume = ledger.volume
            volume.cutPower(after: Int(seed * 7 % 131) + 1)
            var generator = SeededGenerator(seed: seed)
            let rotation = try? KeyChange.perform(
                on: volume, keys: volume, overlap: .zero,
                now: Timestamp(microseconds: 1_790_000_000_000_000), using: &generator)
            let after = volume.afterPowerCut()
            let opened = try Ledger.open(after)
            #expect(opened.damage == nil, "seed \(seed)")
            var publisher = try TreePublisher.open(opened.map, opened.identity)
            if let rotation {
                #expect(publisher.history.current == rotation.newKey, "seed \(seed)")
                changed += 1
            }
            // Whatever key it is, there is its private half, and it signs.
            try publisher.catchUp(atMost: .max)
            _ = try publisher.sign(lastReceivedAt: opened.map.head.lastReceivedAt!)
            let found = try Verifier(after, isBeingWritten: true).run().findings
            #expect(found == [], "seed \(seed)")
            return opened.damage == nil && found == []
        }
        #expect((changed > 5 && changed < changes) || changes < 80, "\(changed)")
    }

    @Test func `an overlap counts from the last entry if the clock has been ahead`() throws {
        let ledger = try SignedLedger.make(batches: 2)
        let last = try #require(try Ledger.open(ledger.volume).map.head.lastReceivedAt)
        var generator = SeededGenerator(seed: 1)
        let rotation = try KeyChange.perform(
            on: ledger.volume, keys: ledger.volume, overlap: .seconds(60),
            now: Timestamp(microseconds: last.microseconds - 86_400_000_000), using: &generator)
        #expect(rotation.oldKeyUntil.microseconds == last.microseconds + 60_000_000)
        #expect(try Verifier(ledger.volume, isBeingWritten: false).run().findings == [])
    }
}
