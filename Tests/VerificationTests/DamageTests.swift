import LedgerFormat
import LedgerStorage
import LedgerTestSupport
import TestSupport
import Testing
import Verification

/// Every kind of damage to a ledger's files has its own code, and none goes unseen.
@Suite struct DamageTests {
    @Test func `a sound ledger has no findings, and the root of its entries`() throws {
        let volume = try LedgerFixture.closedLedger()
        let result = try Verifier(volume, isBeingWritten: false).run()
        #expect(result.findings == [])
        // Nothing was published of it, or somebody removed what was.
        #expect(result.notes.count == 1 && result.notes[0].hasPrefix("there is no checkpoint"))
        #expect(result.size == LedgerSize(24) && result.closedAt == LedgerSize(24))
        var range = CompactRange()
        for path in try volume.segments() {
            for record in try volume.records(path) { range.append(record.entryHash) }
        }
        #expect(result.root == range.root)
        #expect(try volume.segments().count > 2)
    }

    @Test func `every flipped bit of a small ledger is found`() throws {
        let sound = try LedgerFixture.closedLedger(packets: 8, segmentBytes: 4096)
        var flips = 0
        for path in try sound.segments() + ["identity", "closed"] {
            let bytes = sound.bytes(of: path)!
            // Zeros after the last record are part of the check too: the first of them are enough.
            let content = (bytes.lastIndex { $0 != 0 } ?? 0) + 16
            for bit in 0..<min(content, bytes.count) * 8 {
                sound.damage(path) { $0[bit / 8] ^= 1 << (bit % 8) }
                #expect(try !sound.findings().isEmpty, "\(path) bit \(bit)")
                sound.damage(path) { $0[bit / 8] ^= 1 << (bit % 8) }
                flips += 1
            }
        }
        #expect(try sound.findings() == [])
        #expect(flips > 30_000)
    }

    @Test func `every truncation of the last segment and of a sealed one is found`() throws {
        let sound = try LedgerFixture.closedLedger(packets: 8, segmentBytes: 4096)
        for path in [try sound.segments().last!, try sound.segments()[0]] {
            let whole = sound.bytes(of: path)!
            let content = (whole.lastIndex { $0 != 0 } ?? 0) + 1
            for size in 0..<content {
                sound.damage(path) { $0 = Array(whole[..<size]) }
                #expect(try !sound.findings().isEmpty, "\(path) cut to \(size)")
            }
            sound.damage(path) { $0 = whole }
        }
        #expect(try sound.findings() == [])
    }

    @Test func `a truncated last segment opens without what was cut, or only to be read`() throws {
        // Without a close marker: as after a crash.
        let sound = try LedgerFixture.closedLedger(packets: 8, segmentBytes: 4096)
        let path = try sound.segments().last!
        let whole = sound.bytes(of: path)!
        let records = try sound.records(path)
        let all = records[0].entry.position.value + UInt64(records.count)
        for size in SegmentHeader.byteCount..<whole.count where size % 7 == 0 {
            let volume = sound.copy()
            volume.put("closed", nil)
            volume.damage(path) { $0 = Array(whole[..<size]) }
            let opened = try Ledger.open(volume)
            let kept = records.filter {
                $0.offset + RecordFrame.recordBytes(payloadBytes: $0.payloadBytes) <= size
            }
            #expect(opened.damage == nil, "\(size)")
            #expect(opened.map.head.size.entries == all - UInt64(records.count - kept.count))
            #expect(try volume.findings() == [], "\(size)")
            // With the marker the same is damage, and nothing is changed.
            let closed = sound.copy()
            closed.damage(path) { $0 = Array(whole[..<size]) }
            if kept.count < records.count {
                #expect(try Ledger.open(closed).damage != nil, "\(size)")
                #expect(closed.bytes(of: path) == Array(whole[..<size]))
            }
        }
    }

    @Test(arguments: DamageKinds.all.indices)
    func `each kind of damage is found under its own code`(kind: Int) throws {
        let (code, damage) = DamageKinds.all[kind]
        let volume = try LedgerFixture.closedLedger()
        try damage(volume)
        let found = try volume.codes()
        #expect(found.contains(code), "wanted \(code), found \(found)")
    }

