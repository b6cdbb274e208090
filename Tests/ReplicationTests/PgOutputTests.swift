import PipelineWorkload
import ReadModel
import Replication
import TestSupport
import Testing

/// Messages of pgoutput, as the manual has them.
enum Message {
    static func number(_ value: UInt64, _ bytes: Int) -> [UInt8] {
        (0..<bytes).reversed().map { UInt8(truncatingIfNeeded: value >> UInt64($0 * 8)) }
    }
    static func text(_ text: String) -> [UInt8] { Array(text.utf8) + [0] }

    static func begin(_ final: UInt64) -> [UInt8] {
        Array("B".utf8) + number(final, 8) + number(0, 8) + number(1, 4)
    }
    static func commit(_ end: UInt64) -> [UInt8] {
        Array("C".utf8) + [0] + number(end - 1, 8) + number(end, 8) + number(0, 8)
    }
    static func relation(_ id: UInt64, _ name: String, _ columns: [(String, UInt32)]) -> [UInt8] {
        var bytes = Array("R".utf8) + number(id, 4) + text("public") + text(name) + Array("d".utf8)
        bytes += number(UInt64(columns.count), 2)
        for (name, type) in columns {
            bytes += [0] + text(name) + number(UInt64(type), 4) + number(UInt64(UInt32.max), 4)
        }
        return bytes
    }
    /// nil is NULL; "\u{0}" a large value that did not come.
    static func tuple(_ values: [String?]) -> [UInt8] {
        var bytes = number(UInt64(values.count), 2)
        for value in values {
            switch value {
            case nil: bytes += Array("n".utf8)
            case "\u{0}": bytes += Array("u".utf8)
            case let value?:
                bytes += Array("t".utf8) + number(UInt64(value.utf8.count), 4) + Array(value.utf8)
            }
        }
        return bytes
    }
    static func insert(_ id: UInt64, _ values: [String?]) -> [UInt8] {
        Array("I".utf8) + number(id, 4) + Array("N".utf8) + tuple(values)
    }
    static func update(_ id: UInt64, old: [String?]? = nil, _ values: [String?]) -> [UInt8] {
        Array("U".utf8) + number(id, 4) + (old.map { Array("K".utf8) + tuple($0) } ?? [])
            + Array("N".utf8) + tuple(values)
    }
    static func delete(_ id: UInt64, _ key: [String?]) -> [UInt8] {
        Array("D".utf8) + number(id, 4) + Array("K".utf8) + tuple(key)
    }
    static func truncate(_ ids: [UInt64]) -> [UInt8] {
        Array("T".utf8) + number(UInt64(ids.count), 4) + [0] + ids.flatMap { number($0, 4) }
    }

    static let all: [[UInt8]] = [
        begin(16), commit(17),
        relation(7, "creators", [("creator_id", 2950), ("platform", 25), ("username", 25)]),
        insert(7, ["a", nil, ""]), update(7, ["a", "\u{0}", "ü"]),
        update(7, old: ["a", nil, nil], ["b", "\u{0}", nil]), delete(7, ["a", nil, nil]),
        truncate([7, 8]),
    ]
}

@Suite struct PgOutputTests {
    struct Unexpected: Error {}

    static func decode(_ bytes: [UInt8]) throws(ReplicationFailure) -> PgOutputMessage {
        var decoder = PgOutputDecoder()
        return try decoder.decode(bytes.span)
    }

