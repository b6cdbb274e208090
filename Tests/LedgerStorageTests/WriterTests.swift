import LedgerFormat
import LedgerStorage
import LedgerTestSupport
import PipelineWorkload
import Platform
import TestSupport
import Testing

@Suite struct WriterTests {
    @Test func `what was appended is read back, over many segments and openings`() throws {
        var fixture = try LedgerFixture.make(seed: 21)
        for round in 0..<30 {
            try fixture.appendRandom(5)
            if round % 5 == 4 {
                fixture = try LedgerFixture(
                    opening: fixture.volume, acknowledged: fixture.acknowledged, 8192,
                    SeededGenerator(seed: UInt64(round)))
            }
            #expect(try fixture.problems() == [])
        }
        #expect(fixture.acknowledged.count == 150 && fixture.map.segmentCount > 10)
    }

    @Test func `an id is found before and after its batch is durable, and over restarts`() throws {
        var fixture = try LedgerFixture.make(seed: 22)
        let id = fixture.newID()
        let payload = LedgerFixture.payload(id)
        try fixture.append([payload, payload])
        #expect(fixture.acknowledged.count == 1)
        try fixture.append([payload])
        for _ in 0..<10 { try fixture.appendRandom(4) }
        try fixture.append([payload])
        #expect(fixture.acknowledged.count == 41)
        fixture = try LedgerFixture(opening: fixture.volume, acknowledged: fixture.acknowledged)
        try fixture.append([payload])
        #expect(fixture.acknowledged.count == 41)
        #expect(try fixture.map.position(of: id) == Position(0))
    }

    @Test func `ids that are lost or damaged are read from the segment again`() throws {
        var fixture = try LedgerFixture.make(seed: 23)
        for _ in 0..<12 { try fixture.appendRandom(4) }
        let names = try fixture.volume.list("ids")
        #expect(names.count > 3)
        for (number, name) in names.enumerated() {
            if number.isMultiple(of: 2) {
                fixture.volume.put("ids/" + name, nil)
            } else {
                fixture.volume.damage("ids/" + name) { $0[170] ^= 1 }
            }
        }
        // While the ledger is open, and when it is opened again.
        #expect(try fixture.problems() == [])
        for name in names { fixture.volume.damage("ids/" + name) { $0[7] ^= 1 } }
        fixture = try LedgerFixture(opening: fixture.volume, acknowledged: fixture.acknowledged)
        #expect(try fixture.problems() == [])
    }

    @Test func `one reader reads records near and far, and those that are written meanwhile`()
        throws
    {
        var fixture = try LedgerFixture.make(seed: 25, segmentBytes: 64 << 10)
        var generator = SeededGenerator(seed: 25)
        func grow(_ fixture: inout LedgerFixture) throws {
            // Smaller than a window, and larger than the largest.
            let size = [0, 0, 0, 3000, 9000, 40_000].randomElement(using: &generator)!
            try fixture.append([LedgerFixture.payload(fixture.newID(), bytes: size)])
        }
        for _ in 0..<60 { try grow(&fixture) }
        var reader = RecordReader(fixture.map)
        var position = 0
        for step in 0..<3000 {
            if step.isMultiple(of: 50) { try grow(&fixture) }
            let count = fixture.acknowledged.count
            switch Int.random(in: 0..<4, using: &generator) {
            case 0: position = Int.random(in: 0..<count, using: &generator)
            case 1: position = max(0, position - 1)
            case 2: position = count - 1
            default: position = min(count - 1, position + 1)
            }
            let wanted = fixture.acknowledged[position]
            if step.isMultiple(of: 3) {
                #expect(try reader.position(of: wanted.id) == wanted.position)
            }
            let record = try #require(try reader.read(wanted.position))
            #expect(record.entry.stardustID == wanted.id && record.entryHash == wanted.hash)
            #expect(record.payload == wanted.payload)
        }
        #expect(try reader.read(Position(UInt64(fixture.acknowledged.count))) == nil)
    }

    @Test func `a write that finds no room keeps nothing, and the next one goes on`() throws {
        for call in 0..<3 {
            var fixture = try LedgerFixture.make(seed: 24)
            try fixture.appendRandom(2)
            let before = fixture.map.head
            fixture.volume.fail(.write, afterCalls: 0, errorNumber: FileFailure.noSpaceNumber)
            let (id, other) = (fixture.newID(), fixture.newID())
            do {
                try fixture.append([LedgerFixture.payload(id, bytes: 900 + call)])
                Issue.record("there was no room")
            } catch let failure as LedgerWriter.Failure {
                guard case .noSpace = failure else {
                    Issue.record("\(failure)")
                    return
                }
            }
            #expect(fixture.map.head == before)
            #expect(try fixture.map.position(of: id, includingStaged: true) == nil)
            try fixture.append([LedgerFixture.payload(other)])
            try fixture.append([LedgerFixture.payload(id)])
            #expect(try fixture.problems() == [])
        }
    }

