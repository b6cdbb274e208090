import LedgerFormat
import PipelineWorkload
import Testing

struct EpochNoteTests {
    private let key: NoteSigner
    private let next: NoteSigner

    init() {
        var generator = SeededGenerator(seed: 7)
        key = NoteSigner(name: "log.example", .random(using: &generator))
        next = NoteSigner(name: "log.example", .random(using: &generator))
    }

    private func note(_ rotations: [[UInt8]] = []) -> EpochNote {
        EpochNote(
            origin: "log.example", number: 3, start: Position(70), previous: .sha256([1]),
            machine: "host-1", time: Timestamp(microseconds: 1_780_000_000_000_000),
            rotations: rotations)
    }

    private func rotation() -> [UInt8] {
        KeyRotation(
            origin: "log.example", position: Position(5), previous: .zero,
            oldKey: key.verifier, newKey: next.verifier,
            oldKeyUntil: Timestamp(microseconds: 1_790_000_000_000_000)
        ).payload(signedBy: key, next)
    }

    @Test func `N-01 an epoch's note is read as it was signed, and after no other byte`() throws {
        let content = note().content(signedBy: key)
        let text = String(decoding: content, as: UTF8.self)
        #expect(text.hasPrefix("stardust-epoch/1\nlog.example\n3\n70\nsha256:4bf5122f"))
        #expect(text.contains("\nhost-1\n2026-05-28T20:26:40.000000Z\n\n— log.example "))
        #expect(try EpochNote(content, firstKey: key.verifier) == note())
        for index in content.indices {
            var changed = content
            changed[index] ^= 1
            #expect(
                throws: EpochNote.DecodeError.self, "byte \(index)",
                performing: { try EpochNote(changed, firstKey: key.verifier) })
        }
    }

    @Test func `N-02 the first key and the changes of key say who may sign`() throws {
        let changed = note([rotation()])
        let content = changed.content(signedBy: next)
        #expect(try EpochNote(content, firstKey: key.verifier) == changed)
        #expect(throws: EpochNote.DecodeError.self) {
            try EpochNote(changed.content(signedBy: key), firstKey: key.verifier)
        }
        #expect(throws: EpochNote.DecodeError.keys) {
            try EpochNote(content, firstKey: next.verifier)
        }
        #expect(throws: EpochNote.DecodeError.self) {
            try EpochNote(note().content(signedBy: next), firstKey: key.verifier)
        }
    }

    @Test func `names of machines are short and plain`() {
        for name in ["a", "host-1.example_2", String(repeating: "x", count: 100)] {
            #expect(EpochNote.isMachine(name))
        }
        for name in ["", "a b", "ä", "a\n", String(repeating: "x", count: 101)] {
            #expect(!EpochNote.isMachine(name))
        }
    }
}
