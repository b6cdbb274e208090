internal import LedgerFormat
internal import Packets
internal import StardustCore

/// What an operator asks of segments that have left the disk.
enum ArchiveQueries {
    /// Brings segments back, one after the other. The answer says how many are still to come.
    static func beginRecall(_ connection: ConnectionHandler) throws(Problem) -> any RequestBody {
        try MediaType.requireJSON(of: connection)
        return WholeBody(
            connection, "a range of positions", bytesMax: QueryLimits.findBytes, on: .waiting
        ) {
            (body, context) throws(Problem) in
            let document: JSONDocument
            do throws(JSONError) { document = try JSONDocument(body) } catch {
                throw Problem(error)
            }
            func number(_ name: String) throws(Problem) -> UInt64 {
                guard let member = document.member(name, of: 0),
                    document.tokens[member].kind == .number,
                    let number = UInt64(canonical: document.source(member))
                else { throw .badParameter(name, "must be a position") }
                return number
            }
            let (from, to) = (try number("from"), try number("to"))
            guard from <= to else { throw .badParameter("to", "is before from") }
            guard let leaver = context.ledger.leaver else {
                throw Problem(
                    .noArchive,
                    "nothing leaves the disk of this ledger: its configuration has no archive.socket, "
                        + "or it is only read")
            }
            let count = leaver.recall(from...to)
            return Answer { json in
                json.beginObject()
                json.member("segments", count)
                json.key("obstacle")
                if let obstacle = leaver.obstacle { json.string(obstacle) } else { json.null() }
                json.endObject()
            }
        }
    }
}
