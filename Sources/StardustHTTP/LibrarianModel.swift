internal import LedgerFormat
internal import LedgerIndex
internal import LedgerStorage
internal import Packets
internal import Platform
internal import ReadModel
internal import StardustCore

/// The read model: rows, views, SQL, and how they agree with the packets.
extension Librarian {
    private func model() throws(Problem) -> RunningModel {
        // SQLite waits for the disk where it must.
        if access == .cachedOnly { throw .wouldBlock }
        guard let model = ledger.model else {
            throw Problem(404, "no_model", ModelReaders.noModel)
        }
        return model
    }

    private func reading<Result>(
        until limit: ContinuousClock.Instant? = nil,
        _ body: (SQLiteConnection, ModelState) throws(ModelFailure) -> Result
    ) throws(Problem) -> Result {
        let model = try model()
        do throws(ModelFailure) {
            return try model.readers.read(until: limit ?? deadline, body)
        } catch {
            throw Problem(error)
        }
    }

    // MARK: Rows

    func rows(_ name: String, isView: Bool, _ query: Substring?) throws(Problem) -> Answer {
        let copy = try model().folder.current ?? 0
        var problem: Problem?
        let answer = try reading { (connection, state) throws(ModelFailure) -> Answer? in
            guard let relation = try ModelRelation(name, isView: isView, connection) else {
                problem = .unknownRelation(name, isView: isView)
                return nil
            }
            do throws(Problem) {
                let names = Set(relation.columns.map(\.name))
                let parameters = try Parameters(
                    query: query, known: names.union(["limit", "cursor"]))
                let filter = try parameters.filter(relation)
                let question = "rows \(copy) \(name) \(parameters.question)"
                let cursor = try parameters["cursor"].map { (text) throws(Problem) in
                    try PageCursor(text, question: question)
                }
                let limit =
                    try parameters.number("limit", in: 1...UInt64(SocketLimits.pageMax)).map(
                        Int.init)
                    ?? SocketLimits.pageDefault
                let page: ModelRelation.Page
                do throws(ModelFailure) {
                    page = try relation.page(
                        filter, from: cursor?.next.value ?? 0, limit: limit,
                        bytes: SocketLimits.pageBytes, connection)
                } catch { throw Problem(error) }
                return Answer { json in
                    json.beginObject()
                    json.member(isView ? "view" : "table", name)
                    json.member("lsn", state.lsn.description)
                    json.key("rows")
                    json.array(page.rows) { $1.json($0) }
                    json.next(
                        page.next.map {
                            PageCursor(
                                size: LedgerSize(.max), next: Position($0), question: question)
                        })
                    json.endObject()
                }
            } catch {
                problem = error
                return nil
            }
        }
        if let problem { throw problem }
        return answer!
    }

    /// A row, the packets that tell of it, and those that it names.
    func row(_ table: String, _ id: UUID128, _ query: Substring?) throws(Problem) -> Answer {
        _ = try Parameters(query: query, known: [])
        let map = try readableMap()
        let size = map.head.size
        var problem: Problem?
        let found = try reading { (connection, state) throws(ModelFailure) -> ([UInt8], LSN)? in
            guard let relation = try ModelRelation(table, isView: false, connection) else {
                problem = .unknownRelation(table, isView: false)
                return nil
            }
            return try relation.row(id, connection).map { ($0, state.lsn) }
        }
        if let problem { throw problem }
        guard let (row, lsn) = found else {
            throw Problem(404, "not_found", "\(table) has no row \(id)")
        }
        let (positions, next) = try packets(of: table, id, map, size)
        let references = try references(in: row, map, size)
        return Answer { json in
            json.beginObject()
            json.member("table", table)
            json.member("lsn", lsn.description)
            json.member("ledger_size", Int(size.entries))
            json.key("row")
            json.json(row)
            json.key("packets")
            json.array(positions) { found, json in
                json.beginObject()
                json.member("position", Int(found.0.value))
                json.member("stardust_id", found.1)
                json.endObject()
            }
            json.member("packets_cut", next)
            json.key("names")
            json.array(references) { reference, json in
                json.beginObject()
                json.member("column", reference.column)
                json.member("pointer", reference.embedded.pointer)
                json.member("stardust_id", reference.embedded.stardustID)
                json.key("position")
                if let position = reference.position {
                    json.integer(Int(position.value))
                } else {
                    json.null()
                }
                json.endObject()
            }
            json.endObject()
        }
    }

