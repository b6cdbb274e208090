import LedgerFormat
import LedgerStorage
import LedgerTestSupport
import PipelineWorkload
import Platform
import Publishing
import TestSupport
import Testing
import Verification

/// What was once judged in several ways: opening, `verify` and the second verifier agree on it.
@Suite struct ThreeJudgesTests {
    private static func judge(_ volume: SimulatedVolume, as wanted: String, _ what: String) throws {
        var options = Verifier.Options()
        options.checksPackets = true
        let found = try Verifier(volume, options, isBeingWritten: false).run().findings
        let own = JudgementTests.Judgement(found.map(\.code)).rawValue
        #expect(own == wanted, "\(what): \(found)")
        let folder = try TemporaryFolder()
        try volume.write(to: folder.path + "/l")
        let second = try JudgementTests.secondOpinions([folder.path + "/l"])
        #expect(second.allSatisfy { $0.hasPrefix(wanted + " ") }, "\(what): \(second)")
        try JudgementTests.expectAgreement(volume, what)
    }

    // MARK: A later version

    @Test func `a close marker of a later version hides nothing`() throws {
        let ledger = try SignedLedger.make()
        ledger.volume.put("closed", Array("stardust-close/2\n".utf8))
        try Self.judge(ledger.volume, as: "unknown", "only the marker")
        let kept = try ledger.checkpoints().last!
        let paths = try ledger.volume.segments()
        ledger.volume.put(paths[paths.count - 2], nil)
        try Self.judge(ledger.volume, as: "damaged", "a segment is missing, too")
        let result = try SignedDamageTests.findings(
            ledger.volume, anchors: [kept], keys: [ledger.key.verifier])
        #expect(!result.cannotBeJudged && result.anchoredSize == nil, "\(result.findings)")
    }

    @Test(arguments: [
        ("stardust-close/", "damaged"), ("stardust-close/1\r\n", "damaged"),
        ("stardust-close/2", "damaged"), ("stardust-close/02\n", "damaged"),
        ("stardust-close/2x\n", "damaged"), ("stardust-close/123456\n", "damaged"),
        ("stardust-close/2\nmore\n", "unknown"), ("stardust-close/12345\n", "unknown"),
    ])
    func `a later version is a number and a line's end`(line: String, wanted: String) throws {
        let ledger = try SignedLedger.make()
        ledger.volume.put("closed", Array(line.utf8))
        try Self.judge(ledger.volume, as: wanted, line)
    }

    @Test func `a later program's entry is kept whatever its padding is`() throws {
        let volume = try JudgementTests.rewritten(closed: false) { entry, payload in
            entry.formatVersion = 2
            // Padding is needed, and is not zero.
            payload = Array(payload.dropLast()) + [0x20, 0x20, UInt8(ascii: "}")]
            while (RecordFrame.payloadOffset + payload.count) % 8 == 0 { payload.append(0x20) }
        }
        let path = try volume.segments().last!
        volume.damage(path) { bytes in
            let end = bytes.lastIndex { $0 != 0 }! + 1
            bytes[end] = 1
        }
        try Self.judge(volume, as: "unknown", "padding")
        let before = volume.bytes(of: path)
        #expect(try Ledger.open(volume).writer == nil)
        #expect(volume.bytes(of: path) == before)
    }

    // MARK: Ends of the checkpoints

    /// What follows the last record, with a copy or without any record, and how it is judged.
    private static let ends: [(String, [UInt8], isFirst: Bool, String)] = [
        (
            "a later record with a long line",
            Array("stardust-checkpoint/2 \(String(repeating: "x", count: 60))\n".utf8), false,
            "unknown"
        ),
        ("too long", Array("stardust-checkpoint/1 1000001 00000000\n".utf8), false, "damaged"),
        ("no fields", Array("stardust-checkpoint/1\n".utf8), false, "mendable"),
        ("a sum in upper case", Array("stardust-checkpoint/1 9 0000000A\n".utf8), false, "damaged"),
        ("nothing in it", CheckpointCursor.record([]), false, "damaged"),
        ("junk", Array("junk\n".utf8), false, "mendable"),
        (
            "39 bytes without a line's end",
            Array("stardust-checkpoint/1 1000000 0000000000".utf8).prefix(39) + [], true, "damaged"
        ),
        ("no sum", Array("stardust-checkpoint/1 100 0000000x\nab".utf8), true, "damaged"),
        ("a beginning", Array("stardust-checkpoint/1 100 00".utf8), true, "mendable"),
        ("a first line", Array("stardust-checkpoint/1 100 00000000\nab".utf8), true, "mendable"),
    ]

