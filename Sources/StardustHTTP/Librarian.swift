internal import LedgerFormat
internal import LedgerIndex
internal import LedgerStorage
internal import Packets
internal import StardustCore

/// Answers everything but emitting. Blocks on disk and index, so it runs on a pool of threads.
struct Librarian: Sendable {
    let ledger: RunningLedger

    func answer(_ route: Route, query: Substring?) -> Answer {
        do throws(Problem) {
            switch route {
            case .emit: preconditionFailure("emitting is not a look-up")
            case .livez:
                return Answer {
                    $0.beginObject()
                    $0.member("live", true)
                    $0.endObject()
                }
            case .readyz: return readiness
            case .metrics: return metrics
            case .status: return status
            case .packet(let id, let isRaw): return try packet(id, isRaw, query)
            case .entry(let position, let isRaw): return try entry(position, isRaw, query)
            case .entityPackets(let type, let id): return try history(type, id, query)
            }
        } catch { return Answer(error) }
    }

    // MARK: Single packets

    private func packet(_ id: UUID128, _ isRaw: Bool, _ query: Substring?) throws(Problem) -> Answer
    {
        _ = try Parameters(query: query, known: [])
        let map = try readableMap()
        let position: Position?
        do throws(FileFailure) { position = try map.position(of: id) } catch {
            throw Problem(.file(error))
        }
        guard let position, let record = try read(position, map) else {
            throw .unknown("the packet \(id)")
        }
        return isRaw ? Answer(200, "application/json", record.payload) : try shown(record)
    }

    private func entry(
        _ position: Position, _ isRaw: Bool, _ query: Substring?
    ) throws(Problem) -> Answer {
        _ = try Parameters(query: query, known: [])
        let map = try readableMap()
        guard let record = try read(position, map) else {
            throw .unknown("position \(position)")
        }
        return isRaw
            ? Answer(200, "application/octet-stream", record.entryBytes) : try shown(record)
    }

    private func shown(_ record: StoredRecord) throws(Problem) -> Answer {
        let facts = try facts(record)
        return Answer { $0.packet(record, facts) }
    }

    private func facts(_ record: StoredRecord) throws(Problem) -> PacketFacts {
        var reader = PacketReader()
        do throws(PacketError) { return try reader.read(record.payload.span) } catch {
            throw Problem(
                500, "damaged", "position \(record.entry.position) does not hold a packet")
        }
    }

    private func read(_ position: Position, _ map: LedgerMap) throws(Problem) -> StoredRecord? {
        do throws(ReadFailure) { return try map.read(position) } catch { throw Problem(error) }
    }

    private func readableMap() throws(Problem) -> LedgerMap {
        guard let map = ledger.map else { throw Problem(.recovering) }
        return map
    }

    // MARK: Lists

    private func history(
        _ type: String, _ id: UUID128, _ query: Substring?
    ) throws(Problem) -> Answer {
        let parameters = try Parameters(query: query, known: ["limit", "cursor", "as_of", "order"])
        let map = try readableMap()
        let current = map.head.size
        let limit = Int(
            try parameters.number("limit", in: 1...UInt64(SocketLimits.pageMax))
                ?? UInt64(SocketLimits.pageDefault))
        let isDescending = try parameters.isDescending()
        let question = "history \(type) \(id) \(isDescending)"
        var size = LedgerSize(
            try parameters.number("as_of", in: 0...current.entries) ?? current.entries)
        var range = 0..<size.entries
        if let text = parameters["cursor"] {
            let cursor = try PageCursor(text, question: question)
            guard cursor.size <= current, parameters["as_of"] == nil || cursor.size == size else {
                throw .badParameter("cursor", "belongs to another size of the ledger")
            }
            size = cursor.size
            range =
                isDescending
                ? 0..<cursor.next.value + 1 : min(cursor.next.value, size.entries)..<size.entries
        }
        let positions = try positions(type, id, range, isDescending, limit + 1, reflecting: current)
        var (records, next): ([(StoredRecord, PacketFacts)], PageCursor?) = ([], nil)
        var bytes = 0
        for position in positions {
            if records.count == limit || bytes > SocketLimits.pageBytes {
                next = PageCursor(size: size, next: position, question: question)
                break
            }
            guard let record = try read(position, map) else { continue }
            bytes += record.payload.count
            records.append((record, try facts(record)))
        }
        return page(records, size: size, next: next)
    }

    private func positions(
        _ type: String, _ id: UUID128, _ range: Range<UInt64>, _ isDescending: Bool, _ limit: Int,
        reflecting size: LedgerSize
    ) throws(Problem) -> [Position] {
        let deadline = ContinuousClock.now + LedgerLimits.queryTime
        guard let follower = ledger.follower,
            let index = follower.index(reflecting: size, until: deadline)
        else {
            var problem = Problem(
                503, "index_behind", "the index does not reflect the ledger yet; try again")
            problem.retryAfterSeconds = 5
            throw problem
        }
        do throws(EntityIndex.Failure) {
            return try index.positions(
                entityType: type, entityID: id, in: range, isDescending: isDescending,
                limit: limit)
        } catch {
            if case .unusable = error { follower.distrust() }
            throw Problem(503, "index_failed", "\(error); try again")
        }
    }

    private func page(
        _ records: [(StoredRecord, PacketFacts)], size: LedgerSize, next: PageCursor?
    ) -> Answer {
        Answer { json in
            json.beginObject()
            json.member("ledger_size", Int(size.entries))
            json.key("packets")
            json.beginArray()
            for (record, facts) in records { json.packet(record, facts) }
            json.endArray()
            json.key("next")
            if let next { json.string(next.text) } else { json.null() }
            json.endObject()
        }
    }

    // MARK: Operating

    private var metrics: Answer {
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
            json.member("verifier_key", ledger.identity.verifierKey)
            json.member("phase", ledger.phaseName)
            json.member("ledger_size", Int(head?.size.entries ?? 0))
            json.key("last_entry_hash")
            if let head { json.string(head.lastHash.tagged) } else { json.null() }
            json.member("segments", ledger.map?.segmentCount ?? 0)
            json.key("index")
            json.beginObject()
            json.member("size", Int(index?.size.entries ?? 0))
            json.member("phase", index?.phase.name ?? "closed")
            json.endObject()
            json.member("bytes_in_flight", ledger.inbox.bytesInFlight)
            json.member("connections", ledger.metrics.connections.value)
            json.endObject()
        }
    }
}

extension Parameters {
    fileprivate func isDescending() throws(Problem) -> Bool {
        switch self["order"] {
        case nil, "asc": return false
        case "desc": return true
        case let other?: throw .badParameter("order", "\(other) is neither asc nor desc")
        }
    }
}
