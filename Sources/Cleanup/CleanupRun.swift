package import LedgerFormat
internal import ObjectStore

/// Carries out an approved plan. All it knows of earlier runs is in the ledger, so it may be ended anywhere and
/// begun again: ids that the plan fixed make each record one.
package struct CleanupRun<World: CleanupWorld> {
    private let plan: CleanupPlan
    private let packet: CleanupPacket
    private let world: World
    private let mayApprove: (CleanupRecord) -> Bool
    private let limits: CleanupLimits
    private var records: [UUID128: CleanupRecord] = [:]
    /// When the newest deletions were, the oldest first.
    private var deletions: [Timestamp] = []
    private var held: (look: CleanupLook, places: [UUID128: Int])?
    private var pendingLogs: [CleanupLog] = []
    private var failuresInARow = 0
    package private(set) var tally = CleanupTally()

    /// `mayApprove` tells whether a record's user is one of the approvers.
    package init(
        _ plan: CleanupPlan, _ packet: CleanupPacket, _ world: World,
        limits: CleanupLimits = CleanupLimits(), mayApprove: @escaping (CleanupRecord) -> Bool
    ) {
        (self.plan, self.packet, self.world) = (plan, packet, world)
        (self.limits, self.mayApprove) = (limits, mayApprove)
    }

    /// Decides what is undecided, and deletes what was decided a day ago or earlier.
    package mutating func run() async throws(CleanupStop) {
        let found = try await world.records()
        let approval = try CleanupApproval.require(
            plan, packet.plan, found, mayApprove: mayApprove)
        try take(found, since: approval)
        do throws(CleanupStop) {
            try CleanupApproval.requireStanding(plan, packet.plan, found, now: world.now)
        } catch {
            try await settle(approval)
            throw error
        }
        deletions = try await world.deletions(
            since: world.now - CleanupLimits.hour, limit: limits.deletionsAnHour)
        try await logWhatIsMissing()
        do throws(CleanupStop) {
            try await decide(approval)
            try await deleteWhatIsDue(approval)
        } catch {
            // What was done is logged nevertheless; if not now, then by the next run.
            try? await flushLogs()
            throw error
        }
        try await flushLogs()
    }

    /// Takes the records of assets that earlier runs left. An id that stands for something else ends the run:
    /// somebody who read the plan took it.
    private mutating func take(
        _ found: [CleanupRecord], since approval: CleanupRecord
    ) throws(CleanupStop) {
        let byID = Dictionary(found.map { ($0.id, $0) }) { first, _ in first }
        for item in plan.items {
            for (id, events) in item.expectedRecords {
                guard let record = byID[id] else { continue }
                guard events.contains(record.event), record.entity == item.assetID,
                    record.plan == packet.plan, record.position > approval.position
                else { throw .taken(id, item) }
                records[id] = record
            }
        }
    }

    // MARK: Decisions

    private mutating func decide(_ approval: CleanupRecord) async throws(CleanupStop) {
        let open = plan.items.filter { records[$0.records.decision] == nil }
        for start in stride(from: 0, to: open.count, by: limits.together) {
            let items = Array(open[start..<min(start + limits.together, open.count)])
            var look = try await freshLook(items)
            for (number, item) in items.enumerated() {
                if world.isEnding {
                    tally.isCut = true
                    return
                }
                if !isFresh(look) { look = try await freshLook(items) }
                if case .stays(let reason) = look.verdicts[number] {
                    tally.spared += 1
                    world.note(item, .spared(reason.words))
                    continue
                }
                let record = try await record(
                    .decided, item.records.decision, item,
                    packet.decided(item, lsn: look.lsn, approval: approval), approval)
                tally.decided += 1
                world.note(item, .decided(until: record.received + limits.pause))
            }
        }
    }

    private func isFresh(_ look: CleanupLook) -> Bool {
        look.moment <= world.now && world.now < look.moment + CleanupLook.validity
    }

    private func freshLook(_ items: [CleanupPlan.Item]) async throws(CleanupStop) -> CleanupLook {
        try CleanupApproval.requireUnexpired(plan, now: world.now)
        let look = try await world.look(at: items)
        guard !look.isWithdrawn else { throw CleanupApproval.withdrawn }
        guard isFresh(look) else {
            throw CleanupStop(
                .refused,
                "looking at all rows and packets takes longer than "
                    + "\(CleanupLook.validity.components.seconds) s here, and nothing is deleted by what "
                    + "is older")
        }
        return look
    }

    // MARK: Deletions

    private mutating func deleteWhatIsDue(_ approval: CleanupRecord) async throws(CleanupStop) {
        var due: [CleanupPlan.Item] = []
        for item in plan.items where records[item.records.deletion] == nil {
            guard let decision = records[item.records.decision] else { continue }
            let time = decision.received + limits.pause
            if world.now >= time { due.append(item) } else { tally.wait(until: time) }
        }
        for (number, item) in due.enumerated() {
            if world.isEnding {
                tally.isCut = true
                return
            }
            if let time = nextDeletion, world.now < time {
                tally.left = due.count - number
                return tally.wait(until: time)
            }
            try await end(item, due[number...].prefix(limits.together), approval)
        }
    }

    /// When the hour's bound allows another one; nil if it does now.
    private var nextDeletion: Timestamp? {
        guard deletions.count >= limits.deletionsAnHour else { return nil }
        return deletions[deletions.count - limits.deletionsAnHour] + CleanupLimits.hour
    }

    /// Deletes an asset, or keeps it for good. `more` are those that the same look may be asked for.
    private mutating func end(
        _ item: CleanupPlan.Item, _ more: ArraySlice<CleanupPlan.Item>, _ approval: CleanupRecord
    ) async throws(CleanupStop) {
        let (verdict, lsn) = try await verdict(on: item, more)
        if case .stays(let reason) = verdict {
            // A run that died may have deleted it before anybody named it.
            let isThere = try isThere(item)
            return try await close(
                item, isThere ? .kept : .deleted, lsn,
                isThere ? reason.words : CleanupPacket.wasGone, approval)
        }
        let outcome: AssetDeletion
        do throws(StoreFailure) { outcome = try world.delete(item) } catch {
            return try fail(item, error)
        }
        failuresInARow = 0
        switch outcome {
        case .deleted: try await close(item, .deleted, lsn, item.explanation, approval)
        case .gone: try await close(item, .deleted, lsn, CleanupPacket.wasGone, approval)
        case .changed:
            try await close(
                item, .kept, lsn, "it is no longer the object that the plan is about", approval)
        }
    }

    private mutating func fail(
        _ item: CleanupPlan.Item, _ error: StoreFailure
    ) throws(CleanupStop) {
        failuresInARow += 1
        tally.failed += 1
        world.note(item, .failed(error))
        guard failuresInARow >= limits.failuresInARow else { return }
        throw CleanupStop(
            .unreachable, "\(failuresInARow) deletions in a row failed; the last: \(error)")
    }

    /// By a look that no row or packet has changed since.
    private mutating func verdict(
        on item: CleanupPlan.Item, _ more: ArraySlice<CleanupPlan.Item>
    ) async throws(CleanupStop) -> (RetentionRules.Verdict, String) {
        try CleanupApproval.requireUnexpired(plan, now: world.now)
        if let held, isFresh(held.look), let place = held.places[item.records.deletion],
            !(try await world.hasChanged(since: held.look))
        {
            return (held.look.verdicts[place], held.look.lsn)
        }
        try await flushLogs()
        let look = try await freshLook(Array(more))
        let places = more.enumerated().map { ($1.records.deletion, $0) }
        held = (look, Dictionary(uniqueKeysWithValues: places))
        return (look.verdicts[0], look.lsn)
    }

    private mutating func close(
        _ item: CleanupPlan.Item, _ event: CleanupRecord.Event, _ lsn: String, _ reason: String,
        _ approval: CleanupRecord
    ) async throws(CleanupStop) {
        let bytes = packet.ended(event, item, lsn: lsn, reason: reason)
        let record = try await record(
            event, item.records.deletion, item, bytes, approval, reason: reason)
        guard record.event == event else { throw .taken(record.id, item) }
        pendingLogs.append(CleanupLog(item, record))
        if event == .deleted {
            tally.deleted += 1
            deletions.append(record.received)
            world.note(item, .deleted(isGone: reason == CleanupPacket.wasGone))
        } else {
            tally.kept += 1
            world.note(item, .kept(reason))
        }
    }

    /// Emits a record, unless another run did; then that one counts.
    private mutating func record(
        _ event: CleanupRecord.Event, _ id: UUID128, _ item: CleanupPlan.Item, _ bytes: [UInt8],
        _ approval: CleanupRecord, reason: String = ""
    ) async throws(CleanupStop) -> CleanupRecord {
        if let receipt = try await world.emit(bytes) {
            let record = CleanupRecord(
                id: id, event: event, entity: item.assetID, plan: packet.plan,
                position: receipt.position, received: receipt.received, uid: 0, reason: reason)
            records[id] = record
            return record
        }
        try take(try await world.records(), since: approval)
        guard let record = records[id] else { throw .taken(id, item) }
        return record
    }

    /// The plan no longer stands. Nothing is deleted, but what an earlier run may have left half done gets its
    /// record.
    private mutating func settle(_ approval: CleanupRecord) async throws(CleanupStop) {
        for item in plan.items {
            guard let decision = records[item.records.decision],
                records[item.records.deletion] == nil,
                world.now >= decision.received + limits.pause
            else { continue }
            if !(try isThere(item)) {
                try await close(item, .deleted, plan.lsn, CleanupPacket.wasGone, approval)
            }
        }
        try await flushLogs()
        try await logWhatIsMissing()
    }

    private func isThere(_ item: CleanupPlan.Item) throws(CleanupStop) -> Bool {
        do throws(StoreFailure) { return try world.settle(item) } catch {
            throw CleanupStop(.unreachable, "\(error)")
        }
    }

    // MARK: Logs

    private mutating func flushLogs() async throws(CleanupStop) {
        guard !pendingLogs.isEmpty else { return }
        try await world.log(pendingLogs)
        pendingLogs = []
    }

    /// Adds the rows of records whose run ended before it could.
    private func logWhatIsMissing() async throws(CleanupStop) {
        let ended = plan.items.compactMap { item in
            records[item.records.deletion].map { CleanupLog(item, $0) }
        }
        guard !ended.isEmpty else { return }
        let known = try await world.logged(ended.map(\.id))
        let missing = ended.filter { !known.contains($0.id) }
        if !missing.isEmpty { try await world.log(missing) }
    }
}

