import Foundation
import TestSupport

/// The pipeline that the project carries: sixty packets and sixty-eight row changes.
package enum ExamplePipeline {
    package static let upload = "087610cd-eb0f-4131-bf10-e69b565c4555"
    package static let clip = "803dc396-5342-4b6b-9521-0fe8bd5ae575"

    /// A daemon with the packets.
    package static func daemon(_ configuration: String? = nil) throws -> Daemon {
        let daemon = try Daemon(configuration: configuration)
        _ = try HTTPClient(daemon.socket).emitLines(
            Workload.ndjson(try Repository.examplePackets()))
        return daemon
    }

    /// The same, with a client and the packets as objects.
    package static func asked(
        _ configuration: String? = nil
    ) throws -> (Daemon, HTTPClient, [[String: Any]]) {
        let daemon = try daemon(configuration)
        return (daemon, try HTTPClient(daemon.socket), try objects())
    }

    /// The packets as a reader of JSON sees them.
    package static func objects() throws -> [[String: Any]] {
        try Repository.examplePackets().map {
            guard let object = try JSONSerialization.jsonObject(with: Data($0)) as? [String: Any]
            else { throw Failure("a packet is not an object") }
            return object
        }
    }

    package static func lineage(_ packet: [String: Any]) -> [String: Any] {
        packet["lineage"] as? [String: Any] ?? [:]
    }

    /// The rows of the pipeline as a change feed.
    package static func changes() throws -> String {
        try Repository.text("Docs/Examples/changes.ndjson")
    }

    /// A daemon with the packets and the rows.
    package static func daemonWithRows() throws -> Daemon {
        let daemon = try daemon()
        let answers = try daemon.feed(try changes())
        guard answers.count == 68,
            answers.allSatisfy({ $0["outcome"] as? String == "applied" })
        else { throw Failure("the example's feed was not applied: \(answers)") }
        return daemon
    }
}
