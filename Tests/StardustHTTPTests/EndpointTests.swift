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
            "{table}", "{view}",
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

    @Test func `every code of a refusal below is a code of a problem, with its status`() {
        let json = JSONError.Code.allCases.map { (code: $0.rawValue, status: 400) }
        let schema = SchemaViolation.Code.allCases.map { (code: $0.rawValue, status: 422) }
        let model = ModelRefusal.Code.allCases.map { (code: $0.rawValue, status: 0) }
        for (code, status) in json + schema + model {
            let known = Problem.Code(rawValue: code)
            #expect(known != nil, "\(code)")
            #expect(status == 0 || known?.status == status, "\(code)")
        }
        #expect(Problem.Code.notUnique.status == 409 && Problem.Code.rowNotFound.status == 404)
        #expect(Problem.Code.checkViolated.status == 422 && Problem.Code.notAChange.status == 400)
    }

    @Test func `titles are the codes in words`() {
        #expect(Problem.Code.stardustIDConflict.title == "Stardust id conflict")
        #expect(Problem.Code.badSQL.title == "Bad sql")
    }
}
