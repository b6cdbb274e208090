import Foundation
import TestSupport

/// Small packets of one story.
package struct Story {
    package let daemon: Daemon
    package let client: HTTPClient
    package static let trace = "7d3f0a52-6f0d-4f6e-8c1b-1a2b3c4d5e6f"

    package init(configuration: String? = nil) throws {
        daemon = try Daemon(configuration: configuration)
        client = try HTTPClient(daemon.socket)
    }

    /// An id that is easy to read.
    package static func id(_ number: Int) -> String {
        let digits = String(number, radix: 16)
        return "aaaaaaaa-0000-4000-8000-"
            + String(repeating: "0", count: 12 - digits.count) + digits
    }

    package static func packet(
        _ number: Int, parents: [String] = [], entity: Int = 0, type: String = "clips",
        event: String? = nil, chain: String = "null", trace: String = Story.trace,
        created: String = "2026-09-14T10:42:07.311Z"
    ) -> String {
        let event = event.map { ",\"event\":\"\($0)\"" } ?? ""
        return """
            {"stardust_id":"\(id(number))","entity_type":"\(type)",\
            "entity_id":"bbbbbbbb-0000-4000-8000-\(String(format: "%012x", entity))",\
            "lineage":{"trace_id":"\(trace)","_meta_parents":[\(parents.joined(separator: ","))]\
            \(event)},"decision_chain":\(chain),"created_at":"\(created)"}
            """
    }

    package static func parent(_ number: Int, _ relation: String = "derived_from") -> String {
        "{\"stardust_id\":\"\(id(number))\",\"relation\":\"\(relation)\"}"
    }

    @discardableResult
    package func emit(_ packet: String) throws -> HTTPClient.Answer {
        try client.emit(Array(packet.utf8))
    }

    package func chain(_ number: Int, _ query: String = "") throws -> ChainAnswer {
        try document("/v1/packets/\(Self.id(number))/chain?\(query)")
    }

    package func document(_ path: String) throws -> ChainAnswer {
        let answer = try client.get(path)
        guard answer.status == 200 else { throw Failure("\(path): \(answer.text)") }
        guard try client.get(path).body == answer.body else {
            throw Failure("\(path): the same query gives other bytes")
        }
        return ChainAnswer(json: answer.json)
    }
}

package struct ChainAnswer {
    package let json: [String: Any]

    package func list(_ name: String) -> [[String: Any]] { json[name] as? [[String: Any]] ?? [] }
    package var positions: [Int] { list("packets").map { $0["position"] as! Int } }
    package var isComplete: Bool { json["complete"] as! Bool }
    package var reasons: [String] { json["incomplete_because"] as! [String] }
    package func conflicts(_ kind: String) -> [[Int]] {
        list("conflicts").filter { $0["kind"] as? String == kind }
            .map { $0["positions"] as! [Int] }
    }
    package var tainted: [Int] {
        list("packets").filter { $0["tainted"] as? Bool == true }.map { $0["position"] as! Int }
    }
}
