internal import LedgerFormat
internal import Packets
internal import Platform
internal import StardustCore

/// Queries for operators and load balancers.
enum OperatorQueries {
    static func livez(_ request: QueryRequest) -> Query {
        Query { _ in
            Answer {
                $0.beginObject()
                $0.member("live", true)
                $0.endObject()
            }
        }
    }

    static func readyz(_ request: QueryRequest) -> Query {
        Query { context in
            let reasons = context.ledger.unreadiness
            return Answer(reasons.isEmpty ? 200 : 503) { json in
                json.beginObject()
                json.member("ready", reasons.isEmpty)
                json.key("reasons")
                json.array(reasons) { $1.string($0) }
                json.endObject()
            }
        }
    }

    static func openAPI(_ request: QueryRequest) -> Query {
        Query { _ in Answer(200, "application/yaml", PackageResources.openapi_yaml) }
    }

    static func metrics(_ request: QueryRequest) -> Query {
        Query { context in
            return Answer(
                200, "text/plain; version=0.0.4; charset=utf-8",
                Array(MetricsPage.text(context.ledger).utf8))
        }
    }
}
