import Foundation
import LedgerFormat
import ObjectStore
import PipelineWorkload
import TestSupport
import Testing

@Suite("signatures of requests")
struct SigningTests {
    static let obstacle: String? = {
        let python = Repository.root + "/.build/python/bin/python3"
        let result = try? run([python, "-c", "import botocore"])
        return result?.status == 0
            ? nil : "botocore is not installed (Scripts/install-packages test)"
    }()

    /// Requests with every character that names and parameters can have trouble with.
    private struct Requests {
        var generator = SeededGenerator(seed: 20_261_127)

        static let characters = Array(
            " !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~09AZaz\u{7F}äß日🔥\u{301}\t\n%2F%00+")

        mutating func text(_ longest: Int) -> String {
            String(
                (0..<Int.random(in: 0...longest, using: &generator)).map { _ in
                    Self.characters.randomElement(using: &generator)!
                })
        }

        /// As a header has it: no line ends, and ASCII alone.
        mutating func value() -> String {
            text(12).filter { $0.isASCII && !$0.isNewline && $0 != "\u{7F}" }
        }

        mutating func next() -> RequestSigner.Request {
            var request = RequestSigner.Request(
                ["GET", "PUT", "HEAD", "DELETE", "POST"].randomElement(using: &generator)!,
                host: ["127.0.0.1:8333", "b.s3.eu-central-1.amazonaws.com", "[::1]:9000"]
                    .randomElement(using: &generator)!,
                path: "/" + text(40), payload: .sha256(Array(text(5).utf8)))
            for _ in 0..<Int.random(in: 0...4, using: &generator) {
                request.query.append((text(8), text(12)))
            }
            for index in 0..<Int.random(in: 0...4, using: &generator) {
                request.headers.append(("X-Test-\(["b", "A", "-", "0"][index])", value()))
            }
            return request
        }
    }

    @Test("are botocore's own", .needs(SigningTests.obstacle == nil, "botocore is not installed"))
    func sameAsBotocore() throws {
        var requests = Requests()
        var (cases, ours): (Data, [String]) = (Data(), [])
        for index in 0..<10_000 {
            let request = requests.next()
            let dialect: RequestSigner.Dialect = index % 4 == 3 ? .google : .aws
            let credentials = StoreCredentials(
                accessKey: "AKIDEXAMPLE", secret: "s/\(requests.text(20))",
                token: index % 3 == 0 ? "token/\(index)==" : nil)
            let time = Timestamp(
                microseconds: Int64.random(
                    in: 0...4_000_000_000_000_000, using: &requests.generator))
            let signer = RequestSigner(dialect, credentials, region: "eu-central-1")
            var headers = signer.headers(of: request, at: time)
            let authorization = headers.removeLast().value
            ours.append(String(authorization.suffix(64)))
            let query = request.encodedQuery
            let stamp = headers.first { $0.name.hasSuffix("-date") }!.value
            let object: [String: Any] = [
                "dialect": dialect == .google ? "google" : "aws", "method": request.method,
                "url": "http://\(request.host)\(request.encodedPath)"
                    + (query.isEmpty ? "" : "?\(query)"),
                "headers": headers.map { [$0.name, $0.value] }, "time": stamp,
                "key": credentials.accessKey, "secret": credentials.secret,
                "region": "eu-central-1",
            ]
            cases += try JSONSerialization.data(withJSONObject: object) + [0x0A]
            // What is sent is what was asked for.
            #expect(request.encodedPath.removingPercentEncoding == request.path)
        }
        let result = try run(
            [
                Repository.root + "/.build/python/bin/python3",
                Repository.root + "/Tests/ObjectStoreTests/signatures.py",
            ], input: Array(cases))
        #expect(result.status == 0, "\(result.error)")
        let theirs = result.output.split(separator: "\n").map(String.init)
        #expect(theirs.count == ours.count)
        let differing = zip(ours, theirs).enumerated().filter { $0.element.0 != $0.element.1 }
        #expect(
            differing.isEmpty,
            "\(differing.count) differ, the first at \(differing.first?.offset ?? -1)")
    }

    @Test("have no secret in what is shown of them")
    func secretsAreNotShown() {
        let credentials = StoreCredentials(accessKey: "AKID", secret: "hidden", token: "token")
        #expect("\(credentials)" == "AKID")
        let headers = RequestSigner(.aws, credentials, region: "x").headers(
            of: RequestSigner.Request("GET", host: "h", path: "/"),
            at: Timestamp(microseconds: 0))
        #expect(!headers.contains { $0.value.contains("hidden") })
        #expect(headers.contains { $0.name == "x-amz-date" && $0.value == "19700101T000000Z" })
    }
}
