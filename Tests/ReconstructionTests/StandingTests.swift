import Foundation
import LedgerFormat
import LedgerTestSupport
import Reconstruction
import Testing

/// What later packets make of a packet, case by case.
@Suite struct StandingTests {
    typealias Statement = (relation: String, target: Int)

    private static func id(_ number: Int) -> UUID128 { UUID128(high: 0x4000, low: UInt64(number)) }

    /// Packets 0, 1, 2, …, each with what it says about others.
    private static func ledger(_ packets: [[Statement]]) -> MemorySource {
        let source = MemorySource()
        for (number, statements) in packets.enumerated() {
            let references = statements.map { relation, target in
                #"{"stardust_id":"\#(id(target))","relation":"\#(relation)","why":"why \#(number)"}"#
            }
            source.append(
                id(number), entity: id(100 + number),
                lineage: "\"_meta_parents\":[\(references.joined(separator: ","))]")
        }
        return source
    }

    private static func document(
        _ source: MemorySource, _ target: Int, _ direction: ChainRequest.Direction = .upstream,
        packets: Int = 100
    ) throws -> [String: Any] {
        var limits = ChainLimits()
        limits.packets = packets
        let request = ChainRequest(.packet(id(target)), direction: direction, limits: limits)
        let json = try #require(
            try Chain(request, in: source).rendered(.json, of: MemorySource.ledger))
        return try #require(try JSONSerialization.jsonObject(with: Data(json)) as? [String: Any])
    }

    private static func packets(_ document: [String: Any]) -> [Int: [String: Any]] {
        let packets = document["packets"] as? [[String: Any]] ?? []
        return Dictionary(uniqueKeysWithValues: packets.map { ($0["position"] as! Int, $0) })
    }

    private static func kinds(_ document: [String: Any]) -> [String] {
        (document["conflicts"] as? [[String: Any]] ?? []).map { $0["kind"] as! String }
    }

    /// The table in Docs/Querying.md: what is said, and how packet 0 then stands.
    static let cases: [(name: String, packets: [[Statement]], standing: String)] = [
        ("nothing is said", [[], [("derived_from", 0)]], "current"),
        ("revised", [[], [("revision_of", 0)]], "revised"),
        ("superseded", [[], [("supersedes", 0)]], "superseded"),
        ("retracted", [[], [("retracts", 0)]], "retracted"),
        ("revised and superseded", [[], [("supersedes", 0)], [("revision_of", 0)]], "superseded"),
        (
            "all three", [[], [("retracts", 0)], [("supersedes", 0)], [("revision_of", 0)]],
            "retracted"
        ),
        ("the retraction is retracted", [[], [("retracts", 0)], [("retracts", 1)]], "current"),
        (
            "the retraction of the retraction is retracted",
            [[], [("retracts", 0)], [("retracts", 1)], [("retracts", 2)]], "retracted"
        ),
        (
            "one of two retractions is retracted",
            [[], [("retracts", 0)], [("retracts", 0)], [("retracts", 1)]], "retracted"
        ),
        (
            "the retraction is superseded", [[], [("retracts", 0)], [("supersedes", 1)]],
            "retracted"
        ),
        (
            "the superseding one is retracted", [[], [("supersedes", 0)], [("retracts", 1)]],
            "current"
        ),
        ("itself", [[("retracts", 0)]], "current"),
        ("by one that came before it", [[("retracts", 1)], []], "current"),
        (
            "each other: the later has the last word", [[("retracts", 1)], [("retracts", 0)]],
            "retracted"
        ),
    ]

    @Test(arguments: cases.indices)
    func `standing follows the table`(index: Int) throws {
        let (name, packets, standing) = Self.cases[index]
        let document = try Self.document(Self.ledger(packets), 0)
        #expect(Self.packets(document)[0]?["standing"] as? String == standing, "\(name)")
    }

    @Test func `an early amendment counts`() throws {
        let document = try Self.document(Self.ledger([[("retracts", 1)], []]), 1)
        #expect(Self.packets(document)[1]?["standing"] as? String == "retracted")
    }

    @Test(arguments: ["supersedes", "revision_of", "retracts"])
    func `whoever builds on an amended packet learns by whom, when and why`(
        relation: String
    ) throws {
        // 2 says something about 0; 1 builds on 0 and does not know.
        let source = Self.ledger([[], [("derived_from", 0)], [(relation, 0)]])
        let document = try Self.document(source, 1)
        let kind = ["supersedes": "superseded", "revision_of": "revised", "retracts": "retracted"]
        #expect(Self.kinds(document) == [kind[relation]!])
        let conflict = (document["conflicts"] as! [[String: Any]])[0]
        #expect(conflict["positions"] as? [Int] == [0, 2])
        let amendment = (document["amendments"] as! [[String: Any]])[0]
        #expect(amendment["stardust_id"] as? String == Self.id(2).description)
        #expect(amendment["amends"] as? Int == 0 && amendment["in_force"] as? Bool == true)
        #expect((amendment["ref"] as? [String: Any])?["why"] as? String == "why 2")
        #expect(amendment["created_at"] is String && amendment["entry_hash"] is String)
        let text = try Chain(ChainRequest(.packet(Self.id(1))), in: source).text
        #expect(text.contains("because “why 2”"), "\(text)")
        let sources = text.components(separatedBy: "SOURCES\n")[1]
        #expect(sources.contains("[2] \(Self.id(2)) "), "\(text)")
        #expect(Self.packets(document)[1]?["tainted"] as? Bool == (relation == "retracts"))
    }

    @Test func `taint does not depend on the direction or the depth asked for`() throws {
        // 0 is retracted by 4; 1 ← 2 ← 3 build on it.
        let source = Self.ledger([
            [], [("derived_from", 0)], [("derived_from", 1)], [("derived_from", 2)],
            [("retracts", 0)],
        ])
        for direction in ChainRequest.Direction.allCases {
            for target in 1...3 {
                let packets = Self.packets(try Self.document(source, target, direction))
                #expect(!packets.isEmpty)
                for (position, packet) in packets {
                    #expect(
                        packet["tainted"] as? Bool == (1...3).contains(position),
                        "\(direction) of \(target): \(position)")
                }
            }
        }
        // Where not all ancestors are looked at, nobody says that there is nothing.
        let packets = Self.packets(try Self.document(source, 3, .downstream, packets: 1))
        #expect(packets[3]?["tainted"] is NSNull)
    }

    @Test func `answers that were taken back contradict nobody`() throws {
        func ledger(_ statements: [Statement]) -> MemorySource {
            let source = MemorySource()
            for (number, chosen) in ["a", "b"].enumerated() {
                source.append(
                    Self.id(number), entity: Self.id(50), lineage: #""_meta_parents":[]"#,
                    chain:
                        #"{"decision_key":"k","nodes":[{"id":"n","kind":"selection","chosen":"\#(chosen)"}]}"#
                )
            }
            for (number, (relation, target)) in statements.enumerated() {
                source.append(
                    Self.id(2 + number), entity: Self.id(60 + number),
                    lineage:
                        #""_meta_parents":[{"stardust_id":"\#(Self.id(target))","relation":"\#(relation)"}]"#
                )
            }
            return source
        }
        func contradicts(_ statements: [Statement]) throws -> Bool {
            let request = ChainRequest(.entity("clips", Self.id(50)))
            let json = try #require(
                try Chain(request, in: ledger(statements)).rendered(.json, of: MemorySource.ledger))
            let document = try JSONSerialization.jsonObject(with: Data(json)) as! [String: Any]
            return Self.kinds(document).contains("contradiction")
        }
        #expect(try contradicts([]))
        #expect(try !contradicts([("retracts", 0)]))
        #expect(try !contradicts([("supersedes", 1)]))
        #expect(try !contradicts([("revision_of", 1)]))
        #expect(try contradicts([("retracts", 0), ("retracts", 2)]))
    }

    @Test func `two that supersede one packet are a fork, one of them retracted is none`() throws {
        let two = Self.ledger([[], [("supersedes", 0)], [("supersedes", 0)]])
        #expect(Self.kinds(try Self.document(two, 0)).contains("fork"))
        let one = Self.ledger([[], [("supersedes", 0)], [("supersedes", 0)], [("retracts", 2)]])
        #expect(!Self.kinds(try Self.document(one, 0)).contains("fork"))
    }

    @Test func `only stated times are compared`() throws {
        let source = MemorySource()
        source.append(Self.id(0), entity: Self.id(10), lineage: #""_meta_parents":[]"#, created: 9)
        source.append(
            Self.id(1), entity: Self.id(11),
            lineage: #""_meta_parents":["\#(Self.id(0))"]"#, created: 5)
        #expect(Self.kinds(try Self.document(source, 1)) == ["parent_created_later"])
        source.assignCreation(ofPacket: 0)
        #expect(Self.kinds(try Self.document(source, 1)) == [])
    }

    @Test func `retractions of retractions of retractions are followed to the end`() throws {
        let source = Self.ledger([[]] + (0..<300).map { [("retracts", $0)] })
        // An even number of retractions above it: it stands.
        let standing = Self.packets(try Self.document(source, 0))[0]?["standing"] as? String
        #expect(standing == "current")
    }
}
