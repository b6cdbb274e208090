/// A JSON value whose members keep their order, so that the same pipeline yields the same text.
package enum PipelineValue: Sendable {
    case null
    case boolean(Bool)
    case integer(Int)
    /// A fraction in ten-thousandths. Floating point could print differently on other machines.
    case tenThousandths(Int)
    case text(String)
    case list([PipelineValue])
    case object([(name: String, value: PipelineValue)])

    /// The value as JSON on one line.
    package var json: String {
        switch self {
        case .null: "null"
        case .boolean(let value): value ? "true" : "false"
        case .integer(let value): String(value)
        case .tenThousandths(let value): Self.decimal(value)
        case .text(let text): Self.quoted(text)
        case .list(let values): "[" + values.map(\.json).joined(separator: ",") + "]"
        case .object(let members):
            "{"
                + members.map { Self.quoted($0.name) + ":" + $0.value.json }.joined(separator: ",")
                + "}"
        }
    }

    /// The value as a PostgreSQL literal: a list is a `text[]`, an object a `jsonb`.
    package var sql: String {
        switch self {
        case .null: "NULL"
        case .boolean, .integer, .tenThousandths: json
        case .text(let text): Self.literal(text)
        case .list(let values): "ARRAY[" + values.map(\.sql).joined(separator: ",") + "]::text[]"
        case .object: Self.literal(json) + "::jsonb"
        }
    }

    private static func decimal(_ value: Int) -> String {
        let digits = String(value % 10_000)
        return "\(value / 10_000)." + String(repeating: "0", count: 4 - digits.count) + digits
    }

    /// Needs no other escapes: a pipeline's texts contain no control characters or backslashes.
    private static func quoted(_ text: String) -> String {
        "\""
            + text.split(separator: "\"", omittingEmptySubsequences: false).joined(
                separator: "\\\"")
            + "\""
    }

    private static func literal(_ text: String) -> String {
        "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''")
            + "'"
    }
}

extension PipelineValue: ExpressibleByStringLiteral, ExpressibleByStringInterpolation {
    package init(stringLiteral text: String) { self = .text(text) }
}

extension PipelineValue: ExpressibleByIntegerLiteral {
    package init(integerLiteral value: Int) { self = .integer(value) }
}

extension PipelineValue: ExpressibleByDictionaryLiteral {
    package init(dictionaryLiteral members: (String, PipelineValue)...) {
        self = .object(members.map { (name: $0.0, value: $0.1) })
    }
}

extension PipelineValue: ExpressibleByArrayLiteral {
    package init(arrayLiteral values: PipelineValue...) { self = .list(values) }
}
