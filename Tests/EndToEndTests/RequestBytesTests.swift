import DaemonTestSupport
import Foundation
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
}
