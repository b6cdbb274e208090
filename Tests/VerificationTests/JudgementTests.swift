import LedgerFormat
import LedgerStorage
import LedgerTestSupport
import PipelineWorkload
import Publishing
import TestSupport
import Testing
import Verification

/// Opening and verification judge alike: what one calls damage, so does the other.
@Suite struct JudgementTests {
    /// What opening mends, or finds only when it is asked for it.
    private static let harmless: Set<Finding.Code> = [
        .tornTail, .unfinishedRoll, .checkpointUnfinished, .treeDisagrees, .idsDisagree,
        .indexDisagrees,
    ]

    /// The sealed segments' records are read, as after the ids were lost.
    private static func isRefused(_ volume: SimulatedVolume) throws -> Bool {
        for name in try volume.list("ids") { volume.put("ids/" + name, nil) }
        return try !SignedDamageTests.opens(volume)
    }

    static func expectAgreement(_ volume: SimulatedVolume, _ what: String) throws {
        guard volume.bytes(of: "identity") != nil else { return }
        let found = try Verifier(volume, isBeingWritten: false).run().findings.map(\.code)
        let isRefused = try isRefused(volume.copy())
        #expect(isRefused == !harmless.isSuperset(of: found), "\(what): \(found)")
    }

    // MARK: Ends of the newest segment

    /// A ledger whose last entry is written again, with a right checksum.
    static func rewritten(
        closed: Bool, _ change: (inout Entry, inout [UInt8]) -> Void
    ) throws -> SimulatedVolume {
        let volume = try LedgerFixture.closedLedger(packets: 8, segmentBytes: 4096)
        if !closed { volume.put("closed", nil) }
        let path = try volume.segments().last!
        try volume.rewrite(path, record: try volume.records(path).count - 1, change)
        return volume
    }

    private static let laterPrograms: [(String, @Sendable (inout Entry, inout [UInt8]) -> Void)] =
        [
            ("version", { entry, _ in entry.formatVersion = 2 }),
            ("flag", { entry, _ in entry.flags = Entry.Flags(rawValue: 1 << 3) }),
            ("kind", { entry, _ in entry.kind = Entry.Kind(rawValue: 7) }),
        ]

