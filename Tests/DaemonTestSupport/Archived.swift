import Foundation
import TestSupport

/// A daemon whose ledger the real archive process ships to stores.
package final class Archived: @unchecked Sendable {
    // Unchecked: a test uses it from one task at a time.
    package let daemon: Daemon
    package let configuration: String
    private let environment: [String: String]
    private var process: Background?

    /// The archive process's socket and the daemon's cache.
    private let folder: TemporaryFolder
    package var archiveSocket: String { folder.path + "/archive" }
    package var cache: String { folder.path + "/cache" }

    /// `stores` are elements of the configuration's list. Segments are small, so that there are many.
    /// With `leaves`, none of them stays on the disk once it is archived.
    package init(
        _ stores: [String], segmentBytes: Int = 1 << 17, packetBytes: Int = 4096,
        leaves: Bool = false, more: String = "", environment: [String: String] = [:],
        daemonWrapper: [String] = []
    ) throws {
        folder = try TemporaryFolder()
        try FileManager.default.createDirectory(
            atPath: folder.path + "/cache", withIntermediateDirectories: false)
        let leaving = """
            , "socket": "\(folder.path)/archive", "cache": {"folder": "\(folder.path)/cache"},
            "retain_local": {"bytes": 0, "days": 0}
            """
        let settings = """
            {"segment_bytes": \(segmentBytes), "packet_bytes_max": \(packetBytes), "query_ms_max": 5000,
             "archive": {"stores": [\(stores.joined(separator: ", "))], "ship_after_ms": 100
             \(leaves ? leaving : "")\(more)}}
            """
        daemon = try Daemon(
            configuration: settings, wrapper: daemonWrapper, starts: daemonWrapper.isEmpty)
        // With a wrapper its opening may fail.
        if !daemonWrapper.isEmpty { try? daemon.start() }
        configuration = daemon.folder.path + "/config.json"
        self.environment = environment
    }

    /// One whose stores, folders, have everything, and whose processes run.
    package static func shipped(
        _ stores: [TemporaryFolder], _ numbers: Range<Int>
    ) throws -> Archived {
        let archived = try Archived(stores.map { folder($0.path) })
        try archived.start()
        try archived.emit(numbers)
        try archived.waitUntilShipped()
        return archived
    }

    package static func names(_ folder: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
    }

    /// The ledger's own folder in a store of one ledger.
    package static func ledger(in store: TemporaryFolder) throws -> String {
        store.path + "/" + (try names(store.path).first { $0 != "probe" }!)
    }

    /// A folder as a store.
    package static func folder(_ path: String) -> String { "{\"url\": \"file://\(path)\"}" }

    /// A server's bucket as a store, below a prefix of its own.
    package static func bucket(
        _ server: ObjectStoreServer, _ bucket: String = "ledgers",
        prefix: String = UUID().uuidString
    ) -> String {
        "{\"url\": \"s3://\(bucket)/\(prefix)\", \"endpoint\": \"\(server.url)\"}"
    }

    package func start(wrapper: [String] = []) throws {
        process = try Background(
            wrapper + [Repository.program] + arguments("run"), program: "/usr/bin/env",
            environment: environment)
    }

    private func arguments(_ command: String) -> [String] {
        ["archive", command, "--config", configuration, "--socket", daemon.socket]
    }

    package var isRunning: Bool { process?.isRunning ?? false }
    package var log: String { process?.error ?? "" }

    package func kill() {
        process?.kill()
        process = nil
    }

    @discardableResult
    package func stop() -> Int32 {
        defer { process = nil }
        return process?.stop() ?? 0
    }

    package func run(_ command: String, _ more: String...) throws -> Finished {
        try TestSupport.run(
            [Repository.program] + arguments(command) + more, environment: environment)
    }

    /// Emits packets of the example's pipeline, numbered from `first` on.
    package func emit(_ numbers: Range<Int>, fillerBytes: Int = 600) throws {
        let filler = String(repeating: "x", count: fillerBytes)
        let lines = numbers.flatMap { number in
            Sample.packet(Sample.numbered(number).id, more: ",\"filler\":\"\(filler)\"") + [0x0A]
        }
        let result = try TestSupport.run(
            [Repository.program, "emit", "--socket", daemon.socket],
            input: lines)
        guard result.status == 0 else { throw Failure("emit: \(result.error)") }
    }

    /// Waits until the archive process has ended by itself. Returns its exit code.
    @discardableResult
    package func waitUntilEnded() -> Int32 {
        process?.waitForEnd() ?? 0
    }

    /// Waits until every store has everything, the newest checkpoint included.
    package func waitUntilShipped() throws {
        let deadline = Date() + 120
        var last = ""
        while Date() < deadline {
            // First, so that what was published then is shipped.
            let isPublished = try isPublished()
            let status = try run("status", "--json")
            last = status.output + status.error
            let stores =
                try? JSONSerialization.jsonObject(with: Data(status.output.utf8))
                as? [[String: Any]]
            let isShipped =
                stores?.allSatisfy { store in
                    store["pending_bytes"] as? Int == 0
                        && store["segments"] as? Int == store["segments_in_all"] as? Int
                } ?? false
            if isShipped, isPublished { return }
            guard process?.isRunning == true else { throw Failure("it ended: \(log)") }
            usleep(50_000)
        }
        throw Failure("not shipped: \(last) \(log)")
    }

    /// Waits until every sealed segment has left the disk.
    package func waitUntilLeft() throws {
        let deadline = Date() + 180
        while Date() < deadline {
            let names = try FileManager.default.contentsOfDirectory(
                atPath: daemon.ledger + "/segments"
            ).filter { $0.hasSuffix(".seg") }
            if names.count == 1 { return }
            usleep(50_000)
        }
        throw Failure("still here: \(try HTTPClient(daemon.socket).get("/v1/status").text) \(log)")
    }

    private func isPublished() throws -> Bool {
        let client = try HTTPClient(daemon.socket)
        let size = try client.get("/v1/status").json["ledger_size"] as? Int ?? 0
        let lines = try client.get("/v1/checkpoint").text.split(separator: "\n")
        return lines.count > 1 && Int(lines[1]) == size
    }
}
