import LedgerFormat
import Packets
import PipelineWorkload
import TestSupport
import Testing

/// What the strict parser admits: everything that RFC 8259 says must be, nothing that it forbids,
/// and one stated answer where implementations differ.
@Suite struct JSONParserTests {
    static func error(_ bytes: [UInt8]) -> JSONError? {
        var parser = JSONParser()
        do throws(JSONError) {
            try parser.parse(bytes.span)
            return nil
        } catch { return error }
    }

    static func error(_ text: String) -> JSONError? { error(Array(text.utf8)) }

    @Test(arguments: [
        // Structure.
        "{}", "[]", "[[]   ]", "[1\n]", " [1] ", "[null, 1, \"1\", {}]", "[1,null,null,null,2]",
        "{\"a\":[]}", "{\"min\": -1.0e+28, \"max\": 1.0e+28}", "{\"a\":{\"a\":{\"a\":0}}}",
        "{\"\":0}", "{\"a\":\"b\",\"A\":\"b\"}", "\t\r\n {\n\"a\"\t:\r1\n} \n",
        // Scalars at the top.
        "0", "-0", "\"\"", "\"a\"", "true", "false", "null", "42",
        // Numbers.
        "[0]", "[-0]", "[-1]", "[123]", "[-123]", "[0.1]", "[1.000]", "[0e1]", "[0e+1]", "[1E22]",
        "[1e-2]", "[1E+2]", "[123.456e78]", "[-0.0]", "[20e1]", "[1.5E-3]",
        // Strings.
        "[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]", "[\"\\u0041\\u00e9\\u4e2d\"]", "[\"\\uD834\\uDD1E\"]",
        "[\"\\ud83d\\ude39\\ud83d\\udc8d\"]", "[\"\\uDBFF\\uDFFF\"]", "[\"\\u0001\\u001f\"]",
        "[\"\\uFFFF\\uFFFE\\uFDD0\"]", "[\"\u{7F}\"]", "[\"é中𝄞\"]", "[\"\u{2028}\u{2029}\"]",
        "[\"\u{FEFF}\"]", "[\"\\uFEFF\"]", "[\"\u{10FFFF}\"]", "[\"\u{FFFF}\"]", "[\"a/*b*/c\"]",
        "[\"\\\\u0000\"]", "[\"\\\\a\"]", "[\"asd \"]",
        // Keys are compared after unescaping, and these differ.
        "{\"\\u0061\":1,\"A\":2}", "{\"a\\u0301\":1,\"\\u00e1\":2}",
        "{\"foo\\u0020bar\":1,\"foobar\":2}",
    ])
    func `must be admitted`(text: String) {
        #expect(Self.error(text) == nil)
    }

