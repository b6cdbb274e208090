import Foundation
import LedgerFormat
import LedgerTestSupport
import PipelineWorkload
import Reconstruction
import TestSupport
import Testing

/// Thousands of small ledgers with every kind of reference, against the definition.
@Suite struct RandomGraphTests {
    static func ledger(seed: UInt64) -> MemorySource {
        var generator = SeededGenerator(seed: seed)
        let source = MemorySource()
        let count = Int.random(in: 1...12, using: &generator)
        let ids = (0..<count).map { _ in UUID128.random(using: &generator) }
        let entities = (0..<3).map { _ in UUID128.random(using: &generator) }
        var hashes: [Digest] = []
        for number in 0..<count {
            var references: [String] = []
            for _ in 0..<Int.random(in: 0...3, using: &generator) {
                references.append(reference(ids, entities, hashes, &generator))
            }
            hashes.append(
                source.append(
                    ids[number], entity: entities.randomElement(using: &generator)!,
                    lineage: "\"_meta_parents\":[\(references.joined(separator: ","))]"))
        }
        return source
    }

    private static func reference(
        _ ids: [UUID128], _ entities: [UUID128], _ hashes: [Digest],
        _ generator: inout SeededGenerator
    ) -> String {
        let id = ids.randomElement(using: &generator)!
        let entity =
            "\"entity_type\":\"clips\",\"entity_id\":\"\(entities.randomElement(using: &generator)!)\""
        let relation = [
            "", ",\"relation\":\"revision_of\"", ",\"relation\":\"retracts\"",
            ",\"relation\":\"supersedes\"", ",\"relation\":\"input_to\"", "",
        ].randomElement(using: &generator)!
        let hash = hashes.randomElement(using: &generator) ?? .zero
        switch Int.random(in: 0..<9, using: &generator) {
        case 0: return "\"\(id)\""
        case 1:
            return "{\"stardust_id\":\"\(UUID128.random(using: &generator))\",\(entity)\(relation)}"
        case 2: return "{\"packet_hash\":\"\(hash.tagged)\"\(relation)}"
        case 3: return "{\(entity)\(relation)}"
        case 4: return "{\"uri\":\"https://example.com\"\(relation)}"
        case 5:
            return
                "{\"stardust_id\":\"\(id)\",\"packet_hash\":\"\(hash.tagged)\",\(entity)\(relation)}"
        default: return "{\"stardust_id\":\"\(id)\"\(relation)}"
        }
    }

    @Test func `4,000 random ledgers give what the definition says`() throws {
        var (cycles, tainted, forks, cutShort, beyond) = (0, 0, 0, 0, 0)
        var standings: [String: Int] = [:]
        for seed in 0..<4_000 as Range<UInt64> {
            let source = Self.ledger(seed: seed)
            let direction = ChainRequest.Direction.allCases[Int(seed % 3)]
            var limits = ChainLimits()
            if seed.isMultiple(of: 5) { limits.depth = 2 }
            let target = source.packets[Int(seed) % source.packets.count]
            let targets: [ChainTarget] = [
                .packet(target.stardustID), .entity("clips", target.entityID),
            ]
            let request = ChainRequest(
                targets[Int(seed / 3 % 2)], direction: direction, limits: limits)
            let chain = try Chain(request, in: source)
            let json = try #require(chain.rendered(.json, of: MemorySource.ledger))
            #expect(
                try Chain(request, in: source).rendered(.json, of: MemorySource.ledger) == json,
                "seed \(seed)")
            let document = try #require(
                try JSONSerialization.jsonObject(with: Data(json)) as? [String: Any])

            var naive = NaiveChain(source)
            var roots: [Int] = []
            try source.each(of: request.target) {
                roots.append(Int($0.value))
                return true
            }
            naive.walk(roots, direction, depth: limits.depth)
            let (order, cut) = naive.order()
            let packets = document["packets"] as? [[String: Any]] ?? []
            #expect(packets.map { $0["position"] as? Int } == order, "order, seed \(seed)")
            #expect(
                packets.map { $0["depth"] as? Int } == order.map { naive.depths[$0] },
                "depths, seed \(seed)")
            let edges = (document["edges"] as? [[String: Any]] ?? []).map { edge in
                "\(edge["from"]!) \(edge["to"] is NSNull ? "-" : "\(edge["to"]!)") \(edge["found_by"]!) \(edge["relation"]!)"
            }
            #expect(
                edges.sorted()
                    == naive.edges.map {
                        "\($0.from) \($0.to.map(String.init) ?? "-") \($0.foundBy) \($0.relation)"
                    }.sorted(), "edges, seed \(seed)")
            let cyclesCut = (document["cycles_cut"] as? [[String: Int]] ?? []).map {
                [$0["from"]!, $0["to"]!]
            }
            #expect(cyclesCut == cut, "cycles, seed \(seed)")
            let wasTainted = Set(
                packets.filter { $0["tainted"] as? Bool == true }.map { $0["position"] as! Int })
            let inForce = naive.inForce()
            #expect(wasTainted == naive.tainted(inForce), "tainted, seed \(seed)")
            let standing = Dictionary(
                uniqueKeysWithValues: packets.map {
                    ($0["position"] as! Int, $0["standing"] as! String)
                })
            #expect(standing == naive.standing(inForce), "standing, seed \(seed)")
            for state in standing.values { standings[state, default: 0] += 1 }
            if direction == .downstream { beyond += wasTainted.count }
            let conflicts = document["conflicts"] as? [[String: Any]] ?? []
            let found = Set(
                conflicts.filter { $0["kind"] as? String == "fork" }
                    .map { Set($0["positions"] as! [Int]) })
            #expect(found == naive.forks(inForce), "forks, seed \(seed)")
            let amended = Set(
                conflicts.filter {
                    ["retracted", "superseded", "revised"].contains($0["kind"] as! String)
                }.map { "\($0["kind"]!) \(($0["positions"] as! [Int])[0])" })
            #expect(amended == naive.amended(inForce, request.target), "amended, seed \(seed)")
            let amendments = document["amendments"] as? [[String: Any]] ?? []
            let listed = Set(
                amendments.filter { $0["in_force"] as? Bool == true }
                    .map { "\($0["position"]!) \($0["relation"]!) \($0["amends"]!)" })
            let direct = inForce.filter { naive.depths[$0.to!] != nil }
            #expect(
                listed.isSuperset(of: direct.map { "\($0.from) \($0.relation) \($0.to!)" }),
                "amendments, seed \(seed)")
            let reasons = Set(document["incomplete_because"] as? [String] ?? [])
            #expect(reasons.contains("missing_parents") == (naive.missing > 0), "seed \(seed)")
            #expect(reasons.contains("cycles_cut") == !cut.isEmpty, "seed \(seed)")
            #expect((document["complete"] as? Bool) == reasons.isEmpty)
            cycles += cut.count
            tainted += wasTainted.count
            forks += found.count
            if reasons.contains("max_depth") { cutShort += 1 }
        }
        // The random ledgers have what they are to show.
        #expect(cycles > 100 && tainted > 500 && forks > 50 && cutShort > 50 && beyond > 100)
        #expect(standings.count == 4 && standings.values.allSatisfy { $0 > 300 }, "\(standings)")
    }
}
