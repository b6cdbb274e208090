import Foundation

/// Packets as the engine's workers emit them.
package enum Workload {
    /// Packets of a generated pipeline where the generator stands beside the project, about 330 for
    /// each creator; else those that the project carries.
    package static func packets(creators: Int) throws -> [[UInt8]] {
        guard let shared = Repository.shared else { return try Repository.examplePackets() }
        let folder = try TemporaryFolder()
        let made = try run([
            "python3", shared + "/workload/omniva_workload.py", folder.path, "--creators",
            "\(creators)",
        ])
        guard made.status == 0 else { throw Daemon.Failure("the workload: \(made.error)") }
        let content = try Data(contentsOf: URL(fileURLWithPath: folder.path + "/packets.ndjson"))
        return Array(content).split(separator: 0x0A).map(Array.init)
    }
}

extension String {
    /// As it stands in a query.
    package var percentEncoded: String {
        addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? ""
    }
}

extension HTTPClient {
    /// The packets of all pages of a list.
    package func allPackets(_ path: String, limit: Int = 1000) throws -> [[String: Any]] {
        var (packets, cursor): ([[String: Any]], String?) = ([], nil)
        repeat {
            let separator = path.contains("?") ? "&" : "?"
            let answer = try get(
                path + "\(separator)limit=\(limit)" + (cursor.map { "&cursor=\($0)" } ?? ""))
            guard answer.status == 200 else { throw Daemon.Failure("\(path): \(answer.text)") }
            packets += answer.json["packets"] as? [[String: Any]] ?? []
            cursor = answer.json["next"] as? String
        } while cursor != nil
        return packets
    }

    package func allIDs(_ path: String, limit: Int = 1000) throws -> [String] {
        try allPackets(path, limit: limit).map { $0["stardust_id"] as? String ?? "" }
    }
}
