import Foundation
import Synchronization

/// A real server that speaks S3's protocol, on the loopback, with its files in a folder of its own.
package final class ObjectStoreServer: Sendable {
    package let folder: String
    /// `http://127.0.0.1:` and its port.
    package let url: String

    package enum Kind: String, Sendable, CaseIterable {
        /// SeaweedFS, which checks signatures, checksums, locks and policies.
        case weed
        /// moto, which checks none of them, and gives credentials like a machine of Amazon's.
        case moto
    }

    /// Why there can be none here; nil where there can.
    package static let obstacle: String? = {
        let programs = Repository.root + "/.build/python/bin"
        for name in ["weed", "moto_server"]
        where !FileManager.default.isExecutableFile(atPath: "\(programs)/\(name)") {
            return "\(name) is not installed (Scripts/install-packages test)"
        }
        return nil
    }()

    package init(_ kind: Kind) throws {
        let result = try run([Repository.root + "/Scripts/object-store", "start", kind.rawValue])
        guard result.status == 0 else { throw Failure("\(kind): \(result.error)") }
        folder = result.output.trimmingCharacters(in: .whitespacesAndNewlines)
        url = try String(contentsOfFile: folder + "/url", encoding: .utf8)
            .trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// One that all tests of this process use, each below a prefix of its own.
    package static func shared(_ kind: Kind) throws -> ObjectStoreServer {
        try (kind == .weed ? weed : moto).get()
    }

    private static let weed = Result { try ofProcess(.weed) }
    private static let moto = Result { try ofProcess(.moto) }

    private static func ofProcess(_ kind: Kind) throws -> ObjectStoreServer {
        let server = try ObjectStoreServer(kind)
        started.withLock { $0.append(server) }
        // Nothing else ends what a process holds to its own end.
        atexit { for server in ObjectStoreServer.started.withLock({ $0 }) { server.stop() } }
        return server
    }

    private static let started = Mutex<[ObjectStoreServer]>([])

    deinit { stop() }

    private func stop() {
        _ = try? run([Repository.root + "/Scripts/object-store", "stop", folder])
    }

    /// Ends the server as a crash would, or starts it again.
    package func halt() throws { try command("halt") }
    package func go() throws { try command("go") }

    private func command(_ name: String) throws {
        let result = try run([Repository.root + "/Scripts/object-store", name, folder])
        guard result.status == 0 else { throw Failure("\(name): \(result.error)") }
    }

    /// What its user may be told by: key and secret.
    package static let environment = [
        "AWS_ACCESS_KEY_ID": "archive", "AWS_SECRET_ACCESS_KEY": "archive-secret",
    ]
}