/// What a run did.
package struct CleanupTally: Hashable, Sendable {
    package var decided = 0
    package var deleted = 0
    package var kept = 0
    /// What the rules keep now, though the plan has it; nothing was decided about it.
    package var spared = 0
    package var failed = 0
    /// What is due and the hour's bound held back.
    package var left = 0
    /// When the next run finds something to do; nil if there is nothing left.
    package private(set) var next: Timestamp?
    /// It was asked to end before its end.
    package var isCut = false

    mutating func wait(until time: Timestamp) { next = min(next ?? time, time) }

    package init() {}
}

/// Bounds of a clean-up, each with its reason.
package struct CleanupLimits: Sendable {
    /// Between a decision and its deletion, so that somebody may see it and object.
    package var pause = Duration.seconds(86_400)
    /// A mistake is seen before it has gone far.
    package var deletionsAnHour = 1000
    package var failuresInARow = 3
    /// Assets that one look judges.
    package var together = 1000

    package init() {}

    static let hour = Duration.seconds(3600)
}

extension CleanupPlan.Item {
    /// Ids of its records in the ledger, and what they may be.
    fileprivate var expectedRecords: [(UUID128, [CleanupRecord.Event])] {
        [(records.decision, [.decided]), (records.deletion, [.deleted, .kept])]
    }
}

extension CleanupStop {
    fileprivate static func taken(_ id: UUID128, _ item: CleanupPlan.Item) -> CleanupStop {
        CleanupStop(
            .refused,
            "\(id), which the plan has for a record of \(item.uri), is another packet's id: somebody took "
                + "it; make a new plan")
    }
}
