import LedgerFormat
import Packets
import TestSupport
import Testing

/// When two packets say the same: J-06.
@Suite struct JSONValueTests {
    @Test(arguments: [
        ("{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":1}"), ("[1]", "[1.0]"), ("[1]", "[10e-1]"),
        ("[100]", "[1e2]"), ("[0.001]", "[1E-3]"), ("[0]", "[-0]"), ("[0]", "[0.000e9]"),
        ("\"\\u0041\"", "\"A\""), ("\"\\/\"", "\"/\""), ("\"\\ud83d\\ude00\"", "\"😀\""),
        (" [ 1 , 2 ] ", "[1,2]"), ("{\"\\u0061\":1}", "{\"a\":1}"),
        ("[12345678901234567890.10]", "[12345678901234567890.1]"),
        ("{\"x\":{\"q\":[{\"b\":0,\"a\":1e0}]}}", "{\"x\":{\"q\":[{\"a\":1,\"b\":0.0}]}}"),
    ])
    func `the same value, written differently, is the same`(left: String, right: String) throws {
        #expect(try isSameJSON(Array(left.utf8), Array(right.utf8)))
    }

    @Test(arguments: [
        ("[1,2]", "[2,1]"), ("[1]", "[\"1\"]"), ("[1]", "[-1]"), ("[1]", "[1.0000000000000000001]"),
        ("null", "false"), ("[]", "{}"), ("[[]]", "[]"), ("{\"a\":null}", "{}"),
        ("[0.1]", "[0.01]"),
        ("\"é\"", "\"e\u{301}\""), ("\"a\"", "\"A\""),
        ("[12345678901234567890]", "[12345678901234567891]"),
        ("[\"1:a\"]", "[\"1\",\"a\"]"), ("[1,1]", "[1]"), ("{\"a\":1}", "{\"b\":1}"),
        ("[1e2]", "[1e3]"),
    ])
    func `another value is not`(left: String, right: String) throws {
        #expect(try !isSameJSON(Array(left.utf8), Array(right.utf8)))
    }
}

/// What a packet is about, read from its front.
@Suite struct PacketEntityTests {
    @Test func `the front of a packet says what all of it says`() {
        var random = RandomJSON(seed: 31)
        let (type, id) = ("clips", "c11b0000-0000-4000-8000-00000000c11b")
        for _ in 0..<2000 {
            var members: [(String, RandomJSON.Value)] = [
                ("entity_type", .string(type)), ("entity_id", .string(id)),
                ("lineage", .object([("trace_id", .string(id)), ("x", random.value())])),
            ]
            members += ["stardust_id", "created_at", "other"].map { ($0, random.value()) }
            let text = random.text(.object(members.shuffled(using: &random.generator)))
            let bytes = Array(text.utf8)
            let found = PacketEntity(bytes.span)
            #expect(found == PacketEntity(type: type, id: UUID128(id)!), "\(text)")
        }
    }

    @Test(arguments: [
        "", "{", "[]", "{}", "{\"entity_type\":\"clips\"}", "{\"entity_type\":\"clips\",",
        "{\"entity_type\":\"clips\",\"entity_id\":\"none\",\"lineage\":{}}",
        "{\"lineage\":{\"entity_type\":\"clips\",\"entity_id\":\"c11b0000-0000-4000-8000-00000000c11b\"}}",
    ])
    func `what is no packet is about nothing`(text: String) {
        let bytes = Array(text.utf8)
        let found = PacketEntity(bytes.span)
        #expect(found == nil)
    }
}
