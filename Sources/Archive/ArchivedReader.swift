internal import LedgerFormat
package import ObjectStore
internal import Packets
internal import Synchronization

/// Reads archived segments from their stores, for the daemon, which has no network. It checks nothing:
/// the daemon knows what the bytes must be.
package final class ArchivedReader: Sendable {
    private let source: any LedgerSource
    private let stores: [any ObjectStore]
    private let patience: @Sendable () -> Patience
    private let lag: @Sendable () -> Double
    private let known = Mutex<[Place: Copy]>([:])

    private struct Place: Hashable, Sendable {
        var store: Int
        var first: Position
    }

    /// A segment in a store.
    private struct Copy: Sendable {
        var key: String
        var bytes: Int
    }

    package struct Answer: Sendable {
        package var status: Int
        package var type: String
        package var body: [UInt8]

        fileprivate static func text(_ status: Int, _ text: String) -> Answer {
            Answer(status: status, type: "text/plain; charset=utf-8", body: Array(text.utf8))
        }
    }

    /// `patience` is that of one answer: the daemon waits no longer than a query may take. `lag` says for
    /// how many seconds no store got what is durable.
    package init(
        _ source: any LedgerSource, _ stores: [any ObjectStore],
        lag: @escaping @Sendable () -> Double, patience: @escaping @Sendable () -> Patience
    ) {
        self.lag = lag
        (self.source, self.stores, self.patience) = (source, stores, patience)
    }

    /// Answers `/v1/archive` and `/v1/archive/segments/<first>?(skip=|store=)n&from=n&bytes=n`.
    /// `skip` leaves out the first copies that there are, `store` names one.
    package func answer(_ target: String) -> Answer {
        do throws(StoreFailure) {
            if target == "/v1/archive" { return try describe() }
            guard let request = Request(target) else {
                return .text(404, "there is nothing at this path")
            }
            return try read(request)
        } catch {
            // A store that has it, but not right, is no store that is away.
            let isThere = error.kind == .missing || error.kind == .damaged
            return .text(isThere ? 404 : 503, "\(error)")
        }
    }

    private func describe() throws(StoreFailure) -> Answer {
        let ledger = try identity().ledgerID
        var json = JSONWriter()
        json.beginObject()
        json.member("ledger_id", ledger)
        json.key("lag_seconds")
        json.json(Array("\(lag())".utf8))
        json.key("stores")
        json.array(stores) { store, json in
            json.beginObject()
            json.member("name", store.name)
            json.endObject()
        }
        json.endObject()
        return Answer(status: 200, type: "application/json", body: json.bytes)
    }

    // MARK: Segments

    private struct Request {
        var first: Position
        var store: Int?
        var skip = 0
        var from: Int
        var bytes: Int

        init?(_ target: String) {
            let prefix = "/v1/archive/segments/"
            guard target.hasPrefix(prefix) else { return nil }
            let parts = target.dropFirst(prefix.count).split(separator: "?", maxSplits: 1)
            guard parts.count == 2, let first = UInt64(parts[0]) else { return nil }
            var values: [Substring: Int] = [:]
            for pair in parts[1].split(separator: "&") {
                let sides = pair.split(separator: "=", maxSplits: 1)
                guard sides.count == 2, let value = Int(sides[1]), value >= 0, value < 1 << 40
                else {
                    return nil
                }
                values[sides[0]] = value
            }
            guard let from = values["from"], let bytes = values["bytes"], bytes > 0,
                bytes <= ArchiveLimits.pieceBytes
            else { return nil }
            (self.first, self.from, self.bytes) = (Position(first), from, bytes)
            (store, skip) = (values["store"], values["skip"] ?? 0)
        }
    }

    private func read(_ request: Request) throws(StoreFailure) -> Answer {
        let wanted =
            request.store.map { [$0].filter(stores.indices.contains) } ?? Array(stores.indices)
        var (skip, last): (Int, StoreFailure?) = (request.skip, nil)
        let patience = patience()
        // Older versions come after all current ones: an overwriting hides nothing.
        let turns =
            wanted.map { ($0, true) } + (request.store == nil ? wanted : []).map { ($0, false) }
        for (store, isCurrent) in turns {
            do throws(StoreFailure) {
                guard let copy = try copy(request.first, store, patience) else { continue }
                let versions = isCurrent ? [nil] : try older(copy, store, patience)
                guard skip < versions.count else {
                    skip -= versions.count
                    continue
                }
                return try read(request, copy, store, version: versions[skip], patience)
            } catch {
                last = error
                guard error.kind == .missing || error.kind == .damaged else { continue }
                known.withLock {
                    _ = $0.removeValue(forKey: Place(store: store, first: request.first))
                }
            }
        }
        if let last { throw last }
        return .text(
            404, "no \(request.skip > 0 ? "other " : "")store has the segment at \(request.first)")
    }

    private func read(
        _ request: Request, _ copy: Copy, _ store: Int, version: String?, _ patience: Patience
    ) throws(StoreFailure) -> Answer {
        var bytes: [UInt8] = []
        if request.from < copy.bytes {
            let range = request.from..<min(request.from + request.bytes, copy.bytes)
            bytes.reserveCapacity(range.count)
            try stores[store].get(copy.key, range, version: version, patience) { bytes.append($0) }
        }
        return Answer(status: 200, type: "application/octet-stream", body: bytes)
    }

    /// Versions that may have been the segment.
    private func older(
        _ copy: Copy, _ store: Int, _ patience: Patience
    ) throws(StoreFailure) -> [String?] {
        try stores[store].versions(of: copy.key, patience)
            .filter { $0.version != nil && $0.bytes == copy.bytes }.map(\.version)
    }

    private func identity() throws(StoreFailure) -> LedgerIdentity {
        let content = try source.identity()
        guard let identity = try? LedgerIdentity(fileContent: content) else {
            throw StoreFailure(.source, "", "the daemon's identity is damaged")
        }
        return identity
    }

    /// Nil if the store does not have the segment whole. Where only an epoch has it that had ended by
    /// then, it is what the machine of that epoch took.
    private func copy(
        _ first: Position, _ store: Int, _ patience: Patience
    ) throws(StoreFailure) -> Copy? {
        let place = Place(store: store, first: first)
        if let copy = known.withLock({ $0[place] }) { return copy }
        let identity = try identity()
        let layout = ArchiveLayout(identity.ledgerID)
        let epochs = try ArchivedEpochs(
            [stores[store]], layout, firstKey: identity.verifierKey, patience)
        var ended: Copy?
        for epoch in Set(epochs.all.map(\.note.number)).union([0]).sorted(by: >) {
            let key = layout.segment(first, epoch, .mark)
            var isThere = false
            let found = try stores[store].anyVersion(
                of: key, atMost: SealedMark.bytesMax, patience
            ) { content in
                isThere = isThere || !content.isEmpty
                return SealedMark(fileContent: content).flatMap { $0.first == first ? $0 : nil }
            }
            guard let mark = found else {
                guard isThere else { continue }
                throw StoreFailure(
                    .damaged, "\(stores[store].name)/\(key)", "it is not a segment's mark")
            }
            let copy = Copy(key: layout.segment(first, epoch, .segment), bytes: mark.bytes)
            guard epochs.counts(mark, of: epoch) else {
                ended = ended ?? copy
                continue
            }
            known.withLock { $0[place] = copy }
            return copy
        }
        return ended
    }
}
