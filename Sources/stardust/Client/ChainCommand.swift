import ArgumentParser
internal import LedgerFormat
internal import Packets
internal import Reconstruction

struct ChainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "chain",
        abstract: "Show how a decision came about.",
        usage: """
            stardust chain TYPE ID [OPTIONS]
            stardust chain --packet ID [OPTIONS]
            stardust chain --trace ID [OPTIONS]
            """,
        discussion: """
            Prints text on a terminal and JSON elsewhere, unless --format is given. In a pipe to a \
            pager: stardust chain TYPE ID --format text | less

            A picture for a slide: stardust chain TYPE ID --format dot --layout landscape | dot \
            -Tsvg > chain.svg
            """
    )

    @Argument(help: "The entity's type and id; for x_assets also an asset's URI.")
    var entity: [String] = []

    @Option(help: ArgumentHelp("The packet to start from.", valueName: "id"))
    var packet: String?

    @Option(help: ArgumentHelp("The trace to start from.", valueName: "id"))
    var trace: String?

    @Option(help: "Output format: text, summary, json, dot, mermaid or prov.")
    var format: ChainFormat?

    @Flag(help: "Show the outcome, who voted, what was rejected and what came of it.")
    var summary = false

    @Option(help: "Layout of dot and mermaid: portrait (parents above) or landscape.")
    var layout: GraphLayout?

    @Option(help: "upstream (why; the default), downstream (what came of it) or both.")
    var direction: ChainRequest.Direction?

    @Flag(help: "Include the ledger's root and each packet's path to it.")
    var proofs = false

    @Flag(help: "Include each entity's row of the read model; implies JSON.")
    var rows = false

    @Option(help: "Maximum number of edges from a root.")
    var maxDepth: Int?

    @Option(help: "Maximum number of packets.")
    var maxPackets: Int?

    @Option(
        help: ArgumentHelp(
            "Answer as of this ledger size, or of this time: RFC 3339 in UTC, or a day.",
            valueName: "size-or-time"))
    var asOf: LedgerMoment?

    @Option(
        help: ArgumentHelp(
            "Say what changed since this ledger size, or this time; implies JSON.",
            valueName: "size-or-time"))
    var changedSince: LedgerMoment?

    @Option(
        help: ArgumentHelp(
            "Say whether it came to this table, such as upload_jobs; implies JSON.",
            valueName: "type"))
    var expect: String?

    @OptionGroup var options: ClientOptions
    @OptionGroup var folder: LedgerFolderOption

    func validate() throws {
        let targets = [!entity.isEmpty, packet != nil, trace != nil].count { $0 }
        guard targets == 1, entity.isEmpty || entity.count == 2 else {
            throw ValidationError("name one target: TYPE ID, --packet ID or --trace ID")
        }
        if options.json, let format, format != .json {
            throw ValidationError("--json and --format \(format.rawValue) contradict each other")
        }
        if summary, options.json || impliesJSON || (format ?? .summary) != .summary {
            throw ValidationError("--summary is a format of its own")
        }
        for (name, isGiven) in [
            ("rows", rows), ("changed-since", changedSince != nil), ("expect", expect != nil),
        ] where isGiven && (format ?? .json) != .json {
            throw ValidationError("--\(name) is available in JSON only")
        }
    }

    private var impliesJSON: Bool { rows || changedSince != nil || expect != nil }

    func run() async throws {
        try await folder.asking(options) { options in try await run(options) }
    }

    private func run(_ options: ClientOptions) async throws {
        var terminal = Terminal()
        let usual: ChainFormat = options.json || impliesJSON || !terminal.isTerminal ? .json : .text
        let format = summary ? .summary : format ?? usual
        // What came of it belongs to a summary.
        let direction = direction ?? (format == .summary ? .both : .upstream)
        let bytes = try await options.client.get(
            try await path(options.client),
            [
                ("format", format.rawValue), ("layout", layout?.rawValue),
                ("direction", direction.rawValue),
                ("proofs", proofs ? "inclusion" : nil), ("rows", rows ? "true" : nil),
                ("max_depth", maxDepth.map(String.init)),
                ("max_packets", maxPackets.map(String.init)), ("as_of", asOf?.text),
                ("changed_since", changedSince?.text), ("expect", expect),
            ])
        if format == .json, Self.isEmpty(bytes) { Output.error("no packets") }
        terminal.beginPaging()
        defer { terminal.endPaging() }
        guard format == .text || format == .summary, terminal.hasColor else {
            return try Output.foreign(bytes)
        }
        for line in String(decoding: bytes, as: UTF8.self).split(
            separator: "\n", omittingEmptySubsequences: false
        ).dropLast() {
            try Output.line(painted(Output.safe(String(line)), terminal))
        }
    }

    private static func isEmpty(_ chain: [UInt8]) -> Bool {
        // A chain with a packet is longer, and may be very long.
        guard chain.count < 4096, let document = try? JSONDocument(answer: chain),
            let packets = document.member("packets", of: 0)
        else { return false }
        return JSONChildren(document.tokens, of: packets).first { _ in true } == nil
    }

    private func path(_ client: DaemonClient) async throws(Failure) -> String {
        if let packet { return "/v1/packets/\(packet.percentEncoded)/chain" }
        if let trace { return "/v1/traces/\(trace.percentEncoded)/chain" }
        let id = try await EntityName.id(entity[0], entity[1], client)
        return "/v1/entities/\(entity[0].percentEncoded)/\(id.percentEncoded)/chain"
    }

    private func painted(_ line: String, _ terminal: Terminal) -> String {
        if line.hasPrefix("INCOMPLETE") || line.hasPrefix("CONFLICTS") { return terminal.red(line) }
        if line.hasPrefix(" ▶") { return terminal.green(line) }
        if let first = line.first, first != " " { return terminal.bold(line) }
        return line
    }
}

extension ChainFormat: ExpressibleByArgument {}
extension GraphLayout: ExpressibleByArgument {}
extension ChainRequest.Direction: ExpressibleByArgument {}
