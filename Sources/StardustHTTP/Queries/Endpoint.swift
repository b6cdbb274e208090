internal import LedgerFormat
internal import LedgerStorage
package import StardustCore

/// One kind of request the socket answers. The daemon, its documents and its tests all rely on this
/// one description.
package struct Endpoint: Sendable {
    package let method: Method
    /// Parts in braces are variables; the last one in a path may span several parts.
    package let path: String
    /// The role it requires; nil if anyone who can connect may send it.
    package let role: Role?
    package let execution: Execution
    package let parameters: ParameterNames
    let handler: Handler
    /// Method and path, for metrics and logs.
    package let route: String
    /// Its place among all.
    fileprivate(set) var ordinal = 0

    package enum Method: String, Sendable {
        /// Also allows HEAD.
        case get = "GET"
        case post = "POST"
    }

    /// Where and when the answer is made.
    package enum Execution: Hashable, Sendable {
        /// On the event loop: it needs only memory.
        case onLoop
        /// The same, but at least `ConnectionLimits.checkpointPace` after the last one.
        case paced
        /// Tried briefly on the event loop, then on a pool if memory does not suffice. Most answers
        /// need only memory, and waking a thread takes longer than making them.
        case brieflyElse(on: Pool)
        case on(Pool)
        /// As the body arrives.
        case withBody
        /// As packets become durable.
        case following
    }

    package enum ParameterNames: Sendable {
        /// Any parameters are ignored.
        case ignored
        case none
        case some(Set<String>)
        /// `limit`, `cursor`, and the columns of the table or view.
        case columns
    }

    enum Handler: Sendable {
        case query(@Sendable (QueryRequest) throws(Problem) -> Query)
        case body(
            @Sendable (ConnectionHandler, Parameters) throws(Problem) -> any RequestBody)
        case follow
    }

    init(
        _ method: Method, _ path: String, _ role: Role?, _ execution: Execution,
        _ parameters: ParameterNames = .none, _ handler: Handler
    ) {
        (self.method, self.path, self.role) = (method, path, role)
        (self.execution, self.parameters, self.handler) = (execution, parameters, handler)
        route = "\(method.rawValue) \(path)"
    }

    /// A request without a body.
    static func get(
        _ path: String, _ role: Role?, _ execution: Execution, _ parameters: ParameterNames = .none,
        _ parse: @escaping @Sendable (QueryRequest) throws(Problem) -> Query
    ) -> Endpoint {
        Endpoint(.get, path, role, execution, parameters, .query(parse))
    }

    /// Parameters that are sizes of the ledger, or times.
    var sizes: [String] { path == "/v1/diff" ? ["from", "to"] : ["as_of", "changed_since"] }

    /// Reads the parameters this request allows.
    func read(_ query: Substring?) throws(Problem) -> Parameters {
        switch parameters {
        case .ignored: try Parameters(query: nil)
        case .none: try Parameters(query: query, known: [])
        case .some(let names): try Parameters(query: query, known: names)
        case .columns: try Parameters(query: query)
        }
    }
}

extension [Endpoint] {
    /// The same, each with its place.
    var numbered: [Endpoint] {
        enumerated().map { index, endpoint in
            var endpoint = endpoint
            endpoint.ordinal = index
            return endpoint
        }
    }
}

/// The input from which a query is parsed.
struct QueryRequest {
    let ledger: RunningLedger
    let variables: PathVariables
    var parameters: Parameters
    /// The header's range of bytes.
    var range: String?

    /// Parses a request, whose sizes may also be given as times: the last size received by then. They
    /// are looked up on a thread that may wait, since that reads the ledger.
    func parsed(
        sizes: [String] = ["as_of", "changed_since"],
        _ parse: @escaping @Sendable (QueryRequest) throws(Problem) -> Query
    ) throws(Problem) -> Query {
        let times = sizes.filter {
            parameters[$0].map { UInt64(canonical: $0.utf8) == nil } ?? false
        }
        guard !times.isEmpty else { return try parse(self) }
        let (map, request) = (try map(), self)
        for name in times { _ = try sizeTime(name) }
        var query = Query { (context) throws(Problem) in
            var request = request
            var asOf: LedgerSize?
            for name in times {
                let size = try context.size(at: try request.sizeTime(name), map)
                request.parameters = request.parameters.with(name, String(size.entries))
                if name == "as_of" || name == "to" { asOf = size }
            }
            var answer = try parse(request).answer(context)
            answer.ledgerSize = asOf
            return answer
        }
        query.isBrief = false
        return query
    }

    private func sizeTime(_ name: String) throws(Problem) -> Timestamp {
        if let time = Timestamp(rfc3339: parameters[name] ?? "") { return time }
        throw Parameters.notASize(name, parameters[name] ?? "")
    }

    /// The ledger's current entries.
    func map() throws(Problem) -> LedgerMap {
        guard let map = ledger.map else { throw Problem(.recovering) }
        return map
    }
}

/// A parsed request. Answering it can be tried twice: briefly, then patiently if that fails.
struct Query: Sendable {
    /// False if a brief attempt is certain to fail.
    var isBrief = true
    /// The size a published checkpoint must cover before the answer, if that is known now. The wait
    /// happens on the event loop, so that it does not occupy a thread.
    var awaits: LedgerSize?
    /// What else to wait for, likewise.
    var wait: Wait?
    let answer: @Sendable (QueryContext) throws(Problem) -> Answer

    init(_ answer: @escaping @Sendable (QueryContext) throws(Problem) -> Answer) {
        self.answer = answer
    }

    /// A wait for something that may come, with an end.
    struct Wait: Sendable {
        var until: ContinuousClock.Instant
        var isOver: @Sendable () -> Bool
    }

    func awaiting(_ size: LedgerSize?) -> Query {
        var query = self
        query.awaits = size
        return query
    }
}
