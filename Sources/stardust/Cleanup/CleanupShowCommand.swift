import ArgumentParser
internal import Cleanup
internal import LedgerFormat
internal import Packets

struct CleanupShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Explain a plan to the person who decides.",
        discussion: "Exit code 65 if the file is no plan.")

    @Argument(help: "The plan's file.")
    var plan: String

    @Flag(help: "Print the plan's own lines, JSON each.")
    var json = false

    /// Assets that a group shows of each kind.
    private static let shown = 3

    func run() throws {
        let file = try PlanFile(plan)
        let found = file.plan
        if json { return try Output.data(try InputFile.content(plan)) }
        try head(found, file.packet.plan)
        for finding in RetentionRules.Finding.allCases {
            let items = found.items.filter { $0.finding == finding }
            if !items.isEmpty { try group(finding, items) }
        }
        if !found.kept.isEmpty { try Output.line("\nWhat stays:") }
        for group in found.kept { try show(group) }
    }

    private func show(_ group: KeptGroup) throws(Failure) {
        let meaning =
            switch group.reason {
            case .young: "too young for its rule"
            case .promoted: "of a promoted clip"
            case .named: "named by a row or a packet"
            }
        try Output.line(
            "  \(meaning.padded(to: 28)) \(group.assets) assets, \(Self.size(group.bytes))")
        for example in group.examples {
            try Output.line(Output.safe("    \(example.uri)  \(example.by)"))
        }
    }

    private func head(_ plan: CleanupPlan, _ digest: Digest) throws(Failure) {
        let bytes = plan.items.reduce(0) { $0 + $1.bytes }
        try Output.line(
            "Plan \(digest.tagged) of \(plan.made), good until \(plan.expires)")
        try Output.line(
            "Ledger \(plan.ledgerID) at \(plan.ledgerSize) entries, rows at \(plan.lsn)")
        try Output.line(
            "\(plan.items.count) of \(plan.objects) assets may go, \(Self.size(bytes)) of "
                + "\(Self.size(plan.bytes)). Nothing has been deleted.")
    }

    private func group(
        _ finding: RetentionRules.Finding, _ items: [CleanupPlan.Item]
    ) throws(Failure) {
        try Output.line("")
        try Output.line("\(finding.rawValue): \(Self.meaning(of: finding))")
        for (age, name) in [
            (30.0, "less than a month over"), (365, "less than a year over"), (.infinity, "longer"),
        ] {
            let those = items.filter { Self.isOf(age, $0.daysOver) }
            guard !those.isEmpty else { continue }
            let bytes = those.reduce(0) { $0 + $1.bytes }
            try Output.line("  \(name.padded(to: 24)) \(those.count) assets, \(Self.size(bytes))")
        }
        try list("largest", items.sorted { ($1.bytes, $0.uri) < ($0.bytes, $1.uri) })
        try list("longest over", items.sorted { ($1.daysOver, $0.uri) < ($0.daysOver, $1.uri) })
        try list(
            "closest to the border", items.sorted { ($0.daysOver, $0.uri) < ($1.daysOver, $1.uri) })
    }

    private static func isOf(_ end: Double, _ days: Double) -> Bool {
        switch end {
        case 30: days < 30
        case 365: (30..<365).contains(days)
        default: days >= 365
        }
    }

    private func list(_ name: String, _ items: [CleanupPlan.Item]) throws(Failure) {
        try Output.line("  \(name):")
        for item in items.prefix(Self.shown) {
            let owner = item.owner.map { ", of \($0)" } ?? ""
            try Output.line(
                Output.safe(
                    "    \(item.uri)  \(Self.size(item.bytes)), \(Int(item.daysOver)) days over\(owner)"
                ))
        }
    }

    private static func meaning(of finding: RetentionRules.Finding) -> String {
        switch finding {
        case .orphan: "no row and no packet names these"
        case .rawExpired: "downloads whose days are over, with no promoted clip"
        case .derivedExpired: "what the engine made, whose days are over, or that was asked for"
        }
    }

    static func size(_ bytes: Int) -> String {
        let units = ["bytes", "KiB", "MiB", "GiB", "TiB"]
        var (value, unit) = (Double(bytes), 0)
        while value >= 1024, unit < units.count - 1 { (value, unit) = (value / 1024, unit + 1) }
        return unit == 0 ? "\(bytes) bytes" : "\((value * 10).rounded() / 10) \(units[unit])"
    }
}
