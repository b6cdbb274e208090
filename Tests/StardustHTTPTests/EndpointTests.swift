import Packets
import ReadModel
import StardustHTTP
import Testing

/// The table of requests, and the list of problems.
@Suite struct EndpointTests {
    @Test func `every request is listed once, with variables that are known`() {
        let keys = Endpoint.all.map { "\($0.method.rawValue) \($0.path)" }
        #expect(Set(keys).count == keys.count)
        let known = [
            "{stardust_id}", "{position}", "{type}", "{id}", "{trace_id}", "{level}", "{index}",
            "{table}", "{view}", "{digest}",
        ]
        for endpoint in Endpoint.all {
            let names = endpoint.path.split(separator: "/").map(String.init).filter {
                $0.hasPrefix("{")
            }
            #expect(names.allSatisfy(known.contains), "\(endpoint.path)")
        }
    }

    @Test func `workers' request is the first, since it is looked for first`() {
        #expect(Endpoint.all[0].method == .post && Endpoint.all[0].path == "/v1/packets")
        #expect(Endpoint.all[0].role == .append)
    }

    @Test func `whoever may change the ledger or the rows needs a role for it`() {
        for endpoint in Endpoint.all where endpoint.method == .post {
            #expect(endpoint.role != nil, "\(endpoint.path)")
        }
        let open = Endpoint.all.filter { $0.role == nil }.map(\.path)
        #expect(open.sorted() == ["/livez", "/openapi.yaml", "/readyz"])
    }

    @Test func `every code has a title and the status of an error`() {
        let codes = Problem.Code.all
        // A row change and a packet may both have a value of the wrong type.
        #expect(Set(codes.map(\.text)).count == codes.count - 1)
        #expect(codes.allSatisfy { (400..<600).contains($0.status) && !$0.title.isEmpty })
        #expect(Problem.Code.request(.stardustIDConflict).title == "Stardust id conflict")
        #expect(Problem.Code.json(.invalidUTF8).text == "invalid_utf8")
        #expect(Problem.Code.row(.notUnique).status == 409)
        #expect(!codes.contains(.request(.wouldBlock)))
    }
}
