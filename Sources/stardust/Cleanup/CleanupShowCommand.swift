import ArgumentParser
internal import Cleanup
internal import LedgerFormat
internal import Packets
internal import Platform

struct CleanupShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Explain a plan to the person who decides.",
        discussion: """
            Asks the daemon who made and approved the plan, unless it cannot be reached. Exit code 65 if the \
            file is no plan.
            """)

    @Argument(help: "The plan's file.", completion: .file())
    var plan: String

    @Flag(help: "List every asset.")
    var all = false

    @OptionGroup var options: ClientOptions

    /// Assets that a group shows of each kind.
    private static let shown = 3

    func run() async throws {
        let file = try PlanFile(plan)
        let standing = await PlanStanding(file, options.client)
        if options.json { return try Output.data(PlanSummary(file, standing).json + [0x0A]) }
        let summary = PlanSummary(file, standing)
        for line in summary.head { try Output.line(line) }
        try Output.line("")
        for line in summary.table { try Output.line(line) }
        for finding in RetentionRules.Finding.allCases {
            let items = file.plan.items.filter { $0.finding == finding }
            if !items.isEmpty { try group(finding, items, file.plan) }
        }
        if !file.plan.kept.isEmpty { try Output.line("\nWhat stays:") }
        for group in file.plan.kept { try show(group) }
        guard let next = summary.next else { return }
        try Output.line("\n" + next)
    }

    private func show(_ group: KeptGroup) throws(Failure) {
        let meaning =
            switch group.reason {
            case .young: "too young for its rule"
            case .promoted: "of a promoted clip"
            case .named: "named by a row or a packet"
            case .decided: "decided by an earlier plan"
            }
        try Output.line(
            "  \(meaning.padded(to: 28)) \(Self.assets(group.assets)), \(Self.size(group.bytes)); "
                + (group.reason == .young ? "the next ones:" : "for example:"))
        for example in group.examples {
            try Output.line(Output.safe("    \(example.uri)  \(example.by)"))
        }
    }

    /// The largest, the oldest and those closest to the rule's border, each asset once.
    private func group(
        _ finding: RetentionRules.Finding, _ items: [CleanupPlan.Item], _ plan: CleanupPlan
    ) throws(Failure) {
        try Output.line("\n\(finding.rawValue): \(Self.meaning(of: finding, plan.rules))")
        if all || items.count <= Self.shown * 3 {
            for item in items { try line(item, plan) }
            return
        }
        var seen: Set<String> = []
        for (name, sorted) in [
            ("largest", items.sorted { ($1.bytes, $0.uri) < ($0.bytes, $1.uri) }),
            ("oldest", items.sorted { ($1.daysOver, $0.uri) < ($0.daysOver, $1.uri) }),
            (
                "closest to the rule's border",
                items.sorted { ($0.daysOver, $0.uri) < ($1.daysOver, $1.uri) }
            ),
        ] {
            try Output.line("  \(name):")
            for item in sorted.lazy.filter({ !seen.contains($0.uri) }).prefix(Self.shown) {
                seen.insert(item.uri)
                try line(item, plan)
            }
        }
        try Output.line("  --all lists all \(items.count).")
    }

    private func line(_ item: CleanupPlan.Item, _ plan: CleanupPlan) throws(Failure) {
        let owner = item.owner.map { ", of \($0)" } ?? ""
        let age =
            item.isWanted
            ? "asked for by name" : "\(Self.days(PlanSummary.age(item, plan.rules))) old"
        try Output.line(Output.safe("    \(item.uri)  \(Self.size(item.bytes)), \(age)\(owner)"))
    }

    private static func meaning(
        of finding: RetentionRules.Finding, _ rules: RetentionRules
    ) -> String {
        switch finding {
        case .orphan:
            "no row and no packet names these, and they are older than \(days(rules.orphanDays))"
        case .rawExpired: "downloads of no promoted clip, older than \(days(rules.rawDays))"
        case .derivedExpired:
            "made by the engine, of no promoted clip, older than \(days(rules.derivedDays)) or asked for by name"
        }
    }

    static func assets(_ count: Int) -> String { count == 1 ? "1 asset" : "\(count) assets" }

    static func days(_ count: Int) -> String { count == 1 ? "1 day" : "\(count) days" }

    static func size(_ bytes: Int) -> String {
        let units = ["bytes", "KiB", "MiB", "GiB", "TiB"]
        var (value, unit) = (Double(bytes), 0)
        while value >= 1024, unit < units.count - 1 { (value, unit) = (value / 1024, unit + 1) }
        return unit == 0 ? "\(bytes) bytes" : "\((value * 10).rounded() / 10) \(units[unit])"
    }
}

/// What the ledger knows of a plan; nil where nobody could be asked.
struct PlanStanding {
    private(set) var records: [CleanupRecord]?
    let digest: Digest

    init(_ file: PlanFile, _ client: DaemonClient) async {
        digest = file.packet.plan
        let ledger = CleanupLedger(client: client)
        do throws(Failure) { records = try await ledger.records(file.packet.planID) } catch {
            records = nil
        }
    }

    /// In words.
    func words(_ plan: CleanupPlan) -> String {
        guard let records else { return "not known here: the daemon could not be asked" }
        let own = records.filter { $0.plan == digest }
        guard let made = own.first(where: { $0.event == .planned }) else {
            return "NOT IN THE LEDGER: the file was changed, or is of another ledger"
        }
        var words = ["made by \(UserName.of(made.uid)) at \(made.received)"]
        for record in own where record.event == .approved {
            words.append("approved by \(UserName.of(record.uid)) at \(record.received)")
        }
        for record in own where record.event == .withdrawn {
            words.append("WITHDRAWN by \(UserName.of(record.uid)) at \(record.received)")
        }
        for (event, word) in [
            (CleanupRecord.Event.decided, "decided"), (.deleted, "deleted"), (.kept, "kept"),
        ] {
            let count = own.count { $0.event == event }
            if count > 0 { words.append("\(count) \(word)") }
        }
        if Timestamp.systemNow() >= plan.expires { words.append("TOO OLD since \(plan.expires)") }
        return words.joined(separator: "; ")
    }

    /// Whether somebody could still approve it.
    func isOpen(_ plan: CleanupPlan) -> Bool {
        guard let records else { return true }
        let own = records.filter { $0.plan == digest }
        return own.contains { $0.event == .planned }
            && !own.contains { $0.event == .withdrawn || $0.event == .approved }
            && Timestamp.systemNow() < plan.expires
    }
}