    @Test(
        arguments: [
            // Nothing, or too little.
            ("", .unexpectedEnd, 0), (" ", .unexpectedEnd, 1), ("[", .unexpectedEnd, 1),
            ("[1", .unexpectedEnd, 2), ("[1,", .unexpectedEnd, 3), ("{", .unexpectedEnd, 1),
            ("{\"a\"", .unexpectedEnd, 4), ("{\"a\":", .unexpectedEnd, 5),
            ("{\"a\":1", .unexpectedEnd, 6),
            ("{\"a\":1,", .unexpectedEnd, 7), ("\"", .unexpectedEnd, 1), ("\"a", .unexpectedEnd, 2),
            ("[\"\\", .unexpectedEnd, 3), ("[\"\\u00", .unexpectedEnd, 6),
            ("tru", .unexpectedEnd, 3),
            ("-", .unexpectedEnd, 1), ("1.", .unexpectedEnd, 2), ("1e", .unexpectedEnd, 2),
            ("1e+", .unexpectedEnd, 3), ("[\"\\uD834", .loneSurrogate, 2),
            // Too much.
            ("1 2", .trailingBytes, 2), ("{}}", .trailingBytes, 2), ("[]]", .trailingBytes, 2),
            ("{\"a\":1}#", .trailingBytes, 7), ("[1]x", .trailingBytes, 3),
            ("nullx", .trailingBytes, 4),
            // Commas, colons and brackets.
            ("[1,]", .unexpectedByte, 3), ("[,1]", .unexpectedByte, 1),
            ("[1,,2]", .unexpectedByte, 3),
            ("[1 2]", .unexpectedByte, 3), ("[1:2]", .unexpectedByte, 2),
            ("{\"a\":1,}", .unexpectedByte, 7),
            ("{,}", .unexpectedByte, 1), ("{\"a\",1}", .unexpectedByte, 4),
            ("{\"a\"::1}", .unexpectedByte, 5),
            ("{\"a\":1 \"b\":2}", .unexpectedByte, 7), ("{1:1}", .unexpectedByte, 1),
            ("{a:1}", .unexpectedByte, 1), ("{'a':1}", .unexpectedByte, 1),
            ("{\"a\":}", .unexpectedByte, 5),
            ("[}", .unexpectedByte, 1), ("{]", .unexpectedByte, 1), ("[1}", .unexpectedByte, 2),
            ("{\"a\":1]", .unexpectedByte, 6), ("]", .unexpectedByte, 0),
            ("{null:1}", .unexpectedByte, 1),
            // Words that are not JSON's.
            ("True", .unexpectedByte, 0), ("nul1", .unexpectedByte, 3), ("NaN", .unexpectedByte, 0),
            ("Infinity", .unexpectedByte, 0), ("-Infinity", .invalidNumber, 1),
            ("undefined", .unexpectedByte, 0),
            ("'a'", .unexpectedByte, 0), ("/* */1", .unexpectedByte, 0), ("1//", .trailingBytes, 1),
            ("<.>", .unexpectedByte, 0), ("\u{A0}1", .unexpectedByte, 0),
            ("\u{C}1", .unexpectedByte, 0),
            ("[\u{2060}]", .unexpectedByte, 1), ("*", .unexpectedByte, 0),
            ("\\u0022a\"", .unexpectedByte, 0),
            // Numbers.
            ("01", .invalidNumber, 1), ("-01", .invalidNumber, 2), ("00", .invalidNumber, 1),
            ("+1", .unexpectedByte, 0), (".1", .unexpectedByte, 0), ("-.1", .invalidNumber, 1),
            ("[1.]", .invalidNumber, 3), ("[1.e1]", .invalidNumber, 3), ("[1e]", .invalidNumber, 3),
            ("[1e+]", .invalidNumber, 4), ("[1e1.5]", .unexpectedByte, 4),
            ("[--1]", .invalidNumber, 2),
            ("[1+2]", .unexpectedByte, 2), ("0x1", .trailingBytes, 1),
            ("[1_000]", .unexpectedByte, 2),
            ("[１]", .unexpectedByte, 1), ("[-a]", .invalidNumber, 2),
            ("[1.2.3]", .unexpectedByte, 4),
            // Strings.
            ("\"\\x\"", .invalidEscape, 1), ("\"\\'\"", .invalidEscape, 1),
            ("\"\\u12G4\"", .invalidEscape, 1),
            ("\"\\U0041\"", .invalidEscape, 1), ("\"\\0\"", .invalidEscape, 1),
            ("\"\\\n\"", .invalidEscape, 1),
            ("\"a\u{1}\"", .controlCharacter, 2), ("\"a\nb\"", .controlCharacter, 2),
            ("\"\t\"", .controlCharacter, 1), ("\"\u{1F}\"", .controlCharacter, 1),
        ] as [(String, JSONError.Code, Int)])
    func `must be refused, with what was wrong and where`(
        text: String, code: JSONError.Code, offset: Int
    ) {
        #expect(Self.error(text) == JSONError(code, at: offset))
    }

