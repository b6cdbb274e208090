import DaemonTestSupport
import Foundation
import TestSupport
import Testing

/// Requests that another reader of HTTP may understand differently, or that a browser was made to
/// send.
@Suite struct FramingTests {
    private static let body = String(decoding: Sample.packet(Sample.id), as: UTF8.self)

    private static func post(_ headers: String, _ body: String = body) -> String {
        "POST /v1/packets HTTP/1.1\r\n\(headers)content-length: \(body.utf8.count)\r\n\r\n\(body)"
    }

    private static func chunked(_ headers: String, _ size: String) -> String {
        "POST /v1/packets HTTP/1.1\r\nhost: x\r\n\(headers)\r\n\(size)\r\n\(body)\r\n0\r\n\r\n"
    }

    private static let size = String(body.utf8.count, radix: 16)

    private static let refused: [(request: String, status: Int, code: String)] = [
        (chunked("transfer-encoding: identity\r\n", size), 501, "not_implemented"),
        (chunked("transfer-encoding: gzip, chunked\r\n", size), 501, "not_implemented"),
        (chunked("transfer-encoding: chunked\r\n", "zz"), 400, "malformed_request"),
        (chunked("transfer-encoding: chunked\r\n", "fffffffffffffffff"), 400, "malformed_request"),
        (post("host: x\r\ncontent-encoding: gzip\r\n"), 415, "unsupported_media_type"),
        (post("host: x\r\nhost: y\r\n"), 400, "malformed_request"),
        (post(""), 400, "malformed_request"),
        (post("host: x\r\nexpect: something\r\n"), 417, "expectation_failed"),
        (
            post("host: x\r\ncontent-type: application/json\r\ncontent-type: text/plain\r\n"), 400,
            "malformed_request"
        ),
        (post("host: evil.example\r\n"), 421, "misdirected"),
        (post("host: a/b\r\n"), 421, "misdirected"),
        (post("host: localhost\r\norigin: http://evil.example\r\n"), 403, "cross_site"),
        (post("host: localhost\r\norigin: null\r\n"), 403, "cross_site"),
        (post("host: localhost\r\nsec-fetch-site: cross-site\r\n"), 403, "cross_site"),
        (post("host: localhost\r\nsec-fetch-site: same-site\r\n"), 403, "cross_site"),
        ("GET /v1/status HTTP/1.1\r\nhost: evil.example\r\n\r\n", 421, "misdirected"),
        (
            "GET /v1/status HTTP/1.1\r\nhost: x\r\norigin: http://evil.example\r\n\r\n", 403,
            "cross_site"
        ),
        (
            "POST /v1/packets HTTP/1.1\r\nhost: x\r\ncontent-length: 9223372036854775808\r\n\r\n",
            413, "too_large"
        ),
        (
            "GET /livez HTTP/1.1\r\nhost: x\r\ncontent-length: 18446744073709551615\r\n\r\n", 413,
            "too_large"
        ),
        ("GET /livez HTTP/1.1\r\n\r\n", 400, "malformed_request"),
        ("GET /livez HTTP/1.1\r\nhost: x\r\nhost: x\r\n\r\n", 400, "malformed_request"),
        (
            "POST /v1/model/changes HTTP/1.1\r\nhost: x\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\n{}",
            415, "unsupported_media_type"
        ),
        (
            "POST /v1/model/sql HTTP/1.1\r\nhost: x\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\n{}",
            415, "unsupported_media_type"
        ),
        (chunked("transfer-encoding:\r\n", size), 400, "malformed_request"),
        (post("host: x\r\ntransfer-encoding: \r\n"), 400, "malformed_request"),
        (post("host: [::1].evil.example\r\n"), 421, "misdirected"),
        (post("host: a:evil.example\r\n"), 421, "misdirected"),
        (
            post("host: localhost\r\norigin: http://localhost\r\norigin: http://evil.example\r\n"),
            403, "cross_site"
        ),
        (
            post("host: localhost\r\nsec-fetch-site: none\r\nsec-fetch-site: cross-site\r\n"), 403,
            "cross_site"
        ),
        ("GET http://evil.example/livez HTTP/1.1\r\nhost: x\r\n\r\n", 421, "misdirected"),
        ("GET http:///livez HTTP/1.1\r\nhost: x\r\n\r\n", 400, "malformed_request"),
        ("TRACE /livez HTTP/1.1\r\nhost: x\r\n\r\n", 405, "method_not_allowed"),
        ("TRACE /v1/packets/nonsense HTTP/1.1\r\nhost: x\r\n\r\n", 405, "method_not_allowed"),
    ]

