import DaemonTestSupport
import Foundation
import LedgerFormat
import Packets
import TestSupport
import Testing

/// Containment queries find what PostgreSQL finds.
@Suite struct ContainmentQueryTests {
    @Test(.needs(PostgresServer.obstacle == nil, "PostgreSQL 15 is not installed"))
    func `500 patterns over a ledger find the packets that PostgreSQL finds`() throws {
        let packets = Workload.packets(creators: 8)
        let daemon = try Daemon()
        let client = try HTTPClient(daemon.socket)
        let emitted = try client.emitLines(Array(packets.joined(separator: [0x0A])))
        #expect(emitted.lines.allSatisfy { $0.hasPrefix("{\"status\":201") })
        let folder = try TemporaryFolder()
        let file = try folder.file("packets", Array(packets.joined(separator: [0x0A])) + [0x0A])
        var patterns = PatternSource(packets, seed: 41)
        // More than 500, since nearly half of them find nothing.
        let queries = try (0..<600).map { _ in try patterns.next() }
        let lines = queries.enumerated().map {
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
        try #require(rows.count == queries.count)
        var nonEmpty = 0
        for (number, row) in rows.enumerated() {
            let expected =
                row.split(separator: " ").dropFirst().first.map {
                    Set($0.split(separator: ",").map(String.init))
                } ?? []
            if !expected.isEmpty { nonEmpty += 1 }
            let query = queries[number]
            let found = try client.allIDs(
                "/v1/packets?\(query.column)=\(query.pattern.percentEncoded)")
            #expect(Set(found) == expected, "\(query)")
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
