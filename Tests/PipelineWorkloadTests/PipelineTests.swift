import LedgerFormat
import Packets
import PipelineWorkload
import Testing

@Suite struct PipelineTests {
    private static let pipeline = Pipeline(creators: 4)

    @Test func `the same seed gives the same bytes, another seed others`() {
        let again = Pipeline(creators: 4)
        #expect(again.packets == Self.pipeline.packets)
        #expect(again.changes.map(\.feedLine) == Self.pipeline.changes.map(\.feedLine))
        #expect(Pipeline(creators: 4, seed: 8).packets != Self.pipeline.packets)
    }

    @Test func `every packet is admitted, after its parents, in the size that workers send`() throws
    {
        var reader = PacketReader()
        var known: Set<String> = []
        for packet in Self.pipeline.packets {
            _ = try reader.read(packet.span)
            let text = String(decoding: packet, as: UTF8.self)
            let ids = text.matches(of: /"stardust_id":"([0-9a-f-]{36})"/).map { String($0.1) }
            #expect(known.insert(ids[0]).inserted)
            #expect(known.isSuperset(of: ids), "a parent comes later than \(ids[0])")
        }
        let bytes = Self.pipeline.packets.reduce(0) { $0 + $1.count }
        #expect((900...1600).contains(bytes / Self.pipeline.packets.count))
        #expect((200...450).contains(Self.pipeline.packets.count / 4))
    }

    @Test func `every table has rows, some edits wait and some uploads are upcoming`() {
        let changes = Self.pipeline.changes
        #expect(
            Set(changes.map(\.table)) == [
                "creators", "posts", "videos", "analysis", "clips", "edit_jobs", "upload_jobs",
                "schedules", "logs",
            ])
        let lines = changes.map(\.feedLine)
        #expect(lines.contains { $0.contains(#""status":"SCHEDULED""#) && $0.contains("2099-") })
        #expect(lines.contains { $0.contains(#""table":"edit_jobs","op":"insert""#) })
        #expect(changes.map(\.lsn) == changes.map(\.lsn).sorted())
        #expect(lines.allSatisfy { (try? JSONDocument(Array($0.utf8))) != nil })
    }

    @Test func `a quote in a text is doubled in SQL and escaped in JSON`() {
        let value: PipelineValue = ["a": "it's \"so\"", "b": [.null, .tenThousandths(10_205)]]
        #expect(value.json == #"{"a":"it's \"so\"","b":[null,1.0205]}"#)
        #expect(value.sql == #"'{"a":"it''s \"so\"","b":[null,1.0205]}'::jsonb"#)
        #expect(PipelineValue.list(["a'b", .null]).sql == "ARRAY['a''b',NULL]::text[]")
    }
}
