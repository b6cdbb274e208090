import Foundation
import LedgerFormat
import Packets
import TestSupport
import Testing

@Suite struct PacketSchemaTests {
    static func outcome(_ bytes: [UInt8]) -> PacketError? {
        var reader = PacketReader()
        do throws(PacketError) {
            _ = try reader.read(bytes.span)
            return nil
        } catch { return error }
    }

    /// A packet with one member of its lineage or one more at the top.
    static func packet(lineage: String = "", top: String = "") -> [UInt8] {
        Array(
            """
            {"entity_type":"clips","entity_id":"c11b0000-0000-4000-8000-00000000c11b",\
            "lineage":{"trace_id":"7d3f0a52-6f0d-4f6e-8c1b-1a2b3c4d5e6f","_meta_parents":[]\(lineage)}\(top)}
            """.utf8)
    }

    @Test func `the examples are packets`() throws {
        for packet in try Repository.examplePackets() { #expect(Self.outcome(packet) == nil) }
    }

    @Test func `a trace id of zeros is none, however it is written`() {
        let packet = String(decoding: Self.packet(), as: UTF8.self)
        for zeros in ["00000000-0000-0000-0000-000000000000", "00000000000000000000000000000000"] {
            let changed = packet.replacing("7d3f0a52-6f0d-4f6e-8c1b-1a2b3c4d5e6f", with: zeros)
            #expect(changed != packet && Self.outcome(Array(changed.utf8)) != nil)
        }
    }

    @Test func `the design's examples are packets`() throws {
        let folder = Repository.root + "/Tests/Vectors/packets"
        let names = try FileManager.default.contentsOfDirectory(atPath: folder)
        #expect(names.count == 3)
        for name in names {
            let bytes = Array(try Data(contentsOf: URL(fileURLWithPath: folder + "/" + name)))
            #expect(Self.outcome(bytes) == nil, "\(name)")
        }
    }

    /// A change to a packet, the violation it causes, and the text that stands at its place.
    @Test(
        arguments: [
            (packet(top: ",\"more\":1"), .unknownMember, "/more", "\"more\""),
            (packet(top: ",\"a/b~c\":1"), .unknownMember, "/a~1b~0c", "\"a/b~c\""),
            (
                packet(top: ",\"stardust_id\":\"5b0f6c1e-2a47-1d7e-9a51-0c2f3d9b7e10\""),
                .wrongFormat, "/stardust_id", "\"5b0f"
            ),
            (
                packet(top: ",\"created_at\":\"2026-02-30T00:00:00Z\""), .wrongFormat,
                "/created_at", "\"2026"
            ),
            (
                packet(
                    top: ",\"decision_chain\":[{\"id\":\"a\",\"kind\":\"vote\"},{\"id\":\"b\"}]"),
                .missingMember, "/decision_chain/1", "{\"id\":\"b\""
            ),
            (packet(top: ",\"decision_chain\":7"), .wrongType, "/decision_chain", "7}"),
            (
                packet(lineage: ",\"evidence\":[\"sha256:zz\"]"), .wrongFormat,
                "/lineage/evidence/0", "\"sha256:zz"
            ),
            (packet(lineage: ",\"event\":\"\""), .wrongLength, "/lineage/event", "\"\""),
            (
                packet(lineage: ",\"_producer\":{\"worker\":\"w\",\"seq\":-1}"), .outOfRange,
                "/lineage/_producer/seq", "-1}"
            ),
            (Array("{}".utf8), .missingMember, "", "{"), (Array("[]".utf8), .wrongType, "", "["),
            (Array(" 1".utf8), .wrongType, "", "1"),
        ] as [([UInt8], SchemaViolation.Code, String, String)])
    func `a violation names its place`(
        bytes: [UInt8], code: SchemaViolation.Code, pointer: String, place: String
    ) {
        let text = String(decoding: bytes, as: UTF8.self)
        guard case .schema(let violation) = Self.outcome(bytes) else {
            Issue.record("\(text) is admitted")
            return
        }
        let offset = text.utf8.distance(
            from: text.startIndex, to: text.range(of: place)!.lowerBound)
        #expect(violation.code == code && violation.pointer == pointer, "\(violation)")
        #expect(violation.offset == offset && !violation.detail.isEmpty, "\(violation)")
    }

    @Test func `facts are read whatever the escapes and the order`() throws {
        let text = """
            {"created\\u005fat":"2026-09-14T10:42:07.311+00:00","lineage":{"_meta_parents":[],\
            "trace_id":"7d3f0a526f0d4f6e8c1b1a2b3c4d5e6f"},"entity_type":"\\u0063lips",\
            "entity_id":"C11B0000-0000-4000-8000-00000000C11B",\
            "stardust_id":"\\u0035b0f6c1e-2a47-4d7e-9a51-0c2f3d9b7e10"}
            """
        var reader = PacketReader()
        let facts = try reader.read(Array(text.utf8).span)
        #expect(facts.stardustID == UUID128("5b0f6c1e-2a47-4d7e-9a51-0c2f3d9b7e10"))
        #expect(facts.createdAt == Timestamp(rfc3339: "2026-09-14T10:42:07.311Z"))
        #expect(facts.entityType == "clips")
        #expect(facts.entityID == UUID128("c11b0000-0000-4000-8000-00000000c11b"))
    }

    @Test func `4,096 parents are admitted, 4,097 are not`() {
        func parents(_ count: Int) -> [UInt8] {
            let id = "\"5b0f6c1e-2a47-4d7e-9a51-0c2f3d9b7e10\""
            let list = Array(repeating: id, count: count).joined(separator: ",")
            return Array(
                String(decoding: Self.packet(), as: UTF8.self)
                    .replacingOccurrences(of: "[]", with: "[\(list)]").utf8)
        }
        #expect(Self.outcome(parents(4096)) == nil)
        guard case .schema(let violation) = Self.outcome(parents(4097)) else {
            Issue.record("admitted")
            return
        }
        #expect(violation.code == .wrongLength && violation.pointer == "/lineage/_meta_parents")
    }

    @Test(.needs(try Self.hasOracle(), "python3 with jsonschema is not installed"))
    func `thousands of changed packets are judged as the jsonschema library judges them`() throws {
        let cases = try run([
            Self.python, Repository.root + "/Tests/PacketsTests/schema_cases.py",
            Repository.root + "/Docs/packet.schema.json",
            Repository.root + "/Docs/Examples/pipeline.ndjson", "6000", "20260914",
        ])
        #expect(cases.status == 0, "\(cases.error)")
        let lines = cases.output.split(separator: "\n")
        #expect(lines.count == 6000)
        var valid = 0
        for line in lines {
            let isValid = line.first == "1"
            if isValid { valid += 1 }
            let outcome = Self.outcome(Array(line.dropFirst(2).utf8))
            #expect(
                (outcome == nil) == isValid, "\(String(describing: outcome)): \(line.prefix(1500))")
        }
        #expect(valid > 500 && valid < 5500, "both kinds must be among the cases: \(valid)")
    }

