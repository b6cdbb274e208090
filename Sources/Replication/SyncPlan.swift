package import ReadModel

/// A slot as the server describes it.
package struct SlotFacts: Hashable, Sendable {
    /// How every warning about the slot begins: the read model keeps them among others.
    static let warning = "the slot"

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

/// How to proceed, decided from the state here and the state at the source.
package enum SyncPlan: Hashable, Sendable {
    /// Follow the slot from where the read model is.
    case stream
    /// Copy everything into a new file. With `dropsSlot`, the existing slot is ours and is
    /// recreated.
    case copy(dropsSlot: Bool, because: String)
    /// Somebody must decide.
    case refuse(String)
    /// Only a new copy helps, as was said before.
    case outdated(String)

    /// What the decision depends on.
    package struct Facts: Hashable, Sendable {
        /// Nil if there is no read model.
        package var state: ModelState?
        /// Whether this ledger is on record as the slot's maker, or was about to make it.
        package var ownsSlot: Bool
        /// Whether the copy that the slot was made for never came into use.
        package var hasUnfinishedCopy: Bool
        package var slotName: String
        package var slot: SlotFacts?
        package var systemID: String
        package var timeline: Int64
        /// Where the server's log ends.
        package var serverLSN: LSN
        /// Whether slots may be created.
        package var creates: Bool
        /// Whether a new copy was requested.
        package var resyncs: Bool

        package init(
            state: ModelState?, ownsSlot: Bool = false, hasUnfinishedCopy: Bool,
            slotName: String, slot: SlotFacts?, systemID: String, timeline: Int64,
            serverLSN: LSN = LSN(.max), creates: Bool, resyncs: Bool
        ) {
            (self.serverLSN, self.ownsSlot) = (serverLSN, ownsSlot)
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
                "the slot \(name) is not a pgoutput slot for this database; choose another name "
                    + "with --slot")
            return
        }
        let isOurs =
            facts.ownsSlot || facts.hasUnfinishedCopy
            || (facts.state?.slot == name && facts.state?.systemID == facts.systemID)
        guard !hasSlot || isOurs else {
            self = .refuse(
                "the slot \(name) exists, but this read model did not create it; another ledger's may "
                    + "have. If nobody uses it, drop it with SELECT pg_drop_replication_slot('\(name)'); otherwise "
                    + "choose another name with --slot")
            return
        }
        func copy(_ reason: String) -> SyncPlan {
            guard facts.creates else {
                return .refuse(
                    "\(reason). A new copy needs a new slot: allow it with --create")
            }
            return .copy(dropsSlot: hasSlot, because: reason)
        }
        if facts.resyncs {
            self = .copy(dropsSlot: hasSlot, because: "a new copy was requested")
            return
        }
        guard let state = facts.state else {
            self = copy("there is no read model yet")
            return
        }
        guard state.source == .postgres else {
            self = .refuse(
                "the read model comes from the change feed; replace it with --resync, or use "
                    + "another ledger")
            return
        }
        // An interrupted copy leaves a slot whose snapshot is gone.
        if facts.hasUnfinishedCopy {
            self = copy("a copy was interrupted")
            return
        }
        guard state.phase == .live else {
            self = .outdated(
                state.lastError
                    ?? "the source's tables have changed; make a new copy with --resync")
            return
        }
        self = Self.following(state, facts, copy)
    }

    /// How a read model that follows PostgreSQL proceeds.
    private static func following(
        _ state: ModelState, _ facts: Facts, _ copy: (String) -> SyncPlan
    ) -> SyncPlan {
        guard state.slot == facts.slotName else {
            return .refuse(
                "the read model follows the slot \(state.slot ?? "?"), not \(facts.slotName); "
                    + "start over with --resync")
        }
        guard state.systemID == facts.systemID else {
            return copy("this is not the server the rows came from")
        }
        guard state.timeline == facts.timeline else {
            return copy("the server was promoted, and its slots belong to another history")
        }
        guard facts.serverLSN >= state.lsn else {
            return copy(
                "the server's log ends at \(facts.serverLSN), before \(state.lsn), up to which it was "
                    + "applied: an older copy of its data was put back")
        }
        guard let slot = facts.slot else { return copy("the slot \(facts.slotName) is gone") }
        guard slot.walStatus != "lost" else {
            return copy("the server has removed log that the slot \(facts.slotName) needed")
        }
        // Only what is durable here is reported to the slot, so this file must be an older one.
        if let confirmed = slot.confirmed, confirmed > state.lsn {
            return .refuse(
                "the slot \(facts.slotName) has confirmed \(confirmed), but the read model is at "
                    + "\(state.lsn): an older file was put in its place, and the changes in "
                    + "between would be lost. Make a new copy with --resync")
        }
        return .stream
    }
}
