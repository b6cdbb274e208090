internal import LedgerFormat
internal import LedgerStorage
package import Packets
internal import Platform
internal import StardustCore

/// An error as clients see it: `application/problem+json` (RFC 9457).
package struct Problem: Error, Sendable {
    package var status: Int
    /// The last part of `urn:stardust:error:<code>`.
    package var code: String
    package var detail: String
    package var pointer: String?
    package var offset: Int?
    package var line: Int?
    package var limit: Int?
    package var position: UInt64?
    /// Where a row change is wrong.
    package var table: String?
    package var column: String?
    package var value: String?
    package var retryAfterSeconds: Int?
    package var allow: String?

    package init(_ status: Int, _ code: String, _ detail: String) {
        self.status = status
        self.code = code
        self.detail = detail
    }

    package func write(to json: inout JSONWriter) {
        json.beginObject()
        json.member("type", "urn:stardust:error:\(code)")
        json.member("title", title)
        json.member("status", status)
        json.member("detail", detail)
        if let pointer { json.member("pointer", pointer) }
        if let offset { json.member("offset", offset) }
        if let line { json.member("line", line) }
        if let limit { json.member("limit", limit) }
        if let position { json.member("position", Int(position)) }
        if let table { json.member("table", table) }
        if let column { json.member("column", column) }
        if let value { json.member("value", value) }
        json.endObject()
    }

    private var title: String {
        let words = code.replacing("_", with: " ")
        return words.prefix(1).uppercased() + words.dropFirst()
    }
}

extension String {
    fileprivate func replacing(_ old: Character, with new: Character) -> String {
        String(map { $0 == old ? new : $0 })
    }
}

// MARK: What can go wrong

extension Problem {
    init(_ error: PacketError) {
        switch error {
        case .json(let error):
            self.init(400, error.code.rawValue, error.description)
            offset = error.offset
        case .schema(let violation):
            let place = violation.pointer.isEmpty ? "the packet" : violation.pointer
            self.init(422, violation.code.rawValue, "\(place): \(violation.detail)")
            pointer = violation.pointer
            offset = violation.offset
        }
    }

    init(_ refusal: AppendRefusal) {
        switch refusal {
        case .tooMuchInFlight:
            self.init(503, "too_much_in_flight", "more is under way than fits; try again")
            retryAfterSeconds = 1
        case .recovering:
            self.init(503, "recovering", "the ledger is being opened; try again")
            retryAfterSeconds = 1
        case .stopping:
            self.init(503, "stopping", "the daemon is stopping; try again when it is back")
            retryAfterSeconds = 5
        case .readOnly(let reason):
            self.init(
                503, "read_only",
                "the ledger is damaged and takes nothing until an operator has looked: \(reason)")
            retryAfterSeconds = 60
        case .noSpace(let reason):
            self.init(507, "no_space", "\(reason). Appends resume when there is room")
            retryAfterSeconds = 5
        case .outcomeUnknown(let reason):
            self.init(
                503, "outcome_unknown",
                "\(reason). Send it again when the daemon is back: a stardust_id is never doubled")
            retryAfterSeconds = 5
        case .failed(let reason):
            self.init(503, "failed", "\(reason). Nothing was written; try again")
            retryAfterSeconds = 1
        }
    }

    /// For ourselves: to be asked again where one may wait.
    static let wouldBlock = Problem(503, "would_block", "the disk would have to be waited for")

    var isWouldBlock: Bool { code == Self.wouldBlock.code }

    init(_ failure: ReadFailure) {
        guard !failure.isWouldBlock else {
            self = .wouldBlock
            return
        }
        switch failure {
        case .file(let failure): self.init(503, "read_failed", "\(failure); try again")
        case .damaged(let finding):
            self.init(
                500, "damaged",
                "\(finding). `stardust verify` tells how far the ledger is sound")
        }
    }

    static func tooLarge(limit: Int) -> Problem {
        var problem = Problem(413, "packet_too_large", "a packet may have at most \(limit) bytes")
        problem.limit = limit
        return problem
    }

    static func conflict(_ first: Receipt) -> Problem {
        var problem = Problem(
            409, "stardust_id_conflict",
            "this stardust_id stands at position \(first.position) with other "
                + "content; a new packet needs an id of its own")
        problem.position = first.position.value
        return problem
    }

    static func forbidden(_ role: Role) -> Problem {
        Problem(
            403, "forbidden",
            "this needs the role \(role.rawValue), which the configuration does not give you")
    }

    static let notFound = Problem(404, "not_found", "there is nothing at this path")

    static func unknown(_ what: String) -> Problem {
        Problem(404, "not_found", "\(what) is not in the ledger")
    }

    static func badParameter(_ name: String, _ detail: String) -> Problem {
        Problem(400, "bad_parameter", "\(name): \(detail)")
    }
}
