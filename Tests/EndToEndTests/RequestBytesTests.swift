import DaemonTestSupport
import Foundation
import LedgerFormat
import TestSupport
import Testing

/// `in_flight_bytes_max` counts the bytes of every kind of body.
@Suite struct RequestBytesTests {
    private static let daemonSettings =
        #"{"in_flight_bytes_max": 1048576, "packet_bytes_max": 524288}"#

    private static func begin(
        _ daemon: Daemon, _ path: String, _ type: String, _ bytes: Int
    ) throws -> HTTPClient {
        let client = try HTTPClient(daemon.socket)
        try client.send(
            "POST \(path) HTTP/1.1\r\nhost: stardust\r\ncontent-type: \(type)\r\n"
                + "content-length: \(bytes + 1)\r\n\r\n")
        try client.send([UInt8](repeating: UInt8(ascii: "x"), count: bytes))
        return client
    }

    private static func waitForBytes(_ daemon: Daemon, _ isReached: (Int) -> Bool) throws {
        let deadline = ContinuousClock.now + .seconds(60)
        while !isReached(try daemon.metric("bytes_in_flight")) {
            if ContinuousClock.now > deadline { throw Failure("the bytes are not counted") }
            usleep(2000)
        }
    }

    @Test(
        arguments: [
            ("/v1/packets", "application/json"), ("/v1/packets", "application/x-ndjson"),
            ("/v1/model/sql", "application/json"), ("/v1/model/changes", "application/x-ndjson"),
        ])
    func `a body counts while it is held, and no longer when its client goes`(
        path: String, type: String
    ) throws {
        let daemon = try ExamplePipeline.daemonWithRows()
        try withExtendedLifetime(try Self.begin(daemon, path, type, 50_000)) { _ in
            try Self.waitForBytes(daemon) { $0 >= 50_000 }
        }
        try Self.waitForBytes(daemon) { $0 == 0 }
        #expect(try daemon.metric("bytes_in_flight") == 0)
    }

    @Test func `an SQL statement above the limit is refused with 503`()
        throws
    {
        let daemon = try ExamplePipeline.daemon(Self.daemonSettings)
        let streams = try (0..<2).map { _ in
            try Self.begin(daemon, "/v1/packets", "application/x-ndjson", 520_000)
        }
        try withExtendedLifetime(streams) {
            try Self.waitForBytes(daemon) { $0 >= 1_040_000 }
            let statement = try HTTPClient(daemon.socket).request(
                "POST", "/v1/model/sql",
                Array((#"{"sql": "SELECT 1"}"# + String(repeating: " ", count: 20_000)).utf8),
                type: "application/json")
            #expect(statement.status == 503 && statement.problemCode == "too_much_in_flight")
            #expect(statement.headers["retry-after"] != nil)
        }
    }

    @Test func `packets that wait for a checkpoint are durable, and hold no room`() throws {
        let folder = try TemporaryFolder()
        let key = NoteSigner(
            name: "w.example", type: .cosignature, Ed25519Key(seed: Array(repeating: 1, count: 32)))
        let policy = try folder.file(
            "policy", Array("witness w \(key.verifier) unix:\(folder.path)/none\nquorum w\n".utf8))
        let daemon = try Daemon(
            configuration: #"{"in_flight_bytes_max": 1048576, "witness_policy": "\#(policy)"}"#)
        let waiting = try (0..<8).map { number in
            let client = try HTTPClient(daemon.socket)
            let packet = Sample.numbered(number).bytes
            try client.send(
                "POST /v1/packets?wait=checkpoint HTTP/1.1\r\nhost: stardust\r\n"
                    + "content-type: application/json\r\ncontent-length: \(packet.count)\r\n\r\n")
            try client.send(packet)
            return client
        }
        try withExtendedLifetime(waiting) {
            let deadline = ContinuousClock.now + .seconds(60)
            while try daemon.metric("ledger_size") < 8, ContinuousClock.now < deadline {
                usleep(2000)
            }
            try Self.waitForBytes(daemon) { $0 == 0 }
            #expect(try HTTPClient(daemon.socket).emit(Sample.numbered(9).bytes).status == 201)
        }
    }

    @Test func `a feed is read more slowly while others hold the room, and then goes on`() throws {
        let daemon = try ExamplePipeline.daemon(Self.daemonSettings)
        let others = try [524_000, 524_000, 10_000].map {
            try Self.begin(daemon, "/v1/packets", "application/x-ndjson", $0)
        }
        let feed = try HTTPClient(daemon.socket)
        let changes = Array(try ExamplePipeline.changes().utf8)
        try Self.waitForBytes(daemon) { $0 > 1_048_576 }
        try feed.send(
            "POST /v1/model/changes HTTP/1.1\r\nhost: stardust\r\n"
                + "content-type: application/x-ndjson\r\n"
                + "content-length: \(changes.count)\r\n\r\n")
        try feed.send(changes)
        // They live until here, however the test is optimised.
        for other in others { other.hangUp() }
        let answer = try feed.receive()
        #expect(answer.status == 200 && answer.lines.count == 68, "\(answer.text)")
    }
}