    private func packets(
        of table: String, _ id: UUID128, _ map: LedgerMap, _ size: LedgerSize
    ) throws(Problem) -> ([(Position, UUID128)], isCut: Bool) {
        var filter = PacketFilter()
        (filter.entityType, filter.entityID) = (table, id)
        let deadline = deadline
        let search = PacketSearch(map, try index(reflecting: size, until: deadline), filter)
        let page = try searching { () throws(PacketSearch.Failure) in
            try search.page(
                in: 0..<size.entries,
                PacketSearch.Limits(
                    packets: SocketLimits.pageMax, payloadBytes: .max, deadline: deadline))
        }
        return (
            page.found.map { ($0.record.entry.position, $0.record.entry.stardustID) },
            page.next != nil
        )
    }

    /// The packets that columns of JSON name.
    private func references(
        in row: [UInt8], _ map: LedgerMap, _ size: LedgerSize
    ) throws(Problem) -> [(column: String, embedded: EmbeddedID, position: Position?)] {
        guard let document = try? JSONDocument(row, limits: .answer) else { return [] }
        var found: [(String, EmbeddedID, Position?)] = []
        for key in JSONChildren(document.tokens, of: 0) {
            let column = document.bytes.span.string(document.tokens[key])
            for embedded in EmbeddedID.all(in: document, at: key + 1) {
                let position = try UUID128(embedded.stardustID).flatMap { (id) throws(Problem) in
                    try self.position(of: id, map)
                }
                found.append((column, embedded, position))
            }
        }
        return found
    }

    // MARK: SQL

    /// Read-only SQL over tables, views and the ledger as `stardust_metadata`.
    func answer(sql body: [UInt8], since began: ContinuousClock.Instant) -> Answer {
        var patient = self
        patient.began = began
        do throws(Problem) { return try patient.sql(body) } catch { return Answer(error) }
    }

    private func sql(_ body: [UInt8]) throws(Problem) -> Answer {
        let model = try model()
        let document: JSONDocument
        do throws(JSONError) { document = try JSONDocument(body) } catch {
            var problem = Problem(400, error.code.rawValue, error.description)
            problem.offset = error.offset
            throw problem
        }
        guard document.tokens[0].kind == .object,
            let sql = document.member("sql", of: 0).flatMap(document.string)
        else {
            throw Problem(400, "bad_request", "the body is {\"sql\": …, \"parameters\": […]}")
        }
        let map = try readableMap()
        let size = map.head.size
        let table = LedgerTable(
            map, try index(reflecting: size, until: deadline), size: size, until: deadline)
        let limits = SQLSandbox.Limits(
            rows: SocketLimits.sqlRows, bytes: SocketLimits.pageBytes,
            patience: Patience(until: deadline, or: model.readers.stop))
        let path: String
        do throws(ModelFailure) { path = try model.readers.path() } catch { throw Problem(error) }
        do throws(SQLSandbox.Refusal) {
            let sandbox = try SQLSandbox(path, limits) { connection throws(SQLiteFailure) in
                try table.register(in: connection)
            }
            let parameters = document.member("parameters", of: 0)
            var json = JSONWriter()
            json.beginObject()
            try sandbox.answer(
                sql, parameters == nil ? nil : document, at: parameters ?? 0, limits, to: &json)
            json.member("lsn", sandbox.state.lsn.description)
            json.member("ledger_size", Int(size.entries))
            json.endObject()
            return Answer(200, "application/json", json.bytes)
        } catch { throw Problem(error, ledger) }
    }

    // MARK: State

    func modelStatus(_ query: Substring?) throws(Problem) -> Answer {
        _ = try Parameters(query: query, known: [])
        let model = try model()
        let (folder, service) = (model.folder.path, model.service)
        do throws(Problem) {
            return try reading { (connection, state) throws(ModelFailure) in
                // Where counting takes too long, the state itself is still told.
                let census = try ModelCensus.unlessTooSlow(connection)
                let lag = model.lag()
                return Answer { json in
                    json.beginObject()
                    json.member("folder", folder)
                    state.write(to: &json)
                    json.member("lag_ms", lag?.milliseconds ?? 0)
                    Self.write(service, &json)
                    json.member("counted", census != nil)
                    census?.write(to: &json)
                    json.endObject()
                }
            }
        } catch {
            guard error.code == "no_model" else { throw error }
            return Answer { json in
                json.beginObject()
                json.member("folder", folder)
                json.member("phase", "none")
                Self.write(service, &json)
                json.endObject()
            }
        }
    }

    private static func write(_ service: RunningModel.Service?, _ json: inout JSONWriter) {
        json.key("service")
        guard let service else { return json.null() }
        json.beginObject()
        json.member("following", service.isFollowing)
        json.key("error")
        if let failure = service.failure { json.string(failure) } else { json.null() }
        json.endObject()
    }

