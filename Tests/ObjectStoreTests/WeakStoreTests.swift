import DaemonTestSupport
import Foundation
import LedgerFormat
import ObjectStore
import TestSupport
import Testing

/// Stores that are slow to answer, answer half, have another clock, or keep no promises.
@Suite("stores with a weakness")
struct WeakStoreTests {
    private let server: Background
    private let endpoint: String

    init() throws {
        server = try Background(
            ["python3", Repository.root + "/Tests/ObjectStoreTests/weak_store.py"],
            program: "/usr/bin/env")
        try server.waitFor("\n")
        endpoint =
            "http://127.0.0.1:" + server.error.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    private func open(_ bucket: String) throws -> any ObjectStore {
        try #require(server.isRunning)
        defer { withExtendedLifetime(server) {} }
        var settings = StoreSettings(try StoreURL("s3://\(bucket)/x"))
        settings.endpoint = endpoint
        return try settings.open { ObjectStoreServer.environment[$0] }
    }

    private let patience = Patience(.seconds(600))

    @Test(
        "are asked again until the answer is whole", arguments: ["busy", "cut", "skewed", "sound"])
    func patient(_ bucket: String) throws {
        let store = try open(bucket)
        let bytes = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        #expect(try store.put("a", ObjectBody(bytes), patience) == .created)
        #expect(try store.put("a", ObjectBody(Array("b".utf8)), patience) == .exists)
        #expect(try store.bytes(of: "a", atMost: bytes.count, patience) == bytes)
        var part: [UInt8] = []
        try store.get("a", 1000..<70_000, version: nil, patience) { piece in
            for index in piece.indices { part.append(piece[index]) }
        }
        #expect(part == Array(bytes[1000..<70_000]))
        #expect(try store.list("", patience).map(\.bytes) == [bytes.count])
    }

    @Test("are not asked again where somebody has to do something first")
    func refused() throws {
        let failure = #expect(throws: StoreFailure.self) {
            try open("elsewhere").put("a", ObjectBody([1]), patience)
        }
        #expect(failure?.kind == .refused)
        #expect(failure?.detail.contains("eu-north-1") == true, "\(failure?.detail ?? "")")
    }

    @Test(
        "are found out by a probe",
        arguments: [
            ("overwrites", "a name is written once"), ("whole", "ranges are read"),
            ("stale", "what was written is listed at once"),
            ("sound", "a wrong secret is refused"),
        ])
    func probed(_ bucket: String, _ promise: String) throws {
        let found = try StoreProbe(open(bucket), isLocked: false, patience).run()
        let verdict = found.first { $0.promise == promise }
        #expect(verdict?.verdict == .fails && verdict?.advice.isEmpty == false, "\(found)")
    }
}
