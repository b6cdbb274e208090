internal import LedgerFormat
internal import LedgerStorage
internal import Packets
internal import ReadModel
internal import StardustCore

/// Rows of the read model, and whether they agree with the packets.
enum ModelQueries {
    // MARK: Rows

    static func tableRows(_ request: QueryRequest) -> Query { rows(request, "table") }
    static func viewRows(_ request: QueryRequest) -> Query { rows(request, "view") }

    private static func rows(_ request: QueryRequest, _ kind: String) -> Query {
        let (name, parameters) = (request.variables.text(kind), request.parameters)
        let isView = kind == "view"
        return Query { (context) throws(Problem) in
            let model = try context.model()
            let copy = model.folder.current ?? 0
            let snapshot = try context.snapshot(of: model)
            let relation = try snapshot.relation(name, isView: isView)
            try parameters.check(Set(relation.columns.map(\.name)).union(["limit", "cursor"]))
            let filter = try parameters.filter(relation)
            let query = "rows \(copy) \(name) \(parameters.filterText)"
            let cursor = try parameters["cursor"].map { (text) throws(Problem) in
                try RowCursor(text, query: query)
            }
            let limit = try parameters.count("limit", upTo: QueryLimits.pageMax)
            let page: ModelRelation.Page
            do throws(ModelFailure) {
                page = try relation.page(
                    filter, from: cursor?.next ?? 0, limit: limit ?? QueryLimits.pageDefault,
                    bytes: QueryLimits.pageBytes, snapshot.connection)
            } catch { throw Problem(error) }
            let lsn = snapshot.state.lsn
            return Answer { json in
                json.beginObject()
                json.member(kind, name)
                json.member("lsn", lsn.description)
                json.key("rows")
                json.array(page.rows) { $1.json($0) }
                json.key("next")
                if let next = page.next {
                    json.string(RowCursor(next: next, query: query).text)
                } else {
                    json.null()
                }
                json.endObject()
            }
        }
    }

    /// A row, the packets about it, and the packets it names.
    static func row(_ request: QueryRequest) throws(Problem) -> Query {
        let (table, id) = (request.variables.text("table"), request.variables.id("id"))
        let map = try request.map()
        let size = map.head.size
        return Query { (context) throws(Problem) in
            let row: [UInt8]?
            let snapshot = try context.snapshot(of: try context.model())
            let (lsn, relation) = (
                snapshot.state.lsn, try snapshot.relation(table, isView: false)
            )
            do throws(ModelFailure) { row = try relation.row(id, snapshot.connection) } catch {
                throw Problem(error)
            }
            guard let row else { throw Problem(.notFound, "\(table) has no row \(id)") }
            let packets = try context.packets(of: table, id, map, size)
            let references = try context.references(in: row, map)
            return Answer { json in
                json.beginObject()
                json.member("table", table)
                json.member("lsn", lsn.description)
                json.member("ledger_size", size.entries)
                json.key("row")
                json.json(row)
                json.key("packets")
                json.array(packets.found) { $1.reference($0.record.entry) }
                json.member("packets_cut", packets.next != nil)
                json.key("names")
                json.array(references) { $1.reference($0) }
                json.endObject()
            }
        }
    }

    // MARK: State

    static func status(_ request: QueryRequest) -> Query {
        Query { (context) throws(Problem) in
            let model = try context.model()
            let snapshot: ModelSnapshot
            do throws(ModelFailure) {
                snapshot = try model.readers.snapshot(until: context.deadline)
            } catch {
                guard case .missing = error else { throw Problem(error) }
                return Answer { json in
                    json.beginObject()
                    json.member("folder", model.folder.path)
                    json.member("phase", "none")
                    json.service(model.service)
                    json.endObject()
                }
            }
            // If counting takes too long, the state itself is still reported.
            let census: ModelCensus?
            do throws(ModelFailure) {
                census = try ModelCensus.unlessTooSlow(snapshot.connection)
            } catch { throw Problem(error) }
            var (state, lag) = (snapshot.state, model.lag())
            let logBytes = model.folder.logBytes
            if logBytes > ModelRequestLimits.logBytesWarning {
                state.warnings.append(
                    "model.sqlite's write-ahead log has \(logBytes >> 20) MiB: a large transaction was "
                        + "applied, or somebody reads the file in one that does not end")
            }
            if model.isSilent(state) {
                state.warnings.append(
                    "nobody follows the source since \(state.updatedAt ?? "?"): rows may be out of date"
                )
            }
            return Answer { json in
                json.beginObject()
                json.member("folder", model.folder.path)
                state.write(to: &json)
                json.member("lag_ms", lag?.milliseconds ?? 0)
                json.member("wal_bytes", logBytes)
                json.service(model.service)
                json.member("counted", census != nil)
                census?.write(to: &json)
                json.endObject()
            }
        }
    }

    static func drift(_ request: QueryRequest) throws(Problem) -> Query {
        let map = try request.map()
        let size = map.head.size
        return Query { (context) throws(Problem) in
            let model = try context.model()
            // Comparing everything takes longer than any other query is allowed.
            let deadline = ContinuousClock.now + ModelRequestLimits.driftTime
            let snapshot: ModelSnapshot
            do throws(ModelFailure) { snapshot = try model.readers.snapshot(until: deadline) } catch
            {
                throw Problem(error)
            }
            let drift: ModelDrift
            do throws(ModelDrift.Failure) {
                drift = try ModelDrift(
                    map, size: size, snapshot.connection,
                    Patience(until: deadline, or: model.readers.stop))
            } catch {
                switch error {
                case .model(let failure): throw Problem(failure)
                case .read(let failure): throw Problem(failure)
                case .timeIsOver: throw Problem(ModelFailure.tooSlow)
                }
            }
            let lsn = snapshot.state.lsn
            return Answer { json in
                json.beginObject()
                json.member("lsn", lsn.description)
                json.member("ledger_size", size.entries)
                drift.write(to: &json)
                json.endObject()
            }
        }
    }
}

extension JSONWriter {
    fileprivate mutating func reference(_ entry: Entry) {
        beginObject()
        member("position", entry.position.value)
        member("stardust_id", entry.stardustID)
        endObject()
    }

    fileprivate mutating func reference(_ reference: RowReference) {
        beginObject()
        member("column", reference.column)
        member("pointer", reference.embedded.pointer)
        member("stardust_id", reference.embedded.stardustID)
        key("position")
        if let position = reference.position { integer(position.value) } else { null() }
        endObject()
    }

    fileprivate mutating func service(_ service: RunningModel.Service?) {
        key("service")
        guard let service else { return null() }
        beginObject()
        member("following", service.isFollowing)
        key("error")
        if let failure = service.failure { string(failure) } else { null() }
        key("waiting_for")
        if let reason = service.waitingFor { string(reason) } else { null() }
        key("failing_since")
        if let since = service.failingSince { string("\(since)") } else { null() }
        endObject()
    }
}

extension Parameters {
    /// Values for columns, from the parameters named after them.
    fileprivate func filter(
        _ relation: ModelRelation
    ) throws(Problem) -> [(column: String, value: ModelValue)] {
        var filter: [(String, ModelValue)] = []
        for column in relation.columns where column.name != "limit" && column.name != "cursor" {
            guard let text = self[column.name] else { continue }
            guard let value = ModelValue(text, of: column.type) else {
                throw .badParameter(column.name, "\(text) is not a valid value for this column")
            }
            filter.append((column.name, value))
        }
        return filter
    }
}
