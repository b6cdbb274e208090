import ArgumentParser
internal import Packets
internal import Reconstruction

struct DiffCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "diff",
        abstract: "Show what changed between two sizes of the ledger, or two times.",
        discussion: """
            With --packet, one --trace, or one --entity-type and --entity-id: what changed in the chain of \
            that. With other filters, or none: the packets that came and match, and what was disputed \
            meanwhile.

              stardust diff 2026-09-01 2026-09-02 --entity-type clips
            """)

    @Argument(help: ArgumentHelp("Where it begins: a size, a time or a day.", valueName: "from"))
    var from: LedgerMoment

    @Argument(help: ArgumentHelp("Where it ends; left out, now.", valueName: "to"))
    var to: LedgerMoment?

    @Option(help: ArgumentHelp("The packet whose chain is compared.", valueName: "uuid"))
    var packet: String?

    @OptionGroup(title: "Filters") var filter: FilterOptions
    @OptionGroup var options: ClientOptions
    @OptionGroup var folder: LedgerFolderOption

    func run() async throws {
        try await folder.asking(options) { options in try await run(options) }
    }

    private func run(_ options: ClientOptions) async throws {
        var (terminal, cursor): (Terminal, String?) = (Terminal(), nil)
        // Later pages end where the first one did.
        var end = to?.text
        terminal.beginPaging()
        defer { terminal.endPaging() }
        repeat {
            let bytes = try await options.client.get(
                "/v1/diff",
                filter.query + [
                    ("from", from.text), ("to", end), ("packet", packet), ("cursor", cursor),
                ])
            let answer = AnswerTree(try JSONDocument(answer: bytes))
            if options.json { try Output.foreign(bytes + [0x0A]) } else { try show(answer) }
            cursor = answer["next"].text
            end = answer["to"].number.map(String.init)
        } while cursor != nil && Output.hasReader
    }

    private func show(_ answer: AnswerTree) throws(Failure) {
        let lists = [
            "packets", "edges_found", "outcomes", "standing", "conflicts", "conflicts_gone",
        ]
        if lists.allSatisfy({ answer[$0].elements.isEmpty }) { Output.error("nothing changed") }
        if answer["conflicts_complete"].flag == false {
            Output.error("more was disputed than is listed; `stardust conflicts` lists all")
        }
        for packet in answer["packets"].elements {
            let event = packet["event"].text ?? packet["packet"]["lineage"]["event"].text ?? ""
            try Output.line("new  " + packet.packetName + "  " + event.asName)
        }
        for edge in answer["edges_found"].elements {
            let (from, to) = (edge["from"].number ?? 0, edge["to"].number ?? 0)
            try Output.line("found  [\(from)] names [\(to)], which came later")
        }
        for outcome in answer["outcomes"].elements {
            try Output.line("decided  " + outcome.packetName + outcome.choice)
        }
        for change in answer["standing"].elements {
            try Output.line(
                "now \(Self.words(change["after"])), was \(Self.words(change["before"]))  "
                    + change.packetName)
        }
        for conflict in answer["conflicts"].elements {
            let detail =
                conflict["detail"].text?.escapedForTerminals ?? Self.words(dispute: conflict)
            let taken = conflict["in_force"].flag == false ? " (taken back)" : ""
            try Output.line("\(conflict["kind"].text ?? "")\(taken)  \(detail)")
        }
        for conflict in answer["conflicts_gone"].elements {
            try Output.line("no longer  " + (conflict["detail"].text ?? "").escapedForTerminals)
        }
    }

    private static func words(_ state: AnswerTree) -> String {
        (state["standing"].text ?? "")
            + (state["tainted"].flag == true ? " and tainted" : "")
    }

    private static func words(dispute conflict: AnswerTree) -> String {
        conflict["packets"].elements.map(\.packetName).joined(separator: ", ") + " by "
            + conflict["by"].packetName
    }
}
