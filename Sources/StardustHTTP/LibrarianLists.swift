internal import LedgerFormat
internal import LedgerIndex
internal import LedgerStorage
internal import Packets
internal import Platform
internal import StardustCore

/// Lists of packets.
extension Librarian {
    func find(_ query: Substring?) throws(Problem) -> Answer {
        let parameters = try Parameters(
            query: query, known: Parameters.filters.union(ListRequest.parameters).union(["count"]))
        return try list(
            try parameters.filter(), "find \(parameters.question)", parameters,
            counts: try parameters.boolean("count"))
    }

    func list(
        _ filter: PacketFilter, _ question: String, _ query: Substring?
    ) throws(Problem) -> Answer {
        let parameters = try Parameters(query: query, known: ListRequest.parameters)
        return try list(filter, question, parameters, counts: false)
    }

    private func list(
        _ filter: PacketFilter, _ question: String, _ parameters: Parameters, counts: Bool
    ) throws(Problem) -> Answer {
        let map = try readableMap()
        let current = map.head.size
        let request = try ListRequest(parameters, question: question, current: current)
        if counts || request.limit > SocketLimits.quickPackets, access == .cachedOnly {
            throw .wouldBlock
        }
        let deadline = deadline
        let index = try index(reflecting: current, until: deadline)
        let search = PacketSearch(map, index, filter)
        return try searching { () throws(PacketSearch.Failure) in
            let page = try search.page(
                in: request.range, isDescending: request.isDescending,
                request.limits(until: deadline))
            if page.isCut, access == .cachedOnly { throw .wouldBlock }
            let total =
                counts
                ? try search.count(in: 0..<request.size.entries, until: deadline) : nil
            return shown(page, request, total: total)
        }
    }

    private func shown(
        _ page: PacketSearch.Page, _ request: ListRequest, total: (count: Int, isExact: Bool)?
    ) -> Answer {
        Answer { json in
            json.reserve(page.found.reduce(256) { $0 + $1.record.payload.count + 512 })
            json.beginObject()
            json.member("ledger_size", Int(request.size.entries))
            if let total {
                json.member("total", total.count)
                json.member("total_exact", total.isExact)
            }
            json.key("packets")
            json.beginArray()
            for found in page.found { json.packet(found.record, found.entity) }
            json.endArray()
            json.next(request.cursor(page.next), isCut: page.isCut)
            if !page.notCompared.isEmpty {
                json.key("not_compared")
                json.beginArray()
                for position in page.notCompared { json.integer(Int(position.value)) }
                json.endArray()
            }
            json.endObject()
        }
    }

    // MARK: The index

    /// The index with everything that was acknowledged before the request came.
    func index(
        reflecting size: LedgerSize, until deadline: ContinuousClock.Instant
    ) throws(Problem) -> TermSnapshot {
        guard let follower = ledger.follower else { throw Problem(.recovering) }
        if access == .cachedOnly {
            guard var index = follower.snapshot, index.size >= size else { throw .wouldBlock }
            index.access = access
            return index
        }
        if let index = follower.snapshot(reflecting: size, until: deadline) { return index }
        let progress = follower.progress
        var problem = Problem(
            503, "index_behind",
            "the index reflects \(progress.size) of \(size) packets; try again when it has caught up"
        )
        problem.retryAfterSeconds = 5
        throw problem
    }

    /// Runs a search, and makes a problem of its failure.
    func searching<Result>(
        _ body: () throws(PacketSearch.Failure) -> Result
    ) throws(Problem) -> Result {
        do throws(PacketSearch.Failure) { return try body() } catch {
            throw Problem(error, ledger)
        }
    }
}

extension Problem {
    /// An index file that turns out to be damaged is made again.
    init(_ failure: PacketSearch.Failure, _ ledger: RunningLedger) {
        switch failure {
        case .read(let failure): self.init(failure)
        case .wouldBlock: self = .wouldBlock
        case .timeIsOver:
            self.init(
                503, "time_is_over",
                "this took longer than \(ledger.settings.queryTime); ask for less at a time, "
                    + "with lower limits")
        case .index(let failure):
            if case .unusable = failure { ledger.follower?.distrust() }
            self.init(503, "index_failed", "\(failure); try again")
            retryAfterSeconds = 1
        }
    }
}

extension JSONWriter {
    /// The end of a page: where the next one begins, and whether the time was over.
    mutating func next(_ cursor: PageCursor?, isCut: Bool = false) {
        key("next")
        if let cursor { string(cursor.text) } else { null() }
        if isCut { member("cut", true) }
    }
}