    @Test(arguments: laterPrograms.indices)
    func `T-01 what a later program wrote is kept, not cut`(number: Int) throws {
        let (what, change) = Self.laterPrograms[number]
        for closed in [true, false] {
            let volume = try Self.rewritten(closed: closed, change)
            let path = try volume.segments().last!
            let before = volume.bytes(of: path)
            try Self.expectAgreement(volume, what)
            let opened = try Ledger.open(volume)
            #expect(opened.damage != nil && opened.writer == nil && opened.repairs == [], "\(what)")
            #expect(volume.bytes(of: path) == before)
            // Nothing but the entry itself is blamed.
            let codes = Set(try volume.findings().map(\.code))
            #expect(
                codes.isSubset(of: [.entryVersion, .entryReservedBits, .entryKindUnknown]),
                "\(codes)")
        }
    }

    @Test func `a stray copy of an older record behind the end is a torn tail for both`() throws {
        for closed in [true, false] {
            let volume = try LedgerFixture.closedLedger(packets: 8, segmentBytes: 4096)
            if !closed { volume.put("closed", nil) }
            let path = try volume.segments().last!
            let bytes = volume.bytes(of: path)!
            let record = try volume.records(path)[0]
            let end = (bytes.lastIndex { $0 != 0 }! + 8) & ~7
            let count = RecordFrame.recordBytes(payloadBytes: record.payloadBytes)
            volume.damage(path) {
                let copy = $0[record.offset..<record.offset + count]
                let needed = end + count - $0.count
                if needed > 0 { $0 += [UInt8](repeating: 0, count: needed) }
                $0.replaceSubrange(end..<end + count, with: copy)
            }
            let codes = try volume.findings().map(\.code)
            #expect(codes == [.tornTail], "\(codes)")
            try Self.expectAgreement(volume, "stray copy")
        }
    }

    @Test func `zeros behind the second newest are a roll only if the newest is empty`() throws {
        let volume = try LedgerFixture.closedLedger()
        let paths = try volume.segments()
        volume.damage(paths[paths.count - 2]) { $0 += [UInt8](repeating: 0, count: 64) }
        #expect(try volume.codes().contains(.longerThanRecords))
        try Self.expectAgreement(volume, "zeros")
    }

    @Test func `S-05 a segment with a name that none can have is noticed by both`() throws {
        let volume = try LedgerFixture.closedLedger()
        volume.put("segments/99999999999999999999.seg", [1])
        #expect(try volume.codes().contains(.segmentMisnamed))
        try Self.expectAgreement(volume, "name")
    }

    @Test func `white space around a payload is noticed without parsing it`() throws {
        let volume = try LedgerFixture.closedLedger()
        try volume.rewrite(try volume.segments()[0], record: 1) { entry, payload in
            payload[payload.count - 1] = 0x20
            payload[payload.count - 2] = UInt8(ascii: "}")
            entry.payloadDigest = .sha256(payload)
        }
        #expect(try volume.codes().contains(.payloadNotAPacket))
    }

    @Test func `R-05 numbers that no ledger has trap nobody`() throws {
        for value: UInt64 in [1 << 31, 1 << 32 - 1, 1 << 63 - 1, 1 << 63, .max] {
            let volume = try Self.rewritten(closed: true) { entry, _ in
                entry.position = Position(value)
            }
            volume.put(
                "tree/complete", TreeState(size: LedgerSize(value)).fileContent)
            _ = try volume.findings()
            try Self.expectAgreement(volume, "position \(value)")
            volume.put(
                "closed", CloseMarker(size: LedgerSize(value), lastHash: .zero).fileContent)
            try Self.expectAgreement(volume, "closed \(value)")
            let path = try volume.segments()[0]
            let header = SegmentHeader(
                ledgerID: try Ledger.identity(volume).ledgerID, firstPosition: Position(value),
                previous: .zero)
            volume.damage(path) { $0.replaceSubrange(0..<128, with: header.bytes) }
            try Self.expectAgreement(volume, "header \(value)")
        }
    }

    // MARK: Changed ledgers at random

    /// How a judge calls a ledger.
    enum Judgement: String {
        case sound, mendable, damaged, unknown

        init(_ codes: [Finding.Code]) {
            let codes = codes.filter { $0 != .treeDisagrees }
            self =
                codes.isEmpty
                ? .sound
                : harmless.isSuperset(of: codes)
                    ? .mendable : codes.allSatisfy(\.isUnknownFormat) ? .unknown : .damaged
        }
    }

    /// The judgements of the verifier that was written from the format page.
    static func secondOpinions(_ folders: [String]) throws -> [String] {
        let script = """
            import sys
            sys.path.insert(0, sys.argv[1])
            from verify import Verifier
            for folder in sys.stdin.read().split():
                verifier = Verifier(folder)
                verifier.run()
                codes = {finding.split(':')[0] for finding in verifier.findings}
                mendable = codes <= {'torn_tail', 'unfinished_roll', 'checkpoint_unfinished'}
                unknown = verifier.unknown == len(verifier.findings)
                print('sound' if not codes else 'mendable' if mendable else
                      'unknown' if unknown else 'damaged', '|', '; '.join(verifier.findings))
            """
        let result = try run(
            ["python3", "-c", script, Repository.root + "/Docs/Examples"],
            input: Array(folders.joined(separator: "\n").utf8))
        guard result.status == 0 else { throw Failure(result.error) }
        return result.output.split(separator: "\n").map(String.init)
    }

    @Test func `opening, verification and the second verifier agree about changed ledgers`() throws
    {
        let ledgers = try [nil, Duration.zero, .seconds(3600)].map {
            try SignedLedger.make(overlap: $0).volume
        }
        var options = Verifier.Options()
        options.checksPackets = true
        // A part at a time, so that the files of all of them need not be on the disk together.
        Soak.seeds("judgements", 12, soak: 100) { part in
            do {
                let folder = try TemporaryFolder()
                var (folders, own): ([String], [(String, [Finding])]) = ([], [])
                for number in 0..<25 {
                    var generator = SeededGenerator(seed: part * 1000 + UInt64(number))
                    let volume = ledgers.randomElement(using: &generator)!.copy()
                    var changes: [String] = []
                    for _ in 0...Int.random(in: 0...1, using: &generator) {
                        changes.append(try LedgerMutation.random(in: volume, using: &generator))
                    }
                    guard volume.bytes(of: "identity") != nil else { continue }
                    let what = "part \(part), number \(number): \(changes)"
                    let found = try Verifier(volume, options, isBeingWritten: false).run().findings
                    try Self.expectAgreement(volume, what)
                    let path = "\(folder.path)/\(number)"
                    try volume.write(to: path)
                    folders.append(path)
                    own.append((what, found))
                }
                for (opinion, (what, found)) in zip(try Self.secondOpinions(folders), own) {
                    let judgement = Judgement(found.map(\.code)).rawValue
                    // The second verifier stops at what it cannot judge; behind it there may be damage.
                    let isSame =
                        opinion.hasPrefix(judgement + " ")
                        || opinion.hasPrefix("unknown ") && judgement == "damaged"
                            && found.contains { $0.code.isUnknownFormat }
                    #expect(isSame, "\(what): \(found) but \(opinion)")
                }
            } catch { Issue.record("part \(part): \(error)") }
            return true
        }
    }
}
