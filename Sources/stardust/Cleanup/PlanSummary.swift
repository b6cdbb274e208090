internal import Cleanup
internal import LedgerFormat
internal import Packets

/// A plan in numbers: who, by which rules, and how much by finding, class and age.
struct PlanSummary {
    private let file: PlanFile
    private let standing: PlanStanding
    private let rows: [Row]

    private struct Row {
        var finding: RetentionRules.Finding
        var kind: AssetInventory.AssetClass.Kind
        var age: String
        var assets: Int
        var bytes: Int
    }

    /// Bounds of ages, in days.
    private static let ages: [(name: String, below: Int)] = [
        ("below 30 days", 30), ("30 to 90 days", 90), ("90 to 365 days", 365),
        ("1 to 3 years", 1095), ("above 3 years", .max),
    ]

    init(_ file: PlanFile, _ standing: PlanStanding) {
        (self.file, self.standing) = (file, standing)
        var rows: [Row] = []
        for finding in RetentionRules.Finding.allCases {
            for kind in [AssetInventory.AssetClass.Kind.raw, .derived] {
                var left = file.plan.items.filter { $0.finding == finding && $0.kind == kind }
                for age in Self.ages {
                    let those = left.filter { Self.age($0, file.plan.rules) < age.below }
                    left.removeAll { Self.age($0, file.plan.rules) < age.below }
                    guard !those.isEmpty else { continue }
                    rows.append(
                        Row(
                            finding: finding, kind: kind, age: age.name, assets: those.count,
                            bytes: those.reduce(0) { $0 + $1.bytes }))
                }
            }
        }
        self.rows = rows
    }

    /// In days.
    static func age(_ item: CleanupPlan.Item, _ rules: RetentionRules) -> Int {
        let border =
            switch item.finding {
            case .orphan: rules.orphanDays
            case .rawExpired: rules.rawDays
            case .derivedExpired: item.isWanted ? 0 : rules.derivedDays
            }
        return border + Int(item.daysOver)
    }

    // MARK: For a person

    var head: [String] {
        let plan = file.plan
        let bytes = plan.items.reduce(0) { $0 + $1.bytes }
        let rules = plan.rules
        return [
            "Plan of \(plan.made), good until \(plan.expires)",
            "  \(standing.words(plan))",
            "  digest \(file.packet.plan.tagged)",
            "Ledger \(plan.ledgerID) with \(plan.ledgerSize) entries"
                + (plan.lsn == "0/0" ? "" : ", rows at \(plan.lsn)"),
            "Rules: orphans stay \(CleanupShowCommand.days(rules.orphanDays)), downloads "
                + "\(CleanupShowCommand.days(rules.rawDays)), what the engine made "
                + CleanupShowCommand.days(rules.derivedDays),
        ] + plan.places.map { "  \($0.kind.rawValue.padded(to: 8)) \($0.url), by \($0.column)" } + [
            "\(plan.items.count) of \(CleanupShowCommand.assets(plan.objects)) may go, "
                + "\(CleanupShowCommand.size(bytes)) of \(CleanupShowCommand.size(plan.bytes))."
        ]
    }

    var table: [String] {
        var lines = [Self.line("finding", "class", "age", "assets", "size")]
        for row in rows {
            lines.append(
                Self.line(
                    row.finding.rawValue, row.kind.rawValue, row.age, "\(row.assets)",
                    CleanupShowCommand.size(row.bytes)))
        }
        lines.append(
            Self.line(
                "together", "", "", "\(file.plan.items.count)",
                CleanupShowCommand.size(file.plan.items.reduce(0) { $0 + $1.bytes })))
        return lines
    }

    private static func line(
        _ finding: String, _ kind: String, _ age: String, _ assets: String, _ size: String
    ) -> String {
        "\(finding.padded(to: 16))\(kind.padded(to: 9))\(age.padded(to: 16))"
            + String(repeating: " ", count: max(0, 8 - assets.count)) + assets
            + String(repeating: " ", count: max(0, 14 - size.count)) + size
    }

    /// What there is to do; nil for nothing.
    var next: String? {
        guard standing.isOpen(file.plan) else { return nil }
        return
            "Nothing is deleted until another user approves it: `stardust cleanup approve \(file.path)`."
    }

    // MARK: For a program

    var json: [UInt8] {
        var json = JSONWriter()
        json.beginObject()
        json.member("plan", file.packet.plan.tagged)
        json.member("made_at", file.plan.made)
        json.member("expires_at", file.plan.expires)
        json.member("standing", standing.words(file.plan))
        json.key("days")
        file.plan.rules.write(&json)
        json.member("listed_assets", file.plan.objects)
        json.member("listed_bytes", file.plan.bytes)
        json.key("goes")
        json.array(rows) { row, json in
            json.beginObject()
            json.member("finding", row.finding.rawValue)
            json.member("class", row.kind.rawValue)
            json.member("age", row.age)
            json.member("assets", row.assets)
            json.member("bytes", row.bytes)
            json.endObject()
        }
        json.key("stays")
        json.array(file.plan.kept) { $0.write(&$1) }
        json.endObject()
        return json.bytes
    }
}
