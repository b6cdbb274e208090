internal import LedgerFormat
internal import LedgerIndex
internal import LedgerStorage
internal import Platform
internal import Publishing
internal import StardustCore

/// How to answer a query: from which ledger, by when, and whether it may wait for the disk.
struct QueryContext: Sendable {
    let ledger: RunningLedger
    let access: ReadAccess
    let deadline: ContinuousClock.Instant

    /// A short answer that needs only memory.
    static func brief(_ ledger: RunningLedger) -> QueryContext {
        QueryContext(
            ledger: ledger, access: .cachedOnly, deadline: .now + QueryLimits.briefTime)
    }

    /// An answer on a thread that may wait. A request's time includes the wait for a thread: it
    /// starts at `began`.
    static func patient(
        _ ledger: RunningLedger, since began: ContinuousClock.Instant
    ) -> QueryContext {
        QueryContext(
            ledger: ledger, access: .blocking, deadline: began + ledger.inForce.values.queryTime)
    }

    /// The same answer on a thread that may also wait for the archive.
    var fetching: QueryContext {
        QueryContext(ledger: ledger, access: .fetching, deadline: deadline)
    }

    var isBrief: Bool { access == .cachedOnly }

    /// Leaves the query to a thread that may wait, unless this is one.
    func mayWait() throws(Problem) {
        if isBrief { throw .wouldBlock }
    }

    // MARK: The ledger

    func position(of id: UUID128, _ map: LedgerMap) throws(Problem) -> Position? {
        do throws(FileFailure) { return try map.position(of: id, access) } catch {
            throw Problem(ReadFailure.file(error))
        }
    }

    func read(_ position: Position, _ map: LedgerMap) throws(Problem) -> StoredRecord? {
        do throws(ReadFailure) { return try map.read(position, access) } catch {
            throw Problem(error)
        }
    }

    /// An entry without its payload.
    func entry(_ position: Position, _ map: LedgerMap) throws(Problem) -> Entry? {
        do throws(ReadFailure) { return try map.entry(position, access) } catch {
            throw Problem(error)
        }
    }

    /// The last size of the ledger that was received by a time.
    func size(at time: Timestamp, _ map: LedgerMap) throws(Problem) -> LedgerSize {
        let next = Timestamp(microseconds: time.microseconds + 1)
        do throws(IndexFailure) {
            return LedgerSize(
                try map.firstReceived(
                    atOrAfter: next, in: 0..<map.head.size.entries, access))
        } catch { throw Problem(PacketSearch.Failure(error), ledger) }
    }

    /// The packet with an id, if the ledger had it at a given size.
    func packet(
        _ id: UUID128, _ map: LedgerMap, at size: LedgerSize
    ) throws(Problem) -> StoredRecord {
        guard let position = try position(of: id, map), size.contains(position),
            let record = try read(position, map), record.entry.kind == .packet
        else { throw unknown("the packet \(id)") }
        return record
    }

    /// What is not found in a sound ledger is not in it. In a damaged one nobody can tell.
    func unknown(_ what: String) -> Problem {
        guard let damage = ledger.map?.damage else { return .unknown(what) }
        return Problem(
            .damaged,
            "nobody can tell whether \(what) is in the ledger, because it is damaged: "
                + damage.description)
    }

    // MARK: The index

    /// The index with everything acknowledged before the request arrived.
    func index(reflecting size: LedgerSize) throws(Problem) -> TermSnapshot {
        guard let follower = ledger.follower else { throw Problem(.recovering) }
        if isBrief {
            guard var index = follower.snapshot, index.size >= size else { throw .wouldBlock }
            index.access = access
            return index
        }
        if var index = follower.snapshot(reflecting: size, until: deadline) {
            index.access = access
            return index
        }
        throw Problem(
            .indexBehind,
            "the index reflects \(follower.progress.size) of \(size) packets; try again once it "
                + "has caught up", retryAfterSeconds: 5)
    }

    /// Runs a search and converts a failure to a problem.
    func searching<Result>(
        _ body: () throws(PacketSearch.Failure) -> Result
    ) throws(Problem) -> Result {
        do throws(PacketSearch.Failure) { return try body() } catch {
            throw Problem(error, ledger)
        }
    }
}

extension Problem {
    /// Also has a damaged index file rebuilt.
    init(_ failure: PacketSearch.Failure, _ ledger: RunningLedger) {
        switch failure {
        case .read(let failure): self.init(failure)
        case .wouldBlock: self = .wouldBlock
        case .timeIsOver:
            self.init(
                .timeIsOver,
                "this took longer than \(ledger.inForce.values.queryTime); ask for less at a time, with "
                    + "lower limits")
        case .index(let failure):
            if case .unusable = failure { ledger.follower?.distrust() }
            self.init(.indexFailed, "\(failure); try again", retryAfterSeconds: 1)
        }
    }
}
