internal import Packets
internal import StardustCore

/// A query whose parameters are in a body: they may be too long for a request's target.
struct PostedQuery: Sendable {
    let known: Set<String>
    var pool = Pool.waiting
    let query: @Sendable (QueryRequest) throws(Problem) -> Query

    static let packets = PostedQuery(
        known: ListRequest.parameters.union(Parameters.filters).union(["count", "group_by"]),
        query: ListQueries.find)

    static let steps = PostedQuery(known: StepQueries.names, query: StepQueries.steps)

    static let chains = PostedQuery(
        known: ChainQueries.names.union(["packet", "entity_type", "entity_id", "trace_id"]),
        pool: .chains,
        query: ChainQueries.chain)

    func begin(_ connection: ConnectionHandler) throws(Problem) -> any RequestBody {
        try MediaType.requireJSON(of: connection)
        return WholeBody(
            connection, "a query", bytesMax: QueryLimits.findBytes, on: pool, answer)
    }

    private var answer: WholeBody.Answering {
        { (body, context) throws(Problem) in
            let parameters = try Parameters(json: body, known: known)
            let request = QueryRequest(
                ledger: context.ledger, variables: PathVariables(), parameters: parameters)
            return try request.parsed(query).answer(context)
        }
    }

    /// The endpoint that takes it.
    func endpoint(_ path: String) -> Endpoint {
        Endpoint(
            .post, path, .read, .withBody, .none,
            .body { (connection, _) throws(Problem) in try begin(connection) })
    }
}

extension Parameters {
    /// Reads an object whose members are the parameters. Patterns are JSON of any kind, several of them
    /// an array under the name with `_any` after it; what else may be given again takes an array.
    init(json body: [UInt8], known: Set<String>) throws(Problem) {
        let document: JSONDocument
        do throws(JSONError) {
            document = try JSONDocument(body, limits: .answer)
        } catch { throw Problem(error) }
        guard document.tokens[0].kind == .object else {
            throw Problem(
                .badRequest, "the body must be an object: {\"lineage\": {…}, \"limit\": 10}")
        }
        var (values, seen): ([String: [String]], Set<String>) = ([:], [])
        for key in JSONChildren(document.tokens, of: 0) {
            let name = document.bytes.span.string(document.tokens[key])
            let base = name.hasSuffix("_any") ? String(name.dropLast(4)) : name
            let isPattern = Self.patterns.contains(base)
            // Says which names are known.
            try Parameters([isPattern ? base : name: [""]]).check(known)
            guard seen.insert(name).inserted else { throw .badParameter(name, "given twice") }
            let mayRepeat = isPattern ? name != base : Self.repeatable.contains(name)
            var elements = [key + 1]
            if mayRepeat, isPattern || document.tokens[key + 1].kind == .array {
                guard document.tokens[key + 1].kind == .array else {
                    throw .badParameter(name, "must be an array of patterns")
                }
                elements = Array(JSONChildren(document.tokens, of: key + 1))
            }
            guard !elements.isEmpty else {
                throw .badParameter(name, "is an empty list, which nothing is one of")
            }
            for element in elements {
                let text =
                    isPattern
                    ? String(decoding: document.source(element), as: UTF8.self)
                    : document.string(element) ?? document.scalar(element)
                guard let text else {
                    throw .badParameter(
                        name,
                        "must be a string, a number or a boolean"
                            + (mayRepeat ? ", or an array of such" : ""))
                }
                values[isPattern ? base : name, default: []].append(text)
            }
        }
        self.init(values)
    }

    private static let patterns: Set<String> = [
        "lineage", "decision_chain", "not_lineage", "not_decision_chain",
    ]
}

extension JSONDocument {
    /// A number or a boolean as it is written.
    fileprivate func scalar(_ value: Int) -> String? {
        switch tokens[value].kind {
        case .number, .true, .false: String(decoding: source(value), as: UTF8.self)
        default: nil
        }
    }
}