    @Test(
        arguments: [
            ([0x22, 0x80, 0x22], 1), ([0x22, 0xBF, 0x22], 1), ([0x22, 0xC0, 0xAF, 0x22], 1),
            ([0x22, 0xC1, 0xBF, 0x22], 1), ([0x22, 0xC2, 0x22], 1),
            ([0x22, 0xE0, 0x9F, 0xBF, 0x22], 1),
            ([0x22, 0xE0, 0x80, 0xAF, 0x22], 1), ([0x22, 0xED, 0xA0, 0x80, 0x22], 1),
            ([0x22, 0xED, 0xBF, 0xBF, 0x22], 1), ([0x22, 0xE4, 0xB8, 0x22], 1),
            ([0x22, 0xF0, 0x8F, 0xBF, 0xBF, 0x22], 1), ([0x22, 0xF0, 0x80, 0x80, 0xAF, 0x22], 1),
            ([0x22, 0xF4, 0x90, 0x80, 0x80, 0x22], 1), ([0x22, 0xF5, 0x80, 0x80, 0x80, 0x22], 1),
            ([0x22, 0xFF, 0x22], 1), ([0x22, 0xFE, 0x22], 1),
            ([0x22, 0xF8, 0x88, 0x80, 0x80, 0x80, 0x22], 1),
            ([0x22, 0x61, 0x61, 0xE2, 0x82], 3), ([0x22, 0xF0, 0x9F, 0x98], 1), ([0x22, 0xC3], 1),
        ] as [([UInt8], Int)])
    func `bytes that are not UTF-8 are refused`(bytes: [UInt8], offset: Int) {
        #expect(Self.error(bytes) == JSONError(.invalidUTF8, at: offset))
    }

    @Test func `every scalar value is admitted, raw and escaped, but U+0000`() {
        for value in UInt32(0)...0x10FFFF {
            guard let scalar = Unicode.Scalar(value), value.isMultiple(of: 7) || value < 0x900
            else {
                continue
            }
            let raw = Array("\"\(String(scalar))\"".utf8)
            let needsEscape = value < 0x20 || scalar == "\"" || scalar == "\\"
            #expect((Self.error(raw) == nil) == !needsEscape)
            let units = String(scalar).utf16.map { unit in
                "\\u" + String(repeating: "0", count: 4 - String(unit, radix: 16).count)
                    + String(unit, radix: 16)
            }
            let escaped = Array("\"\(units.joined())\"".utf8)
            #expect((Self.error(escaped) == nil) == (value != 0))
            if value != 0, let document = try? JSONDocument(escaped) {
                let text = document.bytes.span.text(document.tokens[0])
                #expect(text == Array(String(scalar).utf8))
            }
        }
    }

    /// Where implementations are known to differ; `ledger-format.md` states the same: J-01 here, J-02,
    /// J-03, J-04 and J-05 below.
    @Test(
        arguments: [
            // A byte order mark is refused, in any encoding.
            ([0xEF, 0xBB, 0xBF, 0x31], JSONError(.byteOrderMark, at: 0)),
            ([0xEF, 0xBB, 0xBF], JSONError(.byteOrderMark, at: 0)),
            ([0xFE, 0xFF, 0x00, 0x31], JSONError(.unexpectedByte, at: 0)),
            ([0x31, 0x00], JSONError(.trailingBytes, at: 1)),
            ([0x00], JSONError(.unexpectedByte, at: 0)),
        ] as [([UInt8], JSONError)])
    func `other encodings than plain UTF-8 are refused`(bytes: [UInt8], error: JSONError) {
        #expect(Self.error(bytes) == error)
    }

    @Test(
        arguments: [
            // Duplicate keys are refused, compared after unescaping.
            ("{\"a\":1,\"a\":1}", JSONError(.duplicateKey, at: 7)),
            ("{\"a\":1,\"\\u0061\":2}", JSONError(.duplicateKey, at: 7)),
            ("{\"\":1,\"\":2}", JSONError(.duplicateKey, at: 6)),
            ("{\"x\":{\"b\":1,\"c\":2,\"b\":3}}", JSONError(.duplicateKey, at: 18)),
            // Lone surrogates are refused, raw ones are no UTF-8.
            ("\"\\uD800\"", JSONError(.loneSurrogate, at: 1)),
            ("\"\\uDC00\"", JSONError(.loneSurrogate, at: 1)),
            ("\"\\uD800\\uD800\"", JSONError(.loneSurrogate, at: 1)),
            ("\"\\uD800a\"", JSONError(.loneSurrogate, at: 1)),
            ("\"\\uD800\\n\"", JSONError(.loneSurrogate, at: 1)),
            ("\"\\uDd1e\\uD834\"", JSONError(.loneSurrogate, at: 1)),
            // U+0000 is refused, since databases cannot hold it.
            ("\"\\u0000\"", JSONError(.nullCharacter, at: 1)),
            ("\"\0\"", JSONError(.nullCharacter, at: 1)),
            ("{\"\\u0000\":1}", JSONError(.nullCharacter, at: 2)),
            // Numbers are kept as text within these bounds.
            ("1e400", nil), ("1e-400", nil), ("-1E+0400", nil),
            ("1e401", JSONError(.exponentTooLarge, at: 2)),
            ("1e-401", JSONError(.exponentTooLarge, at: 3)),
            ("1e99999999999999999999", JSONError(.exponentTooLarge, at: 2)),
            ("123456789012345678901234567890.123456789", nil),
        ] as [(String, JSONError?)])
    func `where implementations differ, this is the choice`(text: String, error: JSONError?) {
        #expect(Self.error(text) == error)
    }