    @Test func `messages are what the manual says`() throws {
        let decoded = try Message.all.map(Self.decode)
        #expect(decoded[0] == .begin(final: LSN(16), commitTime: 0, transaction: 1))
        #expect(decoded[1] == .commit(end: LSN(17), commitTime: 0))
        guard case .relation(let relation) = decoded[2] else { throw Unexpected() }
        #expect(relation.id == 7 && relation.schema == "public" && relation.name == "creators")
        #expect(relation.columns.map(\.name) == ["creator_id", "platform", "username"])
        #expect(relation.columns.map(\.typeOID) == [2950, 25, 25])
        #expect(
            decoded[3] == .insert(relation: 7) && decoded[4] == .update(relation: 7, hasOld: false))
        #expect(
            decoded[5] == .update(relation: 7, hasOld: true) && decoded[6] == .delete(relation: 7))
        #expect(decoded[7] == .truncate(relations: [7, 8]))
        var decoder = PgOutputDecoder()
        let update = Message.all[5]
        _ = try decoder.decode(update.span)
        #expect(decoder.new.map(\.kind) == [.text, .unchanged, .null])
        #expect(update[decoder.new[0].bytes] == [UInt8(ascii: "b")])
        #expect(update[decoder.old[0].bytes] == [UInt8(ascii: "a")])
    }

    @Test func `a message that is cut anywhere, or has more behind it, is an error`() {
        for message in Message.all {
            for count in 0..<message.count {
                #expect(throws: ReplicationFailure.self) {
                    try Self.decode(Array(message[..<count]))
                }
            }
            #expect(throws: ReplicationFailure.self) { try Self.decode(message + [0]) }
        }
    }

    @Test func `no bytes trap, whatever they are`() {
        var generator = SeededGenerator(seed: 25)
        var (read, refused) = (0, 0)
        for round in 0..<200_000 {
            var bytes: [UInt8]
            if round % 4 == 0 {
                bytes = (0..<Int.random(in: 0...40, using: &generator)).map { _ in
                    UInt8.random(in: 0...255, using: &generator)
                }
                if !bytes.isEmpty {
                    bytes[0] = "BCRIUDTOYMx".utf8.randomElement(using: &generator)!
                }
            } else {
                bytes = Message.all.randomElement(using: &generator)!
                for _ in 0..<Int.random(in: 1...4, using: &generator) {
                    let place = bytes.indices.randomElement(using: &generator)!
                    bytes[place] = [
                        0, 1, 0x7F, 0x80, 0xFF, UInt8.random(in: 0...255, using: &generator),
                    ]
                    .randomElement(using: &generator)!
                }
            }
            var decoder = PgOutputDecoder()
            do throws(ReplicationFailure) {
                _ = try decoder.decode(bytes.span)
                read += 1
                // Fields lie within the message.
                #expect(
                    (decoder.new + decoder.old).allSatisfy { $0.bytes.upperBound <= bytes.count })
            } catch { refused += 1 }
        }
        #expect(read > 1000 && refused > 1000)
    }

    @Test func `lines of COPY are read, or refused, and never trap`() {
        func fields(_ line: String) -> [String?]? {
            var reader = CopyLine()
            guard reader.read(Array(line.utf8).span) else { return nil }
            return reader.fields.map { $0.map { String(decoding: reader.text[$0], as: UTF8.self) } }
        }
        #expect(fields("a\tb\n") == ["a", "b"] && fields("") == [""] && fields("\t") == ["", ""])
        #expect(fields(#"\N"#) == [nil] && fields("\\N\t\\N\n") == [nil, nil])
        #expect(fields(#"\\N"#) == [#"\N"#] && fields(#"x\Ny"#) == ["xNy"])
        #expect(fields(#"a\tb\nc\\d\r\b\f\v"#) == ["a\tb\nc\\d\r\u{8}\u{C}\u{B}"])
        #expect(fields("a\t\\N") == ["a", nil] && fields("\\N\t") == [nil, ""])
        #expect(fields("end\\") == nil)
        var generator = SeededGenerator(seed: 9)
        for _ in 0..<100_000 {
            let bytes = (0..<Int.random(in: 0...12, using: &generator)).map { _ in
                "\\N\tab\n".utf8.randomElement(using: &generator)!
            }
            var reader = CopyLine()
            if reader.read(bytes.span) { #expect(!reader.fields.isEmpty) }
        }
    }
}
