import ArgumentParser
internal import LedgerFormat
internal import Packets
internal import Reconstruction

struct EvidenceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "evidence",
        abstract: "Show who used a piece of evidence, and what rests on it.",
        discussion: "Packets are named by their positions: [4].")

    @Argument(help: ArgumentHelp("Its digest: sha256:… or blake3:….", valueName: "digest"))
    var digest: String

    @Option(
        help: ArgumentHelp(
            "Answer as of this ledger size, or of this time: RFC 3339 in UTC, or a day.",
            valueName: "size-or-time"))
    var asOf: LedgerMoment?

    @OptionGroup var options: ClientOptions
    @OptionGroup var folder: LedgerFolderOption

    func run() async throws {
        try await folder.asking(options) { options in try await run(options) }
    }

    private func run(_ options: ClientOptions) async throws {
        let bytes = try await options.client.get(
            "/v1/evidence/\(digest.percentEncoded)", [("as_of", asOf?.text)])
        if options.json { return try Output.foreign(bytes + [0x0A]) }
        let answer = AnswerTree(try JSONDocument(answer: bytes))
        for uri in answer["uris"].elements.compactMap(\.text) {
            try Output.line("at " + uri.asName)
        }
        try show("produced by", answer["produced_by"].elements)
        try show("used by", answer["used_by"].elements)
        for packet in answer["cleaned_up"].elements {
            try Output.line("\(packet["event"].text?.asName ?? "") \(packet.packetName)")
        }
        try Output.line(
            "kept until " + Output.safe(answer["kept_until"].text ?? "nobody said when"))
        for outcome in answer["outcomes"].elements {
            try Output.line("rests on it: " + outcome.packetName + outcome.choice)
        }
        let count = answer["outcomes_count"].number ?? 0
        let listed = answer["outcomes"].elements.count
        if count > listed { try Output.line("and \(count - listed) more") }
        if answer["outcomes_complete"].flag == false {
            try Output.line("and possibly more, which were not looked at")
        }
    }

    private func show(_ what: String, _ packets: [AnswerTree]) throws(Failure) {
        for packet in packets {
            let nodes = packet["nodes"].elements.compactMap { node in
                node.text?.split(separator: "#", maxSplits: 1).last.map(String.init)
            }
            let steps = nodes.isEmpty ? "" : ", in " + nodes.map(\.asName).joined(separator: ", ")
            try Output.line("\(what) \(packet.packetName)\(steps)")
        }
    }
}
