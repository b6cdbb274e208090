package import LedgerFormat

/// Which assets may go, and why: section 6 of the engine's data models in numbers.
package struct RetentionRules: Hashable, Sendable {
    /// Days that each kind stays at least.
    package var orphanDays = 7
    package var rawDays = 90
    package var derivedDays = 365

    package init() {}

    package enum Finding: String, Sendable, CaseIterable {
        /// Neither a row nor a packet names it.
        case orphan
        /// A download whose days are over, and none of whose clips is promoted.
        case rawExpired = "raw_expired"
        /// Likewise what the engine made.
        case derivedExpired = "derived_expired"
    }

    /// Why an asset stays.
    package enum Reason: Hashable, Sendable {
        /// It is younger than its rule wants, by so many days.
        case young(Finding, daysLeft: Double)
        case promoted(AssetInventory.Promotion)
        case named(AssetInventory.Namer)
        /// Another plan has decided about it, and may still delete it.
        case decided
        /// A plan said something else of it.
        case judgedOtherwise(Finding)
        /// It is another object than the one that a plan is about, or none.
        case changed
        case gone
    }

    package enum Verdict: Hashable, Sendable {
        case goes(Finding, daysOver: Double)
        case stays(Reason)
    }

    /// `isWanted` says that a person asked for it by name, which sets aside the days of what the engine made.
    package func verdict(
        on asset: Int, of inventory: AssetInventory, now: Timestamp, isWanted: Bool = false
    ) -> Verdict {
        let (entry, namer) = (inventory[asset], inventory.namer(asset))
        guard let owner = inventory.owner(asset) else {
            if let namer { return .stays(.named(namer)) }
            return aged(.orphan, orphanDays, since: entry.changed, now)
        }
        if let promotion = owner.promotion { return .stays(.promoted(promotion)) }
        // Another row's asset as well: a name in a packet tells what was, one in a row what is.
        if case .row(let table, _, _)? = namer, table != "logs" { return .stays(.named(namer!)) }
        // A row may be younger than its file, and a file than its row.
        let since = max(entry.changed, owner.made ?? entry.changed)
        switch inventory.classes[entry.of].kind {
        case .raw: return aged(.rawExpired, rawDays, since: since, now)
        case .derived:
            return aged(.derivedExpired, isWanted ? 0 : derivedDays, since: since, now)
        }
    }

    private func aged(
        _ finding: Finding, _ days: Int, since: Timestamp, _ now: Timestamp
    ) -> Verdict {
        let age = Double(now.microseconds - since.microseconds) / (86_400 * 1e6)
        let over = age - Double(days)
        return over > 0 ? .goes(finding, daysOver: over) : .stays(.young(finding, daysLeft: -over))
    }
}
