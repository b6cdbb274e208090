internal import LedgerFormat
internal import LedgerStorage
internal import NIOCore
internal import Packets
internal import ReadModel
internal import StardustCore

/// Read-only SQL over the tables, the views, and the ledger as `stardust_metadata`.
enum SQLRequest {
    static func begin(_ connection: ConnectionHandler) throws(Problem) -> any RequestBody {
        try MediaType.requireJSON(of: connection)
        return WholeBody(
            connection, "an SQL query", bytesMax: ModelRequestLimits.sqlBytes, on: .sql, answer)
    }

    private static let answer: WholeBody.Answering = { (body, context) throws(Problem) in
        let model = try context.model()
        let document: JSONDocument
        do throws(JSONError) { document = try JSONDocument(body) } catch { throw Problem(error) }
        guard let sql = document.member("sql", of: 0).flatMap(document.string) else {
            throw Problem(.badRequest, "the body must be {\"sql\": …, \"parameters\": […]}")
        }
        let unknown = document.memberNames(of: 0).first { !["sql", "parameters"].contains($0) }
        if let unknown {
            throw Problem(
                .badRequest, "\(unknown) is not a member of an SQL query: sql, parameters")
        }
        guard let map = context.ledger.map else { throw Problem(.recovering) }
        let size = map.head.size
        let table = LedgerTable(
            map, try context.index(reflecting: size), size: size, until: context.deadline)
        let limits = SQLSandbox.Limits(
            rows: ModelRequestLimits.sqlRows, bytes: QueryLimits.pageBytes,
            patience: Patience(until: context.deadline, or: model.readers.stop))
        let path: String
        do throws(ModelFailure) { path = try model.readers.path() } catch { throw Problem(error) }
        do throws(SQLSandbox.Refusal) {
            let sandbox = try SQLSandbox(path, limits) { connection throws(SQLiteFailure) in
                try connection.add(table)
            }
            let parameters = document.member("parameters", of: 0)
            var json = JSONWriter()
            json.beginObject()
            try sandbox.answer(
                sql, parameters == nil ? nil : document, at: parameters ?? 0, limits, to: &json)
            json.member("lsn", sandbox.state.lsn.description)
            json.member("ledger_size", size.entries)
            json.endObject()
            return Answer(200, "application/json", json.bytes)
        } catch { throw Problem(error, context.ledger) }
    }
}

extension Problem {
    fileprivate init(_ refusal: SQLSandbox.Refusal, _ ledger: RunningLedger) {
        switch refusal {
        case .notARead(let detail): self.init(.notARead, detail)
        case .malformed(let detail, let offset):
            self.init(.badSQL, detail)
            self.offset = offset
        case .badParameters(let detail): self.init(.badParameter, detail)
        case .timeIsOver:
            self.init(
                .timeIsOver,
                "this took longer than \(ledger.inForce.values.queryTime); ask for less, or query by key"
            )
        case .tooMuchMemory:
            self.init(
                .tooMuchMemory,
                "this needs too much memory for sorting or grouping; ask for less")
        case .missing: self.init(.noModel, ModelReaders.noModel)
        case .failed(let failure): self.init(ModelFailure.database(failure))
        }
    }
}
