internal import LedgerFormat
internal import LedgerIndex
internal import LedgerStorage
internal import Packets
internal import Platform
internal import StardustCore

/// Answers everything but emitting. What blocks on disk and index runs on a pool of threads.
struct Librarian: Sendable {
    let ledger: RunningLedger
    private(set) var access = ReadAccess.blocking
    /// When the request came: its time runs while it waits for a thread, too.
    var began: ContinuousClock.Instant?

    init(ledger: RunningLedger) { self.ledger = ledger }

    /// The answer where it is short and needs nothing but memory; nil where it must be asked for
    /// on a thread that may wait. Most look-ups are such, and waking a thread takes longer.
    func quickAnswer(_ route: Route, query: Substring?) -> Answer? {
        var quick = self
        quick.access = .cachedOnly
        do throws(Problem) { return try quick.respond(route, query) } catch {
            return error.isWouldBlock ? nil : Answer(error)
        }
    }

    /// The answer to a request that came at an instant. May block.
    func answer(
        _ route: Route, query: Substring?, since began: ContinuousClock.Instant = .now
    ) -> Answer {
        var patient = self
        patient.began = began
        do throws(Problem) { return try patient.respond(route, query) } catch {
            return Answer(error)
        }
    }

    /// When an answer must be there.
    var deadline: ContinuousClock.Instant {
        (began ?? .now)
            + (access == .blocking ? ledger.settings.queryTime : SocketLimits.quickTime)
    }

    private func respond(_ route: Route, _ query: Substring?) throws(Problem) -> Answer {
        switch route {
        case .emit: preconditionFailure("emitting is not a look-up")
        case .livez:
            return Answer {
                $0.beginObject()
                $0.member("live", true)
                $0.endObject()
            }
        case .readyz: return readiness
        case .metrics: return try metrics()
        case .status: return status
        case .openapi: return Answer(200, "application/yaml", PackageResources.openapi_yaml)
        case .packet(let id, let isRaw): return try packet(id, isRaw, query)
        case .entry(let position, let isRaw): return try entry(position, isRaw, query)
        case .entityPackets(let type, let id):
            var filter = PacketFilter()
            (filter.entityType, filter.entityID) = (type, id)
            return try list(filter, "entity \(type) \(id)", query)
        case .tracePackets(let id):
            var filter = PacketFilter()
            filter.traceID = id
            return try list(filter, "trace \(id)", query)
        case .find: return try find(query)
        case .parents(let id): return try parents(of: id, query)
        case .children(let id): return try children(of: id, query)
        case .chain(let target): return try chain(target, query)
        case .follow: preconditionFailure("following is not one answer")
        case .checkpoint: return try checkpoint(query)
        case .proof(let id): return try proof(of: id, query)
        case .entryProof(let position): return try proof(at: position, query)
        case .consistency: return try consistency(query)
        case .tile(let tile): return try content(of: tile, query)
        case .modelRows(let name, let isView): return try rows(name, isView: isView, query)
        case .modelRow(let table, let id): return try row(table, id, query)
        case .modelStatus: return try modelStatus(query)
        case .modelDrift: return try modelDrift(query)
        case .modelChanges, .modelSQL: preconditionFailure("what has a body is no look-up")
        }
    }

    // MARK: Single packets

    private func packet(_ id: UUID128, _ isRaw: Bool, _ query: Substring?) throws(Problem) -> Answer
    {
        let (map, size) = try readable(at: query)
        guard let position = try position(of: id, map), size.contains(position),
            let record = try read(position, map), record.entry.kind == .packet
        else { throw .unknown("the packet \(id)") }
        return isRaw ? Answer(200, "application/json", record.payload) : try shown(record)
    }

    private func entry(
        _ position: Position, _ isRaw: Bool, _ query: Substring?
    ) throws(Problem) -> Answer {
        let (map, size) = try readable(at: query)
        guard size.contains(position), let record = try read(position, map) else {
            throw .unknown("position \(position)")
        }
        return isRaw
            ? Answer(200, "application/octet-stream", record.entry.bytes) : try shown(record)
    }

    /// The ledger and the size that a request without other parameters asks about.
    private func readable(at query: Substring?) throws(Problem) -> (LedgerMap, LedgerSize) {
        let parameters = try Parameters(query: query, known: ["as_of"])
        let map = try readableMap()
        return (map, try parameters.size(upTo: map.head.size))
    }

    private func shown(_ record: StoredRecord) throws(Problem) -> Answer {
        if record.entry.kind == .keyRotation { return Answer { $0.keyRotation(record) } }
        guard let entity = PacketEntity(record.payload.span) else {
            throw Problem(
                500, "damaged", "position \(record.entry.position) does not hold a packet")
        }
        return Answer { $0.packet(record, entity) }
    }

    func position(of id: UUID128, _ map: LedgerMap) throws(Problem) -> Position? {
        do throws(FileFailure) { return try map.position(of: id, access) } catch {
            throw Problem(.file(error))
        }
    }

    func read(_ position: Position, _ map: LedgerMap) throws(Problem) -> StoredRecord? {
        do throws(ReadFailure) { return try map.read(position, access) } catch {
            throw Problem(error)
        }
    }

    func readableMap() throws(Problem) -> LedgerMap {
        guard let map = ledger.map else { throw Problem(.recovering) }
        return map
    }

    // MARK: Operating

    private func metrics() throws(Problem) -> Answer {
        if access == .cachedOnly { throw .wouldBlock }
        let lag = ledger.model?.lag()
        ledger.metrics.modelLagBytes.set(lag?.bytes ?? 0)
        ledger.metrics.modelLagMilliseconds.set(lag?.milliseconds ?? 0)
        ledger.metrics.modelRetainedBytes.set(lag?.retainedBytes ?? 0)
        ledger.metrics.bytesInFlight.set(ledger.inbox.bytesInFlight)
        ledger.metrics.residentBytes.set(ProcessMemory.residentBytes)
        return Answer(
            200, "text/plain; version=0.0.4; charset=utf-8", Array(ledger.metrics.text.utf8))
    }

    private var readiness: Answer {
        let reasons = ledger.unreadiness
        return Answer(reasons.isEmpty ? 200 : 503) { json in
            json.beginObject()
            json.member("ready", reasons.isEmpty)
            json.key("reasons")
            json.beginArray()
            for reason in reasons { json.string(reason) }
            json.endArray()
            json.endObject()
        }
    }

    private var status: Answer {
        let head = ledger.map?.head
        let index = ledger.follower?.progress
        return Answer { json in
            json.beginObject()
            json.member("ledger_id", ledger.identity.ledgerID)
            json.member("origin", ledger.identity.origin)
            json.member("verifier_key", ledger.identity.verifierKey.description)
            json.member("phase", ledger.phaseName)
            json.member("ledger_size", Int(head?.size.entries ?? 0))
            json.key("last_entry_hash")
            if let head { json.string(head.lastHash.tagged) } else { json.null() }
            json.member("segments", ledger.map?.segmentCount ?? 0)
            json.key("index")
            json.beginObject()
            json.member("size", Int(index?.size.entries ?? 0))
            json.member("phase", index?.phase.name ?? "closed")
            json.member("file_bytes", ledger.follower?.fileBytes ?? 0)
            json.endObject()
            json.key("publishing")
            write(ledger.publisher, to: &json)
            json.member("bytes_in_flight", ledger.inbox.bytesInFlight)
            json.member("connections", ledger.metrics.connections.value)
            json.endObject()
        }
    }
}