    @Test func `the list of kinds is complete`() {
        // What is derived is compared in tests of the real files.
        let derived: Set<Finding.Code> = [.indexDisagrees, .idsDisagree]
        let brought: Set<Finding.Code> = [.anchorUnsigned, .anchorMismatch, .anchorKeyUnknown]
        // Objects in a store are not files of a ledger.
        let archived: Set<Finding.Code> = [
            .archiveMissing, .archiveDamaged, .archiveGap, .archiveForeign, .archiveFork,
        ]
        // Beside what takes a ledger over.
        let taken: Set<Finding.Code> = [.epochInvalid]
        let kinds =
            DamageKinds.all.map(\.0) + SignedDamageKinds.all.map(\.0)
            + SignedDamageKinds.rotated.map(\.0)
        #expect(
            Set(kinds).union(derived).union(brought).union(archived).union(taken)
                == Set(Finding.Code.allCases))
    }

    @Test(arguments: DamageKinds.all.indices)
    func `the daemon does not write to a damaged ledger, nor change it`(kind: Int) throws {
        let (code, damage) = DamageKinds.all[kind]
        // Found by reading everything, which opening does not; or mended by it.
        let unseen: Set<Finding.Code> = [
            .entryKindUnknown, .stardustIDMismatch, .createdAtMismatch, .payloadNotAPacket,
            .stardustIDDuplicate, .tornTail, .unfinishedRoll,
        ]
        guard !unseen.contains(code) else { return }
        let volume = try LedgerFixture.closedLedger()
        try damage(volume)
        for path in try volume.list("ids") { volume.put("ids/" + path, nil) }
        let before = try volume.segments().map { volume.bytes(of: $0) }
        do throws(OpenFailure) {
            let opened = try Ledger.open(volume)
            #expect(opened.damage != nil && opened.writer == nil, "\(code)")
        } catch {
            guard case .damaged = error else {
                Issue.record("\(error)")
                return
            }
        }
        #expect(try volume.segments().map { volume.bytes(of: $0) } == before)
    }

    @Test func `damage in the middle costs one finding and hides no other`() throws {
        let volume = try LedgerFixture.closedLedger()
        let paths = try volume.segments()
        volume.damage(paths[0]) { $0[128 + 30] ^= 1 }
        volume.damage(paths[2]) { $0[128 + 300] ^= 1 }
        let codes = try volume.findings().map(\.code)
        #expect(codes == [.recordDamaged, .payloadDigestMismatch])
    }

    @Test func `a tail that is being written is a note, not a finding`() throws {
        let volume = try LedgerFixture.closedLedger()
        try DamageKinds.all.first { $0.0 == .tornTail }!.1(volume)
        let result = try Verifier(volume, isBeingWritten: true).run()
        #expect(result.findings == [] && result.notes.count == 2)
        let rolling = try LedgerFixture.closedLedger()
        try DamageKinds.all.first { $0.0 == .unfinishedRoll }!.1(rolling)
        #expect(try rolling.findings(isBeingWritten: true) == [])
    }

    @Test func `a zeroed length in the tail is no end where the close marker says otherwise`()
        throws
    {
        let volume = try LedgerFixture.closedLedger()
        let path = try volume.segments().last!
        let last = try volume.records(path).last!
        volume.damage(path) { bytes in
            for place in last.offset..<bytes.count { bytes[place] = 0 }
        }
        #expect(try volume.codes() == [.truncated])
        #expect(try Ledger.open(volume).damage?.code == .truncated)
    }

    @Test func `duplicates are found in bounded memory`() throws {
        let volume = try LedgerFixture.closedLedger()
        try DamageKinds.all.first { $0.0 == .stardustIDDuplicate }!.1(volume)
        var options = Verifier.Options()
        options.idsInMemory = 3
        let found = try volume.findings(options).filter { $0.code == .stardustIDDuplicate }
        #expect(found.map(\.position) == [Position(1)])
        let sound = try LedgerFixture.closedLedger()
        #expect(try sound.findings(options) == [])
    }

    @Test func `one thread finds what two find`() throws {
        for (code, damage) in DamageKinds.all {
            let volume = try LedgerFixture.closedLedger()
            try damage(volume)
            var options = Verifier.Options()
            options.threads = 1
            #expect(try volume.findings(options) == (try volume.findings()), "\(code)")
        }
    }

    @Test func `a forged position at the end of all numbers traps nobody`() throws {
        for position in [UInt64.max, UInt64.max - 1, 1 << 32, 1 << 63] {
            let volume = try LedgerFixture.closedLedger()
            try volume.rewrite(try volume.segments()[0], record: 1) { entry, _ in
                entry.position = Position(position)
            }
            #expect(try volume.codes().contains(.positionMismatch))
            for name in try volume.list("ids") { volume.put("ids/" + name, nil) }
            #expect(try Ledger.open(volume).damage != nil)
        }
    }

    @Test func `damage in the segment of the close marker opens to be read`() throws {
        let volume = try LedgerFixture.closedLedger()
        let path = try volume.segments()[0]
        let record = try volume.records(path)[1]
        let marker = CloseMarker(
            size: LedgerSize(record.entry.position.value + 2), lastHash: record.entryHash)
        volume.put("closed", marker.fileContent)
        for place in [30, 200] {
            let damaged = volume.copy()
            damaged.damage(path) { $0[record.offset + place] ^= 1 }
            _ = try? Ledger.open(damaged)
            for name in try damaged.list("ids") { damaged.put("ids/" + name, nil) }
            #expect(try Ledger.open(damaged).damage != nil)
        }
    }

    @Test func `ids that claim more than they have are read from the segment`() throws {
        let volume = try LedgerFixture.closedLedger()
        let path = "ids/" + (try volume.list("ids").sorted()[0])
        volume.damage(path) { bytes in
            var span = bytes.mutableSpan
            span.store(UInt64(1) << 62, at: 40)
            let sum = CRC32C().continued(over: bytes.span.extracting(0..<156)).value
            var again = bytes.mutableSpan
            again.store(sum, at: 156)
        }
        #expect(try Ledger.open(volume).damage == nil)
    }

    @Test func `an identity in another spelling is another identity`() throws {
        let volume = try LedgerFixture.closedLedger()
        volume.damage("identity") { bytes in
            let letter = bytes[17...].firstIndex { (0x61...0x66).contains($0) }!
            bytes[letter] ^= 0x20
        }
        #expect(throws: OpenFailure.self) { _ = try Ledger.open(volume) }
    }
}
