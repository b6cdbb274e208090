import ArgumentParser
internal import Packets
internal import Reconstruction

struct ConflictsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "conflicts",
        abstract: "Show what was retracted, replaced or contradicted.",
        discussion: """
            Prints each packet that no longer stands undisputed, who disputes it and why, and which \
            decisions rest on it. Packets are named by their positions: [4].
            """)

    @Option(
        help: ArgumentHelp(
            "retracted, superseded, revised or contradicted; repeatable.", valueName: "kind"))
    var kind: [String] = []

    @Option(help: ArgumentHelp("The type of the disputed entity; repeatable.", valueName: "type"))
    var entityType: [String] = []

    @Option(help: ArgumentHelp("The id of the disputed entity; repeatable.", valueName: "uuid"))
    var entityID: [String] = []

    @Option(help: ArgumentHelp("The disputed packet's trace; repeatable.", valueName: "id"))
    var trace: [String] = []

    @Option(help: ArgumentHelp("Disputed at or after; a day, or a time.", valueName: "time"))
    var receivedSince: LedgerMoment?

    @Option(help: ArgumentHelp("Disputed before.", valueName: "time"))
    var receivedBefore: LedgerMoment?

    @OptionGroup var page: PageOptions
    @OptionGroup var options: ClientOptions
    @OptionGroup var folder: LedgerFolderOption

    func run() async throws {
        try await folder.asking(options) { options in try await run(options) }
    }

    private func run(_ options: ClientOptions) async throws {
        let wanted = [
            ("kind", kind), ("entity_type", entityType), ("entity_id", entityID),
            ("trace_id", trace),
        ]
        let query: [(String, String?)] =
            wanted.flatMap { name, values in values.map { (name, $0) } }
            + [("received_from", receivedSince?.text), ("received_before", receivedBefore?.text)]
        let list = AnswerList(path: "/v1/conflicts", member: "conflicts", nothing: "no conflicts")
        try await list.run(query, page, options) { terminal, conflicts in
            conflicts.flatMap { Self.lines($0, terminal) }
        }
    }

    /// Of each conflict; --json has more.
    private static let outcomesShown = 5

    private static func lines(_ conflict: AnswerTree, _ terminal: Terminal) -> [String] {
        let packets = conflict["packets"].elements.map { $0.packetName + $0.choice }
        let by = conflict["by"]
        let kind = conflict["kind"].text ?? ""
        let taken = conflict["in_force"].flag == false ? " (taken back)" : ""
        var lines = [
            terminal.bold(kind + taken) + "  " + packets.joined(separator: ", "),
            "  by " + by.packetName + by.choice
                + (by["_producer"]["worker"].text.map { ", " + $0.asName } ?? ""),
        ]
        if let why = by["why"].text ?? by["rationale"].text {
            lines.append("  because \(why.quoted)")
        }
        let outcomes = conflict["outcomes"].elements.prefix(outcomesShown)
        for outcome in outcomes {
            lines.append("  rests on it: " + outcome.packetName + outcome.choice)
        }
        let count = conflict["outcomes_count"].number ?? 0
        if count > outcomes.count { lines.append("  and \(count - outcomes.count) more") }
        if conflict["outcomes_complete"].flag == false {
            lines.append("  and possibly more, which were not looked at")
        }
        return lines
    }
}

extension AnswerTree {
    /// `clips/803dc396-… [4]`.
    var packetName: String {
        let position = self["position"].number.map { " [\($0)]" } ?? ""
        let entity = "\(self["entity_type"].text ?? "")/\(self["entity_id"].text ?? "")"
        return entity.asName + position
    }

    /// What it chose, if anything.
    var choice: String { self["chosen"].words.map { ": chose \($0.quoted)" } ?? "" }
}

/// A list that is printed page by page.
struct AnswerList {
    let path: String
    let member: String
    /// Said if there is nothing.
    let nothing: String

    func run(
        _ query: [(String, String?)], _ page: PageOptions, _ options: ClientOptions,
        _ lines: (Terminal, [AnswerTree]) -> [String]
    ) async throws {
        var terminal = Terminal()
        var (cursor, shown): (String?, Int) = (nil, 0)
        var damage: String?
        terminal.beginPaging()
        defer { terminal.endPaging() }
        repeat {
            let left = page.limit.map { $0 - shown } ?? .max
            let bytes = try await options.client.get(
                path,
                query + [
                    ("as_of", page.asOf?.text), ("order", page.desc ? "desc" : nil),
                    ("cursor", cursor), ("limit", left < 100 ? String(left) : nil),
                ])
            let answer = AnswerTree(try JSONDocument(answer: bytes))
            let found = answer[member].elements
            if options.json {
                for element in found { try Output.foreign(element.source + [0x0A]) }
            } else {
                for line in lines(terminal, found) { try Output.line(line) }
            }
            if answer["scanned"].flag == true, cursor == nil {
                Output.error("every packet was read: the index cannot tell them apart")
            }
            shown += found.count
            damage = damage ?? answer["damage"].text
            cursor = answer["next"].text
        } while cursor != nil && shown < page.limit ?? .max && Output.hasReader
        if let damage { throw Failure.damaged(damage) }
        if shown == 0, !options.json { Output.error(nothing) }
    }
}
