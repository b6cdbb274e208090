package import LedgerFormat

/// Who made a plan, and who approved it, by the users that the ledger's entries name.
package enum CleanupApproval {
    /// The approval that a run may act on, as long as the plan stands.
    static func approval(
        of digest: Digest, _ planned: [CleanupRecord], _ records: [CleanupRecord],
        mayApprove: (CleanupRecord) -> Bool
    ) throws(CleanupStop) -> CleanupRecord {
        let approvals = records.filter { $0.event == .approved && $0.plan == digest }
        guard !approvals.isEmpty else {
            throw CleanupStop(
                .notPermitted,
                "nobody has approved the plan; one of cleanup.approvers does with `stardust cleanup "
                    + "approve`")
        }
        let planners = Set(planned.map(\.uid))
        let others = approvals.filter { !planners.contains($0.uid) }
        guard !others.isEmpty else {
            throw CleanupStop(
                .notPermitted,
                "user \(approvals[0].uid) made the plan and approved it; another person must approve it"
            )
        }
        guard let approval = others.first(where: mayApprove) else {
            throw CleanupStop(
                .notPermitted,
                "user \(others[0].uid) approved the plan, but is not one of cleanup.approvers")
        }
        return approval
    }

    private static func withdrawn(_ record: CleanupRecord) -> CleanupStop {
        CleanupStop(
            .refused,
            "user \(record.uid) withdrew the plan at \(record.received) (position \(record.position)); "
                + "make a new plan")
    }

    package static let withdrawnMeanwhile = CleanupStop(
        .refused, "the plan was withdrawn while it was carried out; make a new plan")

    /// The records of the plan's making. Without one these bytes are no plan of this ledger.
    package static func planned(
        _ digest: Digest, _ records: [CleanupRecord]
    ) throws(CleanupStop) -> [CleanupRecord] {
        let planned = records.filter { $0.event == .planned && $0.plan == digest }
        guard !planned.isEmpty else {
            throw CleanupStop(
                .refused,
                "the ledger has no packet of this plan's making: the file was changed, or is of another "
                    + "ledger; make a new plan")
        }
        return planned
    }

    /// Throws if the plan is too old, or was withdrawn.
    package static func requireStanding(
        _ plan: CleanupPlan, _ digest: Digest, _ records: [CleanupRecord], now: Timestamp
    ) throws(CleanupStop) {
        let own = records.filter { $0.plan == digest }
        if let record = own.first(where: { $0.event == .withdrawn }) { throw withdrawn(record) }
        try requireUnexpired(plan, now: now)
        // The file says when it was made, and could say anything.
        guard let made = own.first(where: { $0.event == .planned })?.received,
            now < made + CleanupPlan.validity
        else { throw expired(plan) }
    }

    static func requireUnexpired(
        _ plan: CleanupPlan, now: Timestamp
    ) throws(CleanupStop) {
        guard now < plan.expires else { throw expired(plan) }
    }

    private static func expired(_ plan: CleanupPlan) -> CleanupStop {
        CleanupStop(.refused, "the plan was good until \(plan.expires); make a new one")
    }
}

extension Timestamp {
    static func + (time: Timestamp, duration: Duration) -> Timestamp {
        Timestamp(microseconds: time.microseconds + Int64(duration / .microseconds(1)))
    }

    static func - (time: Timestamp, duration: Duration) -> Timestamp {
        Timestamp(microseconds: time.microseconds - Int64(duration / .microseconds(1)))
    }
}