    @Test(arguments: refused.indices)
    func `a request that is not plain is refused in words`(number: Int) throws {
        let (request, status, code) = Self.refused[number]
        let daemon = try ExamplePipeline.daemonWithRows()
        let client = try HTTPClient(daemon.socket)
        try client.send(request)
        let answer = try client.receive()
        #expect(answer.status == status && answer.problemCode == code, "\(request): \(answer.text)")
        #expect(try daemon.metric("ledger_size") == 60)
    }

    @Test func `requests of this machine are answered`() throws {
        let daemon = try ExamplePipeline.daemon()
        for host in ["stardust", "localhost:8080", "127.0.0.1:9", "127.3.2.1", "[::1]:8080"] {
            for more in ["", "origin: http://\(host)\r\n", "sec-fetch-site: none\r\n"] {
                let client = try HTTPClient(daemon.socket)
                try client.send("GET /livez HTTP/1.1\r\nhost: \(host)\r\n\(more)\r\n")
                #expect(try client.receive().status == 200, "\(host) \(more)")
            }
        }
    }

    @Test func `what a header says in another form is understood`() throws {
        let daemon = try ExamplePipeline.daemon()
        for (request, status) in [
            ("GET HTTP://localhost/livez HTTP/1.1\r\nhost: x\r\n\r\n", 200),
            ("GET /livez HTTP/1.1\r\nhost: x \t\r\nexpect:\r\n\r\n", 200),
            (Self.post("host: x\r\ncontent-type:\tApplication/JSON\t; charset=utf-8\r\n"), 201),
            (Self.post("host: x\r\ncontent-encoding: identity, \r\n"), 200),
        ] {
            let client = try HTTPClient(daemon.socket)
            try client.send(request)
            #expect(try client.receive().status == status, "\(request)")
        }
        // Nobody speaks anything else here, so nothing can follow.
        let client = try HTTPClient(daemon.socket)
        try client.send(
            "GET /livez HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n")
        #expect(try client.receive().status == 200 && client.isClosed())
    }

    @Test func `complete requests are answered, whatever follows them`() throws {
        let daemon = try ExamplePipeline.daemonWithRows()
        let get = "GET /livez HTTP/1.1\r\nhost: x\r\n\r\n"
        let metrics = "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n"
        let post = Self.post("host: x\r\n")
        let last = Self.post("host: x\r\nconnection: close\r\n")
        for (requests, count, endsInput) in [
            (metrics + get, 2, true), (post + get, 2, true), (post + metrics + get, 3, true),
            (get + metrics, 2, true), (last + get, 1, true), (last + get, 1, false),
            (last.replacing("HTTP/1.1", with: "HTTP/1.0") + get, 1, false),
        ] {
            for _ in 0..<10 {
                let client = try HTTPClient(daemon.socket)
                try client.send(requests)
                if endsInput { client.finishSending() }
                for _ in 0..<count {
                    #expect([200, 201].contains(try client.receive().status), "\(requests)")
                }
                #expect(client.isClosed(), "\(requests)")
            }
        }
    }

    @Test func `HTTP/1.0 has an answer's end where the connection ends`() throws {
        let daemon = try ExamplePipeline.daemon()
        let lines = Self.body + "\n"
        for request in [
            "GET /livez HTTP/1.0\r\nconnection: keep-alive\r\n\r\n",
            "GET /v1/packets/nonsense HTTP/1.0\r\nconnection: keep-alive\r\n\r\n",
            "POST /v1/packets HTTP/1.0\r\nconnection: keep-alive\r\ncontent-type: application/x-ndjson\r\ncontent-length: \(lines.utf8.count)\r\n\r\n\(lines)",
        ] {
            let client = try HTTPClient(daemon.socket)
            try client.send(request)
            #expect(try client.receiveHead().status < 500)
            while !client.isClosed() {}
        }
    }

    @Test func `parts of a path are decoded`() throws {
        let daemon = try ExamplePipeline.daemon()
        let client = try HTTPClient(daemon.socket)
        let plain = try client.get("/v1/entities/clips/\(ExamplePipeline.clip)/packets")
        let encoded = try client.get("/v1/entities/cl%69ps/\(ExamplePipeline.clip)/packets")
        #expect(plain.text == encoded.text && plain.text.contains("stardust_id"))
        for path in [
            "/v1/entities/a%2Fb/\(ExamplePipeline.clip)/packets",
            "/v1/entities/%zz/\(ExamplePipeline.clip)/packets",
        ] {
            #expect(try client.get(path).status == 400, "\(path)")
        }
    }
}