    @Test func `a number has at most 64 characters`() {
        #expect(Self.error(String(repeating: "1", count: 64)) == nil)
        #expect(
            Self.error("[" + String(repeating: "1", count: 65) + "]")
                == JSONError(.numberTooLong, at: 1))
        #expect(Self.error("0." + String(repeating: "1", count: 62)) == nil)
        #expect(
            Self.error("0." + String(repeating: "1", count: 63)) == JSONError(.numberTooLong, at: 0)
        )
    }

    @Test func `64 levels are admitted, 65 are not, whatever encloses them`() {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            func nested(_ depth: Int) -> String {
                String(repeating: open, count: depth - 1) + (open == "[" ? "[]" : "{}")
                    + String(repeating: close, count: depth - 1)
            }
            #expect(Self.error(nested(64)) == nil)
            #expect(Self.error(nested(65))?.code == .tooDeep)
            #expect(Self.error(nested(65))?.offset == 64 * open.utf8.count)
        }
        let hostile = [UInt8](repeating: UInt8(ascii: "["), count: 1 << 20)
        #expect(Self.error(hostile) == JSONError(.tooDeep, at: 64))
    }

    @Test func `an object has at most 10,000 members, all different`() {
        func object(_ names: [Int]) -> String {
            "{" + names.map { "\"k\($0)\":0" }.joined(separator: ",") + "}"
        }
        #expect(Self.error(object(Array(0..<10_000))) == nil)
        #expect(Self.error(object(Array(0...10_000)))?.code == .tooManyMembers)
        for count in [2, 3, 15, 16, 17, 31, 32, 33, 34, 100, 9_999] {
            for place in Set([0, count / 2, count - 1]) {
                let names = Array(0..<count) + [place]
                let wanted = object(Array(0..<count)).utf8.count
                #expect(
                    Self.error(object(names)) == JSONError(.duplicateKey, at: wanted), "\(count)")
            }
        }
    }

    @Test func `keys that look alike at their start are told apart`() {
        let names = (0..<20).map { "\"same-beginning-\($0)\":0" }
        #expect(Self.error("{" + names.joined(separator: ",") + "}") == nil)
        #expect(
            Self.error("{" + (names + [names[3]]).joined(separator: ",") + "}")?.code
                == .duplicateKey)
    }

    @Test func `every truncation of every example is refused, none traps`() throws {
        for packet in try Repository.examplePackets().prefix(6) {
            for end in 0..<packet.count {
                #expect(Self.error(Array(packet[..<end])) != nil, "\(end)")
            }
            #expect(Self.error(packet) == nil)
        }
    }

    @Test func `random changes are admitted or refused, and none traps`() throws {
        var generator = SeededGenerator(seed: 11)
        let packets = try Repository.examplePackets()
        let pieces = Array("{}[],:\"\\ue+-.019 \ntfn\u{0}é🔥".utf8) + [0x80, 0xFF, 0xED]
        var reader = PacketReader()
        var admitted = 0
        for _ in 0..<60_000 {
            var packet = packets.randomElement(using: &generator)!
            for _ in 0..<Int.random(in: 1...3, using: &generator) {
                let place = Int.random(in: packet.indices, using: &generator)
                switch Int.random(in: 0..<3, using: &generator) {
                case 0: packet[place] = pieces.randomElement(using: &generator)!
                case 1: packet.insert(pieces.randomElement(using: &generator)!, at: place)
                default: packet.remove(at: place)
                }
            }
            if (try? reader.read(packet.span)) != nil { admitted += 1 }
        }
        #expect(admitted > 0)
    }
}
