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
        let planned = try CleanupApproval.planned(packet.plan, found)
        try take(found, since: planned[0])
        let approval: CleanupRecord
        do throws(CleanupStop) {
            try CleanupApproval.requireStanding(plan, packet.plan, found, now: world.now)
            approval = try CleanupApproval.approval(
                of: packet.plan, planned, found, mayApprove: mayApprove)
        } catch {
            try await settle()
            throw error
        }
        deletions = try await world.deletions(
            since: world.now - CleanupLimits.hour, limit: limits.deletionsAnHour)
        try await findMissingLogs()
        do throws(CleanupStop) {
            try await decide(approval)
            try await deleteWhatIsDue()
        } catch {
            // What was done is logged nevertheless; if not now, then by the next run.
            try? await flushLogs()
            throw error
        }
        try await flushLogs()
        tally.ended = plan.items.count { records[$0.records.deletion] != nil }
    }

    /// Takes the records of assets that this user's earlier runs left. An id that stands for something else ends
    /// the run: somebody who read the plan took it.
    private mutating func take(
        _ found: [CleanupRecord], since planned: CleanupRecord
    ) throws(CleanupStop) {
        let byID = Dictionary(found.map { ($0.id, $0) }) { first, _ in first }
        for item in plan.items {
            for (id, events) in item.expectedRecords {
                guard let record = byID[id] else { continue }
                guard events.contains(record.event), record.entity == item.assetID,
                    record.plan == packet.plan, record.position > planned.position
                else { throw .taken(id, item) }
                guard record.uid == world.user else {
                    throw CleanupStop(
                        .refused,
                        "\(id), a record of \(item.uri), was emitted by user \(record.uid), and this run is "
                            + "of user \(world.user); go on as that user, or make a new plan")
                }
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
                    packet.decided(item, lsn: look.lsn, approval: approval, plan.rules))
                tally.decided += 1
                tally.wait(until: record.received + limits.pause)
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
        guard !look.isWithdrawn else { throw CleanupApproval.withdrawnMeanwhile }
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

    private mutating func deleteWhatIsDue() async throws(CleanupStop) {
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
            try await end(item, due[number...].prefix(limits.together))
        }
    }

    /// When the hour's bound allows another one; nil if it does now.
    private var nextDeletion: Timestamp? {
        guard deletions.count >= limits.deletionsAnHour else { return nil }
        return deletions[deletions.count - limits.deletionsAnHour] + CleanupLimits.hour
    }

    /// Deletes an asset, or keeps it for good. `more` are those that the same look may be asked for.
    private mutating func end(
        _ item: CleanupPlan.Item, _ more: ArraySlice<CleanupPlan.Item>
    ) async throws(CleanupStop) {
        let (reason, lsn) = try await reasonToKeep(item, more)
        if let reason {
            // A run that died may have deleted it before anybody named it.
            let isThere = try isThere(item)
            return try await close(
                item, isThere ? .kept : .deleted, lsn,
                isThere ? reason.words : CleanupPacket.wasGone)
        }
        let outcome: AssetDeletion
        do throws(StoreFailure) { outcome = try world.delete(item) } catch {
            return try fail(item, error)
        }
        failuresInARow = 0
        switch outcome {
        case .deleted: try await close(item, .deleted, lsn, item.explanation(plan.rules))
        case .gone:
            _ = try isThere(item)
            try await close(item, .deleted, lsn, CleanupPacket.wasGone)
        case .changed: try await close(item, .kept, lsn, RetentionRules.Reason.changed.words)
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

    /// Why an asset stays; nil if it goes. By a look that nothing has changed since; where something always does, by
    /// one that was made for this asset, and a glance at what came while it was made.
    private mutating func reasonToKeep(
        _ item: CleanupPlan.Item, _ more: ArraySlice<CleanupPlan.Item>
    ) async throws(CleanupStop) -> (RetentionRules.Reason?, String) {
        try CleanupApproval.requireUnexpired(plan, now: world.now)
        if held.map({ !isFresh($0.look) || $0.places[item.records.deletion] == nil }) ?? true {
            try await look(at: more)
        }
        var (look, reason) = heldLook(of: item)
        if reason == nil, try await world.hasChanged(since: look) {
            try await self.look(at: [item])
            (look, reason) = heldLook(of: item)
            if reason == nil, try await world.hasChanged(since: look) {
                reason = try await world.glance(at: item)
            }
        }
        return (reason, look.lsn)
    }

    /// What the newest look, which was at this asset, too, has as a reason to keep it.
    private func heldLook(
        of item: CleanupPlan.Item
    ) -> (CleanupLook, RetentionRules.Reason?) {
        guard let held, let place = held.places[item.records.deletion] else {
            preconditionFailure("no look at an asset that is about to be deleted")
        }
        if case .stays(let reason) = held.look.verdicts[place] { return (held.look, reason) }
        return (held.look, nil)
    }

    private mutating func look(
        at items: ArraySlice<CleanupPlan.Item>
    ) async throws(CleanupStop) {
        // Rows of our own would be changes.
        try await flushLogs()
        let look = try await freshLook(Array(items))
        let places = items.enumerated().map { ($1.records.deletion, $0) }
        held = (look, Dictionary(uniqueKeysWithValues: places))
    }

    private mutating func close(
        _ item: CleanupPlan.Item, _ event: CleanupRecord.Event, _ lsn: String, _ reason: String
    ) async throws(CleanupStop) {
        let bytes = packet.ended(event, item, lsn: lsn, reason: reason, plan.rules)
        let record = try await record(event, item.records.deletion, item, bytes, reason: reason)
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
        reason: String = ""
    ) async throws(CleanupStop) -> CleanupRecord {
        if let receipt = try await world.emit(bytes) {
            let record = CleanupRecord(
                id: id, event: event, entity: item.assetID, plan: packet.plan,
                position: receipt.position, received: receipt.received, uid: world.user,
                reason: reason)
            records[id] = record
            return record
        }
        let found = try await world.records()
        try take(found, since: try CleanupApproval.planned(packet.plan, found)[0])
        guard let record = records[id] else { throw .taken(id, item) }
        return record
    }

    /// The plan no longer stands, or nobody has approved it who may. Nothing is deleted, but what an earlier run
    /// left half done is undone, or gets its record.
    private mutating func settle() async throws(CleanupStop) {
        for item in plan.items {
            guard let decision = records[item.records.decision],
                records[item.records.deletion] == nil,
                world.now >= decision.received + limits.pause
            else { continue }
            if !(try isThere(item)) {
                try await close(item, .deleted, plan.lsn, CleanupPacket.wasGone)
            }
        }
        try await findMissingLogs()
        try await flushLogs()
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

    /// Finds the rows of records whose run ended before it could add them.
    private mutating func findMissingLogs() async throws(CleanupStop) {
        let waiting = Set(pendingLogs.map(\.id))
        let ended = plan.items.compactMap { item in
            records[item.records.deletion].map { CleanupLog(item, $0) }
        }.filter { !waiting.contains($0.id) }
        guard !ended.isEmpty else { return }
        let known = try await world.logged(ended.map(\.id))
        pendingLogs += ended.filter { !known.contains($0.id) }
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
    /// Assets of the plan that are deleted or kept for good, by this run or an earlier one.
    package var ended = 0
    /// When a run finds all that is due next; nil if nothing is left.
    package private(set) var next: Timestamp?
    /// It was asked to end before its end.
    package var isCut = false

    package var isAnything: Bool { decided + deleted + kept + spared + failed > 0 }

    mutating func wait(until time: Timestamp) { next = max(next ?? time, time) }

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
