import ArgumentParser
internal import Packets
internal import Reconstruction

struct PathCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "path",
        abstract: "Show how one packet led to another.",
        discussion: """
            Prints a shortest way from the first packet down to the second, and how many ways there \
            are. Exit code 1 if none leads there.
            """)

    @Argument(help: ArgumentHelp("The packet where it began.", valueName: "from"))
    var from: String

    @Argument(help: ArgumentHelp("The packet where it ended.", valueName: "to"))
    var to: String

    @Option(
        help: ArgumentHelp(
            "Answer as of this ledger size, or of this time: RFC 3339 in UTC, or a day.",
            valueName: "size-or-time"))
    var asOf: LedgerMoment?

    @Option(help: "Maximum number of edges.")
    var maxDepth: Int?

    @Option(help: "Maximum number of packets that are looked at.")
    var maxPackets: Int?

    @OptionGroup var options: ClientOptions
    @OptionGroup var folder: LedgerFolderOption

    func run() async throws {
        try await folder.asking(options) { options in try await run(options) }
    }

    private func run(_ options: ClientOptions) async throws {
        let bytes = try await options.client.get(
            "/v1/paths",
            [
                ("from", from), ("to", to), ("as_of", asOf?.text),
                ("max_depth", maxDepth.map(String.init)),
                ("max_packets", maxPackets.map(String.init)),
            ])
        let answer = AnswerTree(try JSONDocument(answer: bytes))
        let isFound = answer["found"].flag == true
        if options.json {
            try Output.foreign(bytes + [0x0A])
        } else if isFound {
            for step in answer["path"].elements {
                let edge = step["edge"]
                let relation = edge["relation"].text.map { "  ↑ \($0.asName)" } ?? ""
                let why = edge["why"].text.map { " " + $0.quoted } ?? ""
                if !relation.isEmpty { try Output.line(relation + why) }
                try Output.line(step.packetName + "  " + (step["event"].text?.asName ?? ""))
            }
            let routes = answer["routes"].number ?? 0
            let atLeast =
                answer["routes_exact"].flag == true && answer["exhaustive"].flag == true
                ? "" : "at least "
            try Output.line("\(atLeast)\(Words.count(routes, "way", "ways")) in all")
        }
        guard isFound else {
            throw Failure(
                .no,
                answer["exhaustive"].flag == true
                    ? "\(from) did not lead to \(to)"
                    : "no way was found from \(from) to \(to), but not all was looked at: "
                        + answer["incomplete_because"].elements.compactMap(\.text)
                        .joined(separator: ", "))
        }
    }
}
