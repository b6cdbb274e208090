import Archive
import LedgerFormat
import LedgerStorage
import LedgerTestSupport
import ObjectStore
import Platform
import Testing

/// The bytes of an archive, as the page of the format describes them.
@Suite struct ArchiveFormatTests {
    private static let digests = (0..<4).map { Digest.sha256([UInt8($0)]) }

    @Test func `[A-01] names have twenty digits and say what an object is`() throws {
        let id = UUID128("910a2dec-8902-4cc1-beeb-8da1658eec67")!
        let layout = ArchiveLayout(id)
        let part = ArchivePart(
            first: Position(7), offset: 128, bytes: 1, checkpointOffset: 5, checkpointBytes: 2)
        let root = "910a2dec-8902-4cc1-beeb-8da1658eec67/"
        #expect(
            layout.part(0, part) == root + "open/00000000000000000000/00000000000000000007/"
                + "00000000000000000128-00000000000000000005")
        #expect(
            layout.segment(Position(7), 3, .mark)
                == root + "segments/00000000000000000007.00000000000000000003.sealed")
        #expect(
            layout.name(of: layout.part(1, part))
                == .part(.open, epoch: 1, first: Position(7), offset: 128, checkpointOffset: 5))
        #expect(layout.epoch(3) == root + "epochs/00000000000000000003")
        #expect(layout.name(of: layout.epoch(3)) == .epoch(3))
        let copy =
            layout.parts(.superseded, 1) + "00000000000000000007/"
            + "00000000000000000128-00000000000000000005"
        #expect(
            layout.name(of: copy)
                == .part(
                    .superseded, epoch: 1, first: Position(7), offset: 128, checkpointOffset: 5))
        for kind in ArchiveLayout.SegmentObject.allCases {
            let key = layout.segment(Position(7), 1, kind)
            #expect(layout.name(of: key) == .segment(first: Position(7), epoch: 1, kind))
        }
        for other in ["identity", root, root + "segments/7.0.seg", root + "open/1/2/3", root + "x"]
        {
            #expect(layout.name(of: other) == nil)
        }
    }

    @Test func `[A-02] a part says what it has`() throws {
        let part = ArchivePart(
            first: Position(7), offset: 128, bytes: 300, checkpointOffset: 5, checkpointBytes: 20)
        let line = "stardust-part/1 7 128 300 5 20\n"
        #expect(part.line == Array(line.utf8))
        #expect(part.objectBytes == line.utf8.count + 320)
        #expect(ArchivePart(Array((line + "bytes").utf8)) == part)
        for wrong in [
            "", "stardust-part/1 7 128 300 5 20", "stardust-part/2 7 128 300 5 20\n",
            "stardust-part/1 07 128 300 5 20\n", "stardust-part/1 7 128 300 5\n",
            "stardust-part/1 7 128 300 5 20 \n", "stardust-part/1 7 -1 300 5 20\n",
        ] {
            #expect(ArchivePart(Array(wrong.utf8)) == nil, "\(wrong)")
        }
    }

    @Test func `[A-03] a mark says what a segment has, and no other bytes do`() throws {
        let mark = SealedMark(
            first: Position(7), count: 3, bytes: 4096, checkpoints: 10..<500,
            segmentDigest: Self.digests[0], entriesDigest: Self.digests[1],
            checkpointsDigest: Self.digests[2], lastHash: Self.digests[3])
        let content = mark.fileContent
        let text = String(decoding: content, as: UTF8.self)
        #expect(text.hasPrefix("stardust-sealed/1\n7\n3\n4096\n10 500\nsha256:6e340b9c"))
        #expect(text.split(separator: "\n").count == 10 && text.hasSuffix("\n"))
        #expect(SealedMark(fileContent: content) == mark)
        for index in content.indices {
            var changed = content
            changed[index] ^= 1
            #expect(SealedMark(fileContent: changed) == nil, "byte \(index)")
        }
        #expect(SealedMark(fileContent: Array(content.dropLast())) == nil)
        #expect(SealedMark(fileContent: content + [0x0A]) == nil)
    }

    @Test func `[A-05] a file of entries is a segment without its payloads`() throws {
        let ledger = try SignedLedger.make(batches: 12)
        let opened = try Ledger.open(ledger.volume.copy())
        let source = try FixtureSource(ledger.volume, opened.map)
        source.set(
            opened.map, checkpointBytes: ledger.volume.bytes(of: LedgerLayout.checkpoints)!.count)
        let store = SimulatedStore("memory", seed: 1, faults: 0)
        let place = try ArchivePlace(store, source, Patience(.zero))
        var shipper = SegmentShipper(place, source, Patience(.zero))
        try shipper.resume(source.state())
        var marks: [SealedMark] = []
        while let mark = try shipper.ship(source.state()) { marks.append(mark) }
        #expect(marks.count > 1)
        for mark in marks {
            let segment = store.objects[place.layout.segment(mark.first, 0, .segment)]!
            let entries = store.objects[place.layout.segment(mark.first, 0, .entries)]!
            let header = EntriesHeader(entries.span)
            #expect(header?.segment.bytes == Array(segment.prefix(128)))
            #expect(header?.segmentDigest == .sha256(segment) && header?.count == mark.count)
            #expect(header?.lastHash == mark.lastHash && mark.segmentDigest == .sha256(segment))
            let records = try ledger.volume.records(LedgerLayout.segment(mark.first))
            #expect(records.count == Int(mark.count))
            #expect(
                Array(entries.dropFirst(256))
                    == records.flatMap { segment[$0.offset..<$0.offset + 176] })
            for index in 0..<256 {
                var changed = entries
                changed[index] ^= 1
                #expect(EntriesHeader(changed.span) == nil, "byte \(index)")
            }
        }
    }
}
