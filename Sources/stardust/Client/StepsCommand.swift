import ArgumentParser
internal import Reconstruction

struct StepsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "steps",
        abstract: "Find steps of reasoning: who decided, voted or doubted.",
        discussion: """
            Prints the steps of decision chains that match every option given:

              stardust steps --vote-of athena --received-since 2026-09-01
              stardust steps --kind selection --confidence-below 0.5

            With --vote-of it says whether the vote prevailed: whether the packet's decision chose what \
            was voted for.
            """)

    @Option(help: ArgumentHelp("Who reasoned; repeatable.", valueName: "name"))
    var agent: [String] = []

    @Option(
        help: ArgumentHelp("The kind of step, such as selection; repeatable.", valueName: "kind"))
    var kind: [String] = []

    @Option(help: ArgumentHelp("Who voted; repeatable.", valueName: "name"))
    var voteOf: [String] = []

    @Option(
        help: ArgumentHelp(
            "What was proposed, voted for, chosen or rejected; repeatable.", valueName: "option"))
    var option: [String] = []

    @Option(help: ArgumentHelp("What was chosen; repeatable.", valueName: "option"))
    var chosen: [String] = []

    @Option(
        help: ArgumentHelp("The step's status, such as rejected; repeatable.", valueName: "status"))
    var status: [String] = []

    @Option(help: ArgumentHelp("Steps that were less sure than this.", valueName: "number"))
    var confidenceBelow: Double?

    @Option(
        help: ArgumentHelp(
            "Words of the step's texts, and phrases in quotation marks; repeatable.",
            valueName: "words"))
    var text: [String] = []

    @Option(help: ArgumentHelp("The type of the packet's entity; repeatable.", valueName: "type"))
    var entityType: [String] = []

    @Option(help: ArgumentHelp("The id of the packet's entity; repeatable.", valueName: "uuid"))
    var entityID: [String] = []

    @Option(help: ArgumentHelp("The packet's trace; repeatable.", valueName: "id"))
    var trace: [String] = []

    @OptionGroup var times: TimeOptions
    @OptionGroup var groups: GroupOptions
    @OptionGroup var page: PageOptions
    @OptionGroup var options: ClientOptions
    @OptionGroup var folder: LedgerFolderOption

    func run() async throws {
        try await folder.asking(options) { options in try await run(options) }
    }

    private var query: [(String, String?)] {
        let wanted = [
            ("agent", agent), ("kind", kind), ("vote_of", voteOf), ("option", option),
            ("chosen", chosen), ("status", status), ("text", text), ("entity_type", entityType),
            ("entity_id", entityID), ("trace_id", trace),
        ]
        return wanted.flatMap { name, values in values.map { (name, $0) } }
            + [("confidence_below", confidenceBelow.map { "\($0)" })] + times.query
    }

    private func run(_ options: ClientOptions) async throws {
        guard groups.keys.isEmpty else {
            try groups.check(page)
            return try await GroupLister(path: "/v1/steps", keys: groups.keys)
                .run(query, page, options)
        }
        var columns = TextColumns(
            Terminal(),
            ["POSITION", "CREATED", "KIND", "AGENT", "ENTITY", voteOf.isEmpty ? "CHOSE" : "VOTED"])
        let list = AnswerList(path: "/v1/steps", member: "steps", nothing: "no steps")
        try await list.run(query, page, options) { _, steps in columns.lines(steps.map(cells)) }
    }

    private func cells(_ step: AnswerTree) -> [String] {
        let entity = "\(step["entity_type"].text ?? "")/\(step["entity_id"].text ?? "")"
        return [
            step["position"].number.map(String.init) ?? "",
            String((step["created_at"].text ?? "").prefix(19).replacing("T", with: " ")),
            step["kind"].text?.asName ?? "",
            (step["agent"].text ?? step["agent"]["id"].text)?.asName ?? "",
            entity,
            voteOf.isEmpty ? chose(step) : step["voted"].elements.map(vote).joined(separator: ", "),
        ]
    }

    private func chose(_ step: AnswerTree) -> String {
        let confidence = step["confidence"].words.map { " (\($0))" } ?? ""
        return (step["chosen"].words?.asName ?? "") + confidence
    }

    private func vote(_ vote: AnswerTree) -> String {
        let name = voteOf.count > 1 ? (vote["voter"].text?.asName ?? "") + " " : ""
        if vote["abstains"].flag == true { return name + "abstained" }
        let what =
            vote["option"].text?.asName ?? vote["vote"]["score"].words ?? vote["vote"].words ?? ""
        let end = vote["prevailed"].flag.map { $0 ? ", prevailed" : ", did not prevail" } ?? ""
        return name + what + end
    }
}