    @Test(arguments: ends.indices)
    func `the end of the checkpoints is judged alike`(number: Int) throws {
        let (what, bytes, isFirst, wanted) = Self.ends[number]
        let volume: SimulatedVolume
        if isFirst {
            volume = try LedgerFixture.closedLedger()
            volume.put("checkpoints", bytes)
        } else {
            volume = try SignedLedger.make().volume
            volume.damage("checkpoints") { $0 += bytes }
        }
        try Self.judge(volume, as: wanted, what)
    }

    @Test func `beside a daemon, only what it may be writing is no finding`() throws {
        for change: (SimulatedVolume) -> Void in [
            { volume in
                volume.put("checkpoint", nil)
                volume.damage("checkpoints") { $0[$0.count - 20] ^= 1 }
            },
            { volume in
                volume.put("checkpoint", nil)
                volume.damage("checkpoints") { $0 += Array("junk".utf8) }
            },
            { $0.put("checkpoints", Array("junk".utf8)) },
        ] {
            let volume = try SignedLedger.make().volume
            change(volume)
            let beside = try SignedDamageTests.findings(volume, isBeingWritten: true)
            #expect(!beside.isSound, "\(beside.notes)")
            #expect(try !SignedDamageTests.opens(volume))
        }
        let volume = try SignedLedger.make().volume
        volume.damage("checkpoints") { $0 += Array("stardust-checkpoint/1 2".utf8) }
        #expect(try SignedDamageTests.findings(volume, isBeingWritten: true).isSound)
    }

    // MARK: Keys

    @Test func `a key counts for checkpoints from its change on`() throws {
        let ledger = try SignedLedger.make(overlap: .seconds(3600))
        var records = try ledger.checkpoints()
        records[0] = SignedDamageKinds.signed(
            records[0].checkpoint, by: [ledger.oldKeys[0], ledger.key])
        ledger.put(records)
        try Self.judge(ledger.volume, as: "sound", "signed by a key that came later")
    }

    @Test func `a ledger is not signed on top of a checkpoint of a retired key`() throws {
        let ledger = try SignedLedger.make(overlap: .zero)
        let last = try ledger.checkpoints().last!
        let signed = SignedDamageKinds.signed(
            last.checkpoint, by: [ledger.oldKeys[0], ledger.key])
        ledger.volume.damage("checkpoints") { $0 += CheckpointCursor.record(signed.note.bytes) }
        ledger.volume.put("checkpoint", signed.note.bytes)
        try Self.judge(ledger.volume, as: "damaged", "a retired key")
    }

    // MARK: Segments

    @Test(arguments: ["00000000004294967294", "00000000001500000000"])
    func `a segment far behind the others costs no memory`(name: String) throws {
        let volume = try LedgerFixture.closedLedger()
        volume.put("segments/\(name).seg", [0x78, 0x0A])
        let opened = try Ledger.open(volume)
        #expect(opened.writer == nil && opened.map.head.size.entries < 1 << 20)
        #expect(try opened.map.read(Position(0)) != nil)
        #expect(try !volume.findings().isEmpty)
    }

    @Test func `a copy without ids is served, also if none can be kept`() throws {
        let ledger = try SignedLedger.make()
        for name in try ledger.volume.list("ids") { ledger.volume.put("ids/" + name, nil) }
        let early = try Ledger.open(ledger.volume.copy())
        #expect(early.damage == nil && early.writer != nil)
        for position in 0..<early.map.head.size.entries {
            #expect(try early.map.read(Position(position)) != nil)
        }
    }

    @Test func `ids that name another packet are told, not believed`() throws {
        let volume = try LedgerFixture.closedLedger()
        let path = "ids/" + (try volume.list("ids").sorted()[0])
        // The first slot, with another id and a right checksum: see "Ids" in the format page.
        volume.damage(path) { bytes in
            let (header, slot) = (156, 160)
            bytes[slot] ^= 1
            let sum = CRC32C().continued(over: bytes.span.extracting(0..<header))
                .continued(over: bytes.span.extracting(slot..<slot + 20))
            withUnsafeBytes(of: sum.value.littleEndian) {
                bytes.replaceSubrange(slot + 20..<slot + 24, with: $0)
            }
        }
        let map = try Ledger.open(volume).map
        #expect(throws: ReadFailure.self) { try map.read(Position(0)) }
        #expect(try map.read(Position(1)) != nil)
    }
}
