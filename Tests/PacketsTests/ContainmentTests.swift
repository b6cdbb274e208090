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

    @Test(.needs(PostgresServer.obstacle == nil, "PostgreSQL 15 is not installed"))
    func `30,000 generated pairs of document and pattern are judged like PostgreSQL's`() throws {
        let server = try PostgresServer()
        try Soak.seeds("30,000 pairs", 1, soak: 40) { seed in
            try Self.isLikePostgres(server, seed: seed + 20_260_913)
        }
    }

    private static func isLikePostgres(_ server: PostgresServer, seed: UInt64) throws -> Bool {
        let folder = try TemporaryFolder()
        var random = RandomJSON(seed: seed)
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
            DROP TABLE IF EXISTS pairs;
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
        return problems == []
    }
}
