internal import LedgerFormat
internal import LedgerStorage
internal import NIOCore
internal import Packets
internal import ReadModel
internal import StardustCore

/// The body of an SQL query: read-only SQL over the tables, the views, and the ledger as
/// `stardust_metadata`.
final class SQLRequest: RequestBody {
    let kind = ConnectionState.Begun.queryBody
    private let connection: ConnectionHandler
    private var body = ByteBuffer()
    private var reservation: Budgets.Lease

    init(_ connection: ConnectionHandler) {
        self.connection = connection
        reservation = connection.lease(.bodyBytes)
    }

    func take(_ bytes: ByteBuffer) {
        guard body.readableBytes + bytes.readableBytes <= ModelRequestLimits.sqlBytes else {
            var problem = Problem(
                .tooLarge, "an SQL query may have at most \(ModelRequestLimits.sqlBytes) bytes")
            problem.limit = ModelRequestLimits.sqlBytes
            return connection.refuse(problem)
        }
        guard reservation.take(bytes.readableBytes) else {
            return connection.refuse(Problem(.tooMuchInFlight))
        }
        body.writeImmutableBuffer(bytes)
    }

    func finish() {
        let bytes = Array(body.readableBytesView)
        body = ByteBuffer()
        connection.answerOffLoop(.sql) { (context) throws(Problem) in
            try Self.answer(bytes, context)
        }
    }

    /// The connection is gone. The reservation is released with this request.
    func abandon() {}

    private static func answer(
        _ body: [UInt8], _ context: QueryContext
    ) throws(Problem) -> Answer {
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
                "this took longer than \(ledger.settings.queryTime); ask for less, or query by key")
        case .tooMuchMemory:
            self.init(
                .tooMuchMemory,
                "this needs too much memory for sorting or grouping; ask for less")
        case .missing: self.init(.noModel, ModelReaders.noModel)
        case .failed(let failure): self.init(ModelFailure.database(failure))
        }
    }
}
