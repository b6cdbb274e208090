import Foundation
import Packets
import TestSupport
import Testing

/// Containment is what PostgreSQL says it is.
@Suite struct ContainmentTests {
    static func contains(_ document: [UInt8], _ pattern: [UInt8]) throws -> Bool {
        let document = try JSONDocument(document)
        var containment = JSONContainment(try JSONDocument(pattern))
        return try containment.isContained(in: document.tokens, document.bytes.span, at: 0)
    }

    @Test(
        arguments: [
            ("{}", "{}", true), ("[]", "[]", true), ("{}", "[]", false), ("[]", "{}", false),
            ("[1,2]", "[2,1,1]", true), ("[1,2]", "2", true), ("[[1]]", "1", false),
            ("1", "[1]", false), ("1", "1.0", true), ("[[1,2]]", "[[2]]", true),
            ("{\"a\":[1]}", "{\"a\":1}", false), ("{\"a\":{\"b\":1,\"c\":2}}", "{\"a\":{}}", true),
            ("[{\"a\":1},{\"b\":2}]", "[{\"a\":1,\"b\":2}]", false), ("null", "null", true),
            ("\"\\u0061\"", "\"a\"", true), ("[\"a\"]", "[\"A\"]", false), ("[{}]", "[[]]", false),
            ("[1e2]", "[100]", true), ("-0", "0", true), ("[null]", "null", true),
        ] as [(String, String, Bool)])
    func `known cases`(document: String, pattern: String, expected: Bool) throws {
        #expect(try Self.contains(Array(document.utf8), Array(pattern.utf8)) == expected)
    }

    @Test(.enabled(if: PostgresServer.obstacle == nil, "PostgreSQL 15 is not installed"))
    func `30,000 generated pairs of document and pattern are judged like PostgreSQL's`() throws {
        let server = try PostgresServer()
        let folder = try TemporaryFolder()
        var random = RandomJSON(seed: 20_260_914)
        var pairs: [(document: String, pattern: String)] = []
        for number in 0..<30_000 {
            let value = number.isMultiple(of: 5) ? random.value() : random.object()
            pairs.append((random.text(value), random.text(random.pattern(of: value))))
        }
        let lines = pairs.enumerated().map {
            "\($0.offset)\u{1}\($0.element.document)\u{1}\($0.element.pattern)\n"
        }
        let file = try folder.file("pairs", Array(lines.joined().utf8))
        let answers = try server.psql(
            """
            CREATE TABLE pairs (number int, document jsonb, pattern jsonb);
            \\copy pairs FROM '\(file)' \(PostgresServer.copyOptions)
            SELECT document @> pattern FROM pairs ORDER BY number;
            """)
        try #require(answers.count == pairs.count)
        var (positive, problems) = (0, [String]())
        var scanner = TermScanner(key: TermKey(first: 7, second: 11))
        for (pair, answer) in zip(pairs, answers) {
            let (document, pattern) = (Array(pair.document.utf8), Array(pair.pattern.utf8))
            if answer == "t" { positive += 1 }
            if try Self.contains(document, pattern) != (answer == "t") {
                problems.append("\(pair.document) @> \(pair.pattern): PostgreSQL says \(answer)")
            }
            guard answer == "t" else { continue }
            // Whatever contains a pattern has its terms, so no candidate is missed.
            let wanted = Set(scanner.pattern(pattern.span, in: .lineage))
            let present = Set(scanner.pattern(document.span, in: .lineage))
            if !wanted.isSubset(of: present) {
                problems.append("\(pair.document) lacks terms of \(pair.pattern)")
            }
        }
        #expect(problems == [], "\(problems.prefix(10))")
        #expect(positive > 5_000 && pairs.count - positive > 3_000, "\(positive) are contained")
    }

    @Test(.enabled(if: PostgresServer.obstacle == nil, "PostgreSQL 15 is not installed"))
    func `500 patterns over a ledger find the packets that PostgreSQL finds`() throws {
        let packets = try Workload.packets(creators: 8)
        let daemon = try Daemon()
        let client = try HTTPClient(daemon.socket)
        let emitted = try client.emitLines(Array(packets.joined(separator: [0x0A])))
        #expect(emitted.lines.allSatisfy { $0.hasPrefix("{\"status\":201") })
        let folder = try TemporaryFolder()
        let file = try folder.file("packets", Array(packets.joined(separator: [0x0A])) + [0x0A])
        var patterns = PatternSource(packets, seed: 41)
        let questions = try (0..<500).map { _ in try patterns.next() }
        let lines = questions.enumerated().map {
            "\($0.offset)\u{1}\($0.element.column)\u{1}\($0.element.pattern)\n"
        }
        let patternFile = try folder.file("patterns", Array(lines.joined().utf8))
        let server = try PostgresServer()
        let rows = try server.psql(
            """
            CREATE TABLE packets (packet jsonb);
            \\copy packets FROM '\(file)' \(PostgresServer.copyOptions)
            CREATE TABLE patterns (number int, col text, pattern jsonb);
            \\copy patterns FROM '\(patternFile)' \(PostgresServer.copyOptions)
            CREATE TABLE m AS SELECT packet->>'stardust_id' AS id, packet->'lineage' AS lineage,
                nullif(packet->'decision_chain', 'null') AS decision_chain FROM packets;
            SELECT number || ' ' || coalesce(string_agg(id, ',' ORDER BY id), '')
            FROM patterns LEFT JOIN m
                ON CASE col WHEN 'lineage' THEN lineage @> pattern ELSE decision_chain @> pattern END
            GROUP BY number ORDER BY number;
            """)
        try #require(rows.count == questions.count)
        var nonEmpty = 0
        for (number, row) in rows.enumerated() {
            let expected =
                row.split(separator: " ").dropFirst().first.map {
                    Set($0.split(separator: ",").map(String.init))
                } ?? []
            if !expected.isEmpty { nonEmpty += 1 }
            let question = questions[number]
            let found = try client.allIDs(
                "/v1/packets?\(question.column)=\(question.pattern.percentEncoded)")
            #expect(Set(found) == expected, "\(question)")
            #expect(found.count == expected.count)
        }
        #expect(nonEmpty > 300, "\(nonEmpty) patterns find something")
    }
}

/// Patterns made of parts of packets.
struct PatternSource {
    private var documents: [JSONDocument]
    private var random: RandomJSON

    init(_ packets: [[UInt8]], seed: UInt64) {
        documents = packets.compactMap { try? JSONDocument($0) }
        random = RandomJSON(seed: seed)
    }

    mutating func next() throws -> (column: String, pattern: String) {
        while true {
            let document = documents.randomElement(using: &random.generator)!
            let column = Bool.random(using: &random.generator) ? "lineage" : "decision_chain"
            guard let part = document.member(column, of: 0), document.tokens[part].kind != .null
            else { continue }
            let value = Self.value(document, part)
            return (column, random.text(random.pattern(of: value)))
        }
    }

    private static func value(_ document: JSONDocument, _ index: Int) -> RandomJSON.Value {
        switch document.tokens[index].kind {
        case .object:
            .object(
                JSONChildren(document.tokens, of: index).map {
                    (document.bytes.span.string(document.tokens[$0]), value(document, $0 + 1))
                })
        case .array: .array(JSONChildren(document.tokens, of: index).map { value(document, $0) })
        case .string, .key: .string(document.bytes.span.string(document.tokens[index]))
        case .number: .number(String(decoding: document.source(index), as: UTF8.self))
        case .true, .false, .null:
            .literal(String(decoding: document.source(index), as: UTF8.self))
        }
    }
}
