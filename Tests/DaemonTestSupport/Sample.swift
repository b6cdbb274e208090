import Foundation
import TestSupport

/// Small packets, and requests with them.
package enum Sample {
    package static let id = "5b0f6c1e-2a47-4d7e-9a51-0c2f3d9b7e10"

    package static func packet(_ id: String, more: String = "") -> [UInt8] {
        Array(
            """
            {"stardust_id":"\(id)","entity_type":"clips","entity_id":"c11b0000-0000-4000-8000-00000000c11b",\
            "lineage":{"trace_id":"7d3f0a52-6f0d-4f6e-8c1b-1a2b3c4d5e6f","_meta_parents":[]\(more)}}
            """.utf8)
    }

    /// One of any number of packets, of sizes that differ.
    package static func numbered(_ number: Int) -> (id: String, bytes: [UInt8]) {
        let digits = String(number, radix: 16)
        let id =
            "5b0f6c1e-2a47-4d7e-9a51-" + String(repeating: "0", count: 12 - digits.count) + digits
        let filler = String(repeating: "x", count: number * 7919 % 900)
        return (id, packet(id, more: ",\"filler\":\"\(filler)\""))
    }

    /// Numbered packets as an NDJSON body.
    package static func body(_ numbers: Range<Int>) -> [UInt8] {
        numbers.reduce(into: []) { $0 += numbered($1).bytes + [0x0A] }
    }

    /// The whole request that emits a packet.
    package static func request(_ packet: [UInt8]) -> [UInt8] {
        Array(
            "POST /v1/packets HTTP/1.1\r\nhost: x\r\ncontent-length: \(packet.count)\r\n\r\n".utf8)
            + packet
    }
}
