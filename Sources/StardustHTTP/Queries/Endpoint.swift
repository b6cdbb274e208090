internal import LedgerFormat
internal import LedgerStorage
internal import StardustCore

/// One request that the socket answers: all that the daemon, its documents and its tests know of it.
package struct Endpoint: Sendable {
    package let method: Method
    /// Parts in braces are variables; the last one of a path may take several parts.
    package let path: String
    /// The role it needs; nil for anyone who can connect.
    package let role: Role?
    package let execution: Execution
    package let parameters: ParameterNames
    let handler: Handler

    package enum Method: String, Sendable {
        /// HEAD too.
        case get = "GET"
        case post = "POST"
    }

    /// Where the answer is made.
    package enum Execution: Hashable, Sendable {
        /// On the event loop: it needs nothing but memory.
        case onLoop
        /// The same, but no sooner after the last one than `ConnectionLimits.checkpointPace`.
        case paced
        /// Briefly on the event loop if memory suffices, else on a pool: most answers are such, and
        /// waking a thread takes longer.
        case brieflyElse(on: Pool)
        case on(Pool)
        /// As the body arrives.
        case withBody
        /// As packets become durable.
        case following
    }

    package enum ParameterNames: Sendable {
        /// Whatever is given is not read.
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
    }

    /// A request without a body.
    static func get(
        _ path: String, _ role: Role?, _ execution: Execution, _ parameters: ParameterNames = .none,
        _ parse: @escaping @Sendable (QueryRequest) throws(Problem) -> Query
    ) -> Endpoint {
        Endpoint(.get, path, role, execution, parameters, .query(parse))
    }

    /// Reads the parameters that the request may have.
    func read(_ query: Substring?) throws(Problem) -> Parameters {
        switch parameters {
        case .ignored: try Parameters(query: nil)
        case .none: try Parameters(query: query, known: [])
        case .some(let names): try Parameters(query: query, known: names)
        case .columns: try Parameters(query: query)
        }
    }
}

/// What a request asks, before it is parsed.
struct QueryRequest {
    let ledger: RunningLedger
    let variables: PathVariables
    let parameters: Parameters

    /// The ledger's entries as they are now.
    func map() throws(Problem) -> LedgerMap {
        guard let map = ledger.map else { throw Problem(.recovering) }
        return map
    }
}

/// A parsed request. It can be answered more than once: briefly, and patiently if that fails.
struct Query: Sendable {
    /// False if a brief attempt is certain to fail.
    var isBrief = true
    /// The size that a published checkpoint must cover before the answer, if that is known now:
    /// waited for on the event loop, so that nobody who waits keeps a thread from others.
    var awaits: LedgerSize?
    let answer: @Sendable (QueryContext) throws(Problem) -> Answer

    init(_ answer: @escaping @Sendable (QueryContext) throws(Problem) -> Answer) {
        self.answer = answer
    }

    func awaiting(_ size: LedgerSize?) -> Query {
        var query = self
        query.awaits = size
        return query
    }
}
