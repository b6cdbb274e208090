package import ReadModel

/// A slot as the server describes it.
package struct SlotFacts: Hashable, Sendable {
    /// A logical slot of pgoutput for this database.
    package var isOurKind: Bool
    package var activePID: String?
    package var confirmed: LSN?
    /// `reserved`, `extended`, `unreserved` or `lost`.
    package var walStatus: String
    package var retainedBytes: Int64?
    /// Where the server's log ends.
    package var sourceLSN: LSN?

    package init(
        isOurKind: Bool, activePID: String? = nil, confirmed: LSN?, walStatus: String = "reserved",
        retainedBytes: Int64? = nil, sourceLSN: LSN? = nil
    ) {
        (self.isOurKind, self.activePID, self.confirmed) = (isOurKind, activePID, confirmed)
        (self.walStatus, self.retainedBytes) = (walStatus, retainedBytes)
        self.sourceLSN = sourceLSN
    }
}

/// How to go on, decided from what stands here and what stands at the source.
package enum SyncPlan: Hashable, Sendable {
    /// Follow the slot from where the read model is.
    case stream
    /// Copy everything into a new file; the slot that is there is ours, and is made again.
    case copy(dropsSlot: Bool, because: String)
    /// Somebody has to decide.
    case refuse(String)

    /// What stands here.
    package struct Facts: Hashable, Sendable {
        /// Nil where there is no read model.
        package var state: ModelState?
        /// An interrupted copying had made this slot, or was about to.
        package var hasUnfinishedCopy: Bool
        package var slotName: String
        package var slot: SlotFacts?
        package var systemID: String
        package var timeline: Int64
        /// Whether slots may be made.
        package var creates: Bool
        /// Whether a new copy was asked for.
        package var resyncs: Bool

        package init(
            state: ModelState?, hasUnfinishedCopy: Bool, slotName: String, slot: SlotFacts?,
            systemID: String, timeline: Int64, creates: Bool, resyncs: Bool
        ) {
            (self.state, self.hasUnfinishedCopy) = (state, hasUnfinishedCopy)
            (self.slotName, self.slot) = (slotName, slot)
            (self.systemID, self.timeline) = (systemID, timeline)
            (self.creates, self.resyncs) = (creates, resyncs)
        }
    }

    package init(_ facts: Facts) {
        let name = facts.slotName
        let hasSlot = facts.slot != nil
        if let slot = facts.slot, !slot.isOurKind {
            self = .refuse(
                "the slot \(name) is not one of pgoutput for this database; give another name with "
                    + "--slot")
            return
        }
        let isOurs =
            facts.hasUnfinishedCopy
            || (facts.state?.slot == name && facts.state?.systemID == facts.systemID)
        guard !hasSlot || isOurs else {
            self = .refuse(
                "the slot \(name) is there, but this read model has not made it. If nobody uses it, "
                    + "drop it with SELECT pg_drop_replication_slot('\(name)'); else give another "
                    + "name with --slot")
            return
        }
        func copy(_ reason: String) -> SyncPlan {
            guard facts.creates else {
                return .refuse(
                    "\(reason). Copying anew needs a new slot: allow it with --create")
            }
            return .copy(dropsSlot: hasSlot, because: reason)
        }
        if facts.resyncs {
            self = .copy(dropsSlot: hasSlot, because: "a new copy is asked for")
            return
        }
        // An interrupted copying leaves a slot whose snapshot is gone.
        if facts.hasUnfinishedCopy {
            self = copy("a copying was interrupted")
            return
        }
        guard let state = facts.state else {
            self = copy("there is no read model yet")
            return
        }
        guard state.source == .postgres else {
            self = .refuse(
                "the read model is made by the change feed; replace it with --resync, or take "
                    + "another ledger")
            return
        }
        guard state.phase == .live else {
            self = .refuse(
                (state.lastError ?? "the source's tables have changed")
                    + " The read model needs a new copy: --resync")
            return
        }
        self = Self.following(state, facts, copy)
    }

    /// What a read model that follows PostgreSQL does.
    private static func following(
        _ state: ModelState, _ facts: Facts, _ copy: (String) -> SyncPlan
    ) -> SyncPlan {
        guard state.slot == facts.slotName else {
            return .refuse(
                "the read model follows the slot \(state.slot ?? "?"), not \(facts.slotName); "
                    + "begin anew with --resync")
        }
        guard state.systemID == facts.systemID else {
            return copy("the server is another one than the rows came from")
        }
        guard state.timeline == facts.timeline else {
            return copy("the server was promoted, and its slots tell another history")
        }
        guard let slot = facts.slot else { return copy("the slot \(facts.slotName) is gone") }
        guard slot.walStatus != "lost" else {
            return copy("the server has removed what the slot \(facts.slotName) had to keep")
        }
        // What the slot was told of is durable here: so this file is older than that.
        if let confirmed = slot.confirmed, confirmed > state.lsn {
            return .refuse(
                "the slot \(facts.slotName) was told of \(confirmed), but the read model stands at "
                    + "\(state.lsn): an older file was put in its place, and changes between would "
                    + "be lost. Copy anew with --resync")
        }
        return .stream
    }
}