    /// Debian's package belongs to Debian's interpreter.
    static let python = "/usr/bin/python3"

    static func hasOracle() throws -> Bool {
        try run([python, "-c", "import jsonschema; jsonschema.Draft202012Validator"]).status == 0
    }

    /// Clients validate against this file: a change of it is a change of the contract.
    @Test func `the schema changes only on purpose`() throws {
        let digest = Digest.sha256(try Repository.content("Docs/packet.schema.json"))
        #expect(digest.hex == "1e9aa84d52f201442887a3b8b110453b3e8896356d06fce41a89409742ee26d2")
    }

    @Test func `the ends of a packet say what a parser says, or nothing`() throws {
        var known = 0
        for packet in try Repository.examplePackets() {
            var reader = PacketReader()
            let facts = try reader.read(packet.span)
            guard let ends = PayloadEnds.read(packet.span) else { continue }
            known += 1
            #expect(ends.stardustID == facts.stardustID && ends.createdAt == facts.createdAt)
        }
        #expect(known > 50)
    }

    @Test(arguments: [
        // The id is not the first member, or it is another object's.
        "{\"a\":1,\"stardust_id\":\"5b0f6c1e-2a47-4d7e-9a51-0c2f3d9b7e10\",\"created_at\":\"2026-09-14T10:42:07Z\"}",
        // What looks like a last member is within a string.
        "{\"stardust_id\":\"5b0f6c1e-2a47-4d7e-9a51-0c2f3d9b7e10\",\"a\":\"\\\"created_at\\\":\\\"2026-09-14T10:42:07Z\"}",
        "{\"stardust_id\":\"5b0f6c1e-2a47-4d7e-9a51-0c2f3d9b7e10\",\"a\":{\"created_at\":\"2026-09-14T10:42:07Z\"}}",
        "{\"stardust_id\":\"5b0f6c1e-2a47-4d7e-9a51-0c2f3d9b7e10\",\"xcreated_at\":\"2026-09-14T10:42:07Z\"}",
        "{\"stardust_id\":\"5b0f6c1e-2a47-4d7e-9a51-0c2f3d9b7e10\"}", "", "{", "\"}",
        "\"created_at\":\"\"}",
    ])
    func `the ends of a packet are not guessed`(text: String) {
        let ends = PayloadEnds.read(Array(text.utf8).span)
        #expect(ends == nil)
    }
}
