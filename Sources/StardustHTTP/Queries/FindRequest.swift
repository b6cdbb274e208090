internal import Packets
internal import StardustCore

/// The filters of a search in a body: patterns may be longer than a request's target.
enum FindRequest {
    static func begin(_ connection: ConnectionHandler) throws(Problem) -> any RequestBody {
        try MediaType.requireJSON(of: connection)
        return WholeBody(
            connection, "a search", bytesMax: QueryLimits.findBytes, on: .waiting, answer)
    }

    private static let answer: WholeBody.Answering = { (body, context) throws(Problem) in
        let parameters = try Parameters(json: body, patterns: ["lineage", "decision_chain"])
        try parameters.check(
            ListRequest.parameters.union(Parameters.filters).union(["count"]))
        let request = QueryRequest(
            ledger: context.ledger, variables: PathVariables(), parameters: parameters)
        return try ListQueries.find(request).answer(context)
    }
}

extension Parameters {
    /// Reads an object whose members are the parameters. Those named in `patterns` are JSON of any
    /// kind, the others strings, numbers or booleans.
    fileprivate init(json body: [UInt8], patterns: Set<String>) throws(Problem) {
        let document: JSONDocument
        do throws(JSONError) { document = try JSONDocument(body) } catch { throw Problem(error) }
        guard document.tokens[0].kind == .object else {
            throw Problem(
                .badRequest, "the body must be an object: {\"lineage\": {…}, \"limit\": 10}")
        }
        var values: [String: String] = [:]
        for name in document.memberNames(of: 0) {
            guard let value = document.member(name, of: 0) else { continue }
            let source = String(decoding: document.source(value), as: UTF8.self)
            switch document.tokens[value].kind {
            case _ where patterns.contains(name): values[name] = source
            case .string:
                guard let text = document.string(value) else {
                    throw .badParameter(name, "is not text")
                }
                values[name] = text
            case .number, .true, .false: values[name] = source
            default: throw .badParameter(name, "must be a string, a number or a boolean")
            }
        }
        self.init(values)
    }
}
