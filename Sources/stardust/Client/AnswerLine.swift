internal import Packets

/// A line of an NDJSON answer.
enum AnswerLine {
    case receipt([UInt8], isReplay: Bool)
    /// The outcome of a row change.
    case outcome(String)
    case problem(status: Int, line: Int?, detail: String)

    init?(_ document: JSONDocument) {
        let members = document.members(of: 0)
        guard let status = members["status"].flatMap({ document.integer($0) }) else { return nil }
        if let receipt = members["receipt"] {
            self = .receipt(
                Array(document.bytes[document.tokens[receipt].bytes]), isReplay: status == 200)
        } else if let outcome = members["outcome"].flatMap(document.string) {
            self = .outcome(outcome)
        } else if let problem = members["problem"] {
            let inner = document.members(of: problem)
            let detail = inner["detail"].map {
                String(decoding: document.bytes.span.text(document.tokens[$0]), as: UTF8.self)
            }
            self = .problem(
                status: status, line: inner["line"].flatMap { document.integer($0) },
                detail: detail ?? "refused with status \(status)")
        } else {
            return nil
        }
    }
}

extension JSONDocument {
    /// Indices of an object's values by name; empty if the value is not an object.
    func members(of object: Int) -> [String: Int] {
        guard tokens[object].kind == .object else { return [:] }
        var members: [String: Int] = [:]
        for key in JSONChildren(tokens, of: object) {
            members[String(decoding: bytes.span.text(tokens[key]), as: UTF8.self)] = key + 1
        }
        return members
    }

    func integer(_ index: Int) -> Int? {
        Int(String(decoding: bytes[tokens[index].bytes], as: UTF8.self))
    }
}
