package import Packets

/// An error as clients see it: `application/problem+json` (RFC 9457).
package struct Problem: Error, Sendable {
    package var code: Code
    package var detail: String
    package var pointer: String?
    package var offset: Int?
    package var line: Int?
    package var limit: Int?
    package var position: UInt64?
    /// The part of a row change that is wrong.
    package var table: String?
    package var column: String?
    package var value: String?
    package var retryAfterSeconds: Int?
    package var allow: String?

    package init(_ code: Code, _ detail: String, retryAfterSeconds: Int? = nil) {
        (self.code, self.detail, self.retryAfterSeconds) = (code, detail, retryAfterSeconds)
    }

    package init(_ code: RequestCode, _ detail: String, retryAfterSeconds: Int? = nil) {
        self.init(.request(code), detail, retryAfterSeconds: retryAfterSeconds)
    }

    package var status: Int { code.status }

    package func write(to json: inout JSONWriter) {
        json.beginObject()
        json.member("type", "urn:stardust:error:\(code.text)")
        json.member("title", code.title)
        json.member("status", status)
        json.member("detail", detail)
        if let pointer { json.member("pointer", pointer) }
        if let offset { json.member("offset", offset) }
        if let line { json.member("line", line) }
        if let limit { json.member("limit", limit) }
        if let position { json.member("position", position) }
        if let table { json.member("table", table) }
        if let column { json.member("column", column) }
        if let value { json.member("value", value) }
        json.endObject()
    }
}