    func modelDrift(_ query: Substring?) throws(Problem) -> Answer {
        _ = try Parameters(query: query, known: [])
        let map = try readableMap()
        let size = map.head.size
        // A comparison of everything takes its time.
        let deadline = ContinuousClock.now + SocketLimits.driftTime
        let patience = Patience(until: deadline, or: try model().readers.stop)
        var problem: Problem?
        let answer = try reading(until: deadline) {
            (connection, state) throws(ModelFailure) -> Answer? in
            do throws(ModelDrift.Failure) {
                let drift = try ModelDrift(map, size: size, connection, patience)
                return Answer { json in
                    json.beginObject()
                    json.member("lsn", state.lsn.description)
                    json.member("ledger_size", Int(size.entries))
                    drift.write(to: &json)
                    json.endObject()
                }
            } catch {
                switch error {
                case .model(let failure): throw failure
                case .read(let failure): problem = Problem(failure)
                case .timeIsOver:
                    throw .tooSlow
                }
                return nil
            }
        }
        if let problem { throw problem }
        return answer!
    }

    // MARK: Chains

    /// The rows of a chain's entities, as a member of its document.
    func rows(of entities: [(type: String, id: UUID128)]) throws(Problem) -> [UInt8] {
        try reading { (connection, state) throws(ModelFailure) in
            var relations: [String: ModelRelation] = [:]
            for table in EngineSchema.tables {
                relations[table.name] = try ModelRelation(table.name, isView: false, connection)
            }
            var json = JSONWriter()
            json.beginObject()
            json.member("lsn", state.lsn.description)
            json.key("entities")
            json.beginArray()
            for entity in entities {
                let row = try relations[entity.type].flatMap { (relation) throws(ModelFailure) in
                    try relation.row(entity.id, connection)
                }
                json.beginObject()
                json.member("entity_type", entity.type)
                json.member("entity_id", entity.id)
                json.key("row")
                if let row { json.json(row) } else { json.null() }
                json.endObject()
            }
            json.endArray()
            json.endObject()
            return json.bytes
        }
    }
}

extension Parameters {
    /// Values for columns, by the parameters that are named like them.
    fileprivate func filter(
        _ relation: ModelRelation
    ) throws(Problem) -> [(column: String, value: ModelValue)] {
        var filter: [(String, ModelValue)] = []
        for column in relation.columns where column.name != "limit" && column.name != "cursor" {
            guard let text = self[column.name] else { continue }
            guard let value = ModelValue(text, of: column.type) else {
                throw .badParameter(column.name, "\(text) cannot be a value of this column")
            }
            filter.append((column.name, value))
        }
        return filter
    }
}

extension Problem {
    static func unknownRelation(_ name: String, isView: Bool) -> Problem {
        let names = isView ? EngineSchema.views : EngineSchema.tables.map(\.name)
        return Problem(
            404, "not_found",
            "there is no \(isView ? "view" : "table") \(name); there are "
                + names.joined(separator: ", "))
    }

    init(_ failure: ModelFailure) {
        switch failure {
        case .refused(let refusal): self.init(refusal)
        case .missing(let detail): self.init(404, "no_model", detail)
        case .locked(let detail):
            self.init(409, "model_locked", detail)
        case .tooSlow: self.init(503, "time_is_over", failure.description)
        case .drifted: self.init(500, "model_drifted", failure.description)
        case .database(let failure) where failure.isFull:
            self.init(507, "no_space", "\(failure). Nothing of this was applied")
        case .database, .file:
            self.init(503, "model_failed", "\(failure); try again")
            retryAfterSeconds = 1
        }
    }

    init(_ refusal: ModelRefusal) {
        let status =
            switch refusal.code {
            case .notUnique: 409
            case .rowNotFound: 404
            case .notAChange: 400
            default: 422
            }
        self.init(status, refusal.code.rawValue, refusal.description)
        (table, column, value) = (refusal.table, refusal.column, refusal.value)
    }

    init(_ refusal: SQLSandbox.Refusal, _ ledger: RunningLedger) {
        switch refusal {
        case .notARead(let detail): self.init(403, "not_a_read", detail)
        case .malformed(let detail, let offset):
            self.init(400, "bad_sql", detail)
            self.offset = offset
        case .badParameters(let detail): self.init(400, "bad_parameter", detail)
        case .timeIsOver:
            self.init(
                503, "time_is_over",
                "this took longer than \(ledger.settings.queryTime); ask for less, or by a key")
        case .tooMuchMemory:
            self.init(
                503, "too_much_memory",
                "this needs too much memory to sort or to group; ask for less")
        case .missing: self.init(404, "no_model", ModelReaders.noModel)
        case .failed(let failure): self.init(ModelFailure.database(failure))
        }
    }
}
