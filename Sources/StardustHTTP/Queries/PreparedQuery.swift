internal import StardustCore

/// A parsed query waiting for its answer, and whether a brief attempt has been made.
struct PreparedQuery {
    let endpoint: Endpoint
    let query: Query
    private var wasTried = false

    init(_ endpoint: Endpoint, _ query: Query) { (self.endpoint, self.query) = (endpoint, query) }

    /// The answer if it can be made on the event loop; nil if it needs a thread that may wait.
    mutating func immediateAnswer(_ ledger: RunningLedger) throws(Problem) -> Answer? {
        switch endpoint.execution {
        case .onLoop, .paced: return try query.answer(.patient(ledger, since: .now))
        case .brieflyElse where query.isBrief && !wasTried:
            wasTried = true
            do throws(Problem) { return try query.answer(.brief(ledger)) } catch {
                if error.isWouldBlock { return nil }
                throw error
            }
        case .brieflyElse, .on, .withBody, .following: return nil
        }
    }

    /// The pool that answers it if it may have to wait; nil if it never waits.
    var pool: Pool? {
        switch endpoint.execution {
        case .brieflyElse(let pool), .on(let pool): pool
        case .onLoop, .paced, .withBody, .following: nil
        }
    }
}

extension Endpoint {
    /// Whether a plain request may be answered outside the pipeline.
    var mayAnswerAtOnce: Bool {
        switch execution {
        case .onLoop, .brieflyElse: true
        case .paced, .on, .withBody, .following: false
        }
    }
}
