internal import LedgerFormat
internal import LedgerStorage
internal import Packets
internal import ReadModel
internal import StardustCore

/// A packet named in a JSON column.
struct RowReference {
    var column: String
    var embedded: EmbeddedID
    /// Nil if the ledger has no such packet.
    var position: Position?
}

/// Access to the read model, for queries that use it.
extension QueryContext {
    func model() throws(Problem) -> RunningModel {
        // SQLite may wait for the disk.
        try mayWait()
        guard let model = ledger.model else { throw Problem(.noModel, ModelReaders.noModel) }
        return model
    }

    func snapshot(of model: RunningModel) throws(Problem) -> ModelSnapshot {
        do throws(ModelFailure) { return try model.readers.snapshot(until: deadline) } catch {
            throw Problem(error)
        }
    }

    /// Packets whose entity is a given row.
    func packets(
        of table: String, _ id: UUID128, _ map: LedgerMap, _ size: LedgerSize
    ) throws(Problem) -> PacketSearch.Page {
        var filter = PacketFilter()
        (filter.wanted.entityTypes, filter.wanted.entityIDs) = ([table], [id])
        let search = PacketSearch(map, try index(reflecting: size), filter)
        return try searching { () throws(PacketSearch.Failure) in
            try search.page(
                in: 0..<size.entries,
                PacketSearch.Limits(
                    packets: QueryLimits.pageMax, payloadBytes: .max, deadline: deadline))
        }
    }

    /// The packets named in a row's JSON columns.
    func references(in row: [UInt8], _ map: LedgerMap) throws(Problem) -> [RowReference] {
        guard let document = try? JSONDocument(row, limits: .answer) else { return [] }
        var found: [RowReference] = []
        for key in JSONChildren(document.tokens, of: 0) {
            let column = document.bytes.span.string(document.tokens[key])
            for embedded in EmbeddedID.all(in: document, at: key + 1) {
                let position = try UUID128(embedded.stardustID).flatMap { (id) throws(Problem) in
                    try self.position(of: id, map)
                }
                found.append(
                    RowReference(column: column, embedded: embedded, position: position))
            }
        }
        return found
    }

    /// The rows of a chain's entities, as JSON for the chain's document.
    func rows(of entities: [(type: String, id: UUID128)]) throws(Problem) -> [UInt8] {
        let snapshot = try snapshot(of: try model())
        var json = JSONWriter()
        json.beginObject()
        json.member("lsn", snapshot.state.lsn.description)
        json.key("entities")
        json.beginArray()
        do throws(ModelFailure) {
            var relations: [String: ModelRelation] = [:]
            for table in EngineSchema.tables {
                relations[table.name] = try ModelRelation(
                    table.name, isView: false, snapshot.connection)
            }
            for entity in entities {
                let row = try relations[entity.type]?.row(entity.id, snapshot.connection)
                json.beginObject()
                json.member("entity_type", entity.type)
                json.member("entity_id", entity.id)
                json.key("row")
                if let row { json.json(row) } else { json.null() }
                json.endObject()
            }
        } catch { throw Problem(error) }
        json.endArray()
        json.endObject()
        return json.bytes
    }
}

extension ModelSnapshot {
    /// A table or view that exists.
    borrowing func relation(
        _ name: String, isView: Bool
    ) throws(Problem) -> ModelRelation {
        do throws(ModelFailure) {
            if let relation = try ModelRelation(name, isView: isView, connection) {
                return relation
            }
        } catch { throw Problem(error) }
        let names = isView ? EngineSchema.views : EngineSchema.tables.map(\.name)
        throw Problem(
            .notFound,
            "there is no \(isView ? "view" : "table") \(name); there are "
                + names.joined(separator: ", "))
    }
}

extension Problem {
    init(_ failure: ModelFailure) {
        switch failure {
        case .refused(let refusal): self.init(refusal)
        case .missing(let detail): self.init(.noModel, detail)
        case .locked(let detail): self.init(.modelLocked, detail)
        case .tooSlow: self.init(.timeIsOver, failure.description)
        case .drifted: self.init(.modelDrifted, failure.description)
        case .database(let failure) where failure.isInterrupted: self.init(ModelFailure.tooSlow)
        case .database(let failure) where failure.isFull:
            self.init(.noSpace, "\(failure). None of this was applied")
        case .database, .file:
            self.init(.modelFailed, "\(failure); try again", retryAfterSeconds: 1)
        }
    }

    init(_ refusal: ModelRefusal) {
        self.init(.row(refusal.code), refusal.description)
        (table, column, value) = (refusal.table, refusal.column, refusal.value)
    }
}