    @Test func `after a failed sync nothing is acknowledged and nothing written`() throws {
        for number in [FileFailure.inputOutputNumber, FileFailure.noSpaceNumber] {
            var fixture = try LedgerFixture.make(seed: 25)
            try fixture.appendRandom(3)
            fixture.volume.fail(.sync, errorNumber: number)
            do {
                try fixture.appendRandom(1)
                Issue.record("the sync failed")
            } catch let failure as LedgerWriter.Failure {
                guard case .broken = failure else {
                    Issue.record("\(failure)")
                    return
                }
            }
            #expect(fixture.acknowledged.count == 3 && fixture.map.head.size == LedgerSize(3))
            let after = try LedgerFixture(
                opening: fixture.volume, acknowledged: fixture.acknowledged)
            #expect(try after.problems() == [])
        }
    }

    @Test func `a poisoned writer traps rather than write`() async {
        await #expect(processExitsWith: .failure) {
            var fixture = try LedgerFixture.make(seed: 26)
            fixture.volume.fail(.sync, errorNumber: FileFailure.inputOutputNumber)
            try? fixture.appendRandom(1)
            try? fixture.appendRandom(1)
        }
    }

    @Test func `each call of a roll may fail, and the ledger opens again`() throws {
        for operation in [
            FileFailure.Operation.create, .allocate, .sync, .write, .rename, .truncate, .remove,
        ] {
            for call in 0..<6 {
                var fixture = try LedgerFixture.make(seed: 27)
                fixture.volume.fail(
                    operation, afterCalls: call, errorNumber: FileFailure.inputOutputNumber)
                do { for _ in 0..<8 { try fixture.appendRandom(4) } } catch {}
                let after = try LedgerFixture(
                    opening: fixture.volume, acknowledged: fixture.acknowledged)
                #expect(try after.problems() == [], "\(operation) \(call)")
            }
        }
    }

    @Test func `time of receipt never goes back`() throws {
        var fixture = try LedgerFixture.make(seed: 28)
        let start = fixture.now
        var last = Timestamp(microseconds: .min)
        for jump in [0, 1_000_000, -3_600_000_000, 5, Int64.max / 4, -1, 0] {
            fixture.now = Timestamp(microseconds: start.microseconds + jump)
            try fixture.appendRandom(1)
            let entry = try fixture.map.read(Position(UInt64(fixture.acknowledged.count - 1)))!
                .entry
            #expect(entry.receivedAt >= last)
            #expect(entry.flags.contains(.clockHeldBack) == (fixture.now < entry.receivedAt))
            last = entry.receivedAt
        }
        #expect(try fixture.problems() == [])
    }

    @Test func `a torn tail is cut, kept and not reported again`() throws {
        var fixture = try LedgerFixture.make(seed: 29)
        try fixture.appendRandom(3)
        let path = LedgerLayout.segment(Position(0))
        let end = fixture.volume.bytes(of: path)!.lastIndex { $0 != 0 }! + 1
        fixture.volume.damage(path) { $0.replaceSubrange(end + 8..<end + 12, with: [1, 2, 3, 4]) }
        let opened = try Ledger.open(fixture.volume)
        #expect(opened.damage == nil && opened.repairs.count == 1)
        let kept = try fixture.volume.list("segments").filter { $0.hasSuffix(".torn") }
        #expect(kept.count == 1)
        #expect(fixture.volume.bytes(of: "segments/" + kept[0])!.suffix(4) == [1, 2, 3, 4])
        #expect(try Ledger.open(fixture.volume).repairs == [])
        #expect(try fixture.volume.findings() == [])
    }

    @Test func `a tail that cannot be set aside is not cut`() throws {
        var fixture = try LedgerFixture.make(seed: 30)
        try fixture.appendRandom(3)
        let path = LedgerLayout.segment(Position(0))
        fixture.volume.damage(path) { $0[6000] = 1 }
        let before = fixture.volume.bytes(of: path)
        fixture.volume.limitRoom(to: 0)
        fixture = try LedgerFixture(opening: fixture.volume)
        #expect(fixture.volume.bytes(of: path) == before)
        #expect(try fixture.map.read(Position(2)) != nil)
        // Nothing is written over it until there is room to keep it; then all goes on by itself.
        #expect(throws: LedgerWriter.Failure.self) { try fixture.appendRandom(1) }
        #expect(fixture.volume.bytes(of: path) == before)
        #expect(try fixture.volume.list("segments").allSatisfy { !$0.hasSuffix(".torn") })
        fixture.volume.limitRoom(to: nil)
        try fixture.appendRandom(1)
        #expect(fixture.writer.takeRepair() != nil)
        #expect(try fixture.volume.list("segments").contains { $0.hasSuffix(".torn") })
        #expect(try fixture.volume.findings() == [])
    }
}

@Suite struct IDTableTests {
    @Test func `the table agrees with a dictionary through growth and removal`() throws {
        var fixture = try LedgerFixture.make(seed: 31, segmentBytes: 1 << 20)
        // Through the writer: staged ids are taken back when a write finds no room.
        for round in 0..<40 {
            if round % 3 == 2 {
                fixture.volume.fail(.write, errorNumber: FileFailure.noSpaceNumber)
                try? fixture.appendRandom(7)
            } else {
                try fixture.appendRandom(7)
            }
        }
        #expect(try fixture.problems() == [])
    }
}
