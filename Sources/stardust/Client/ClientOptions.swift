import ArgumentParser

/// What all questions to the daemon have in common.
struct ClientOptions: ParsableArguments {
    @Option(help: "The daemon's socket.")
    var socket: String = .defaultSocketPath

    @Flag(help: "Print JSON, lists as one packet a line.")
    var json = false

    var client: DaemonClient { DaemonClient(socket: socket) }
}

/// As of when, and how much.
struct PageOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp("The answer as it stood at this ledger size.", valueName: "ledger-size"))
    var asOf: UInt64?

    @Option(help: "Packets at most; all without it.")
    var limit: Int?

    @Flag(help: "The newest first.")
    var desc = false

    func validate() throws {
        if let limit, limit < 1 { throw ValidationError("limit: 1 or more") }
    }
}

/// Which packets.
struct FilterOptions: ParsableArguments {
    @Option(help: ArgumentHelp("What lineage must contain (jsonb @>).", valueName: "json"))
    var lineage: String?

    @Option(help: ArgumentHelp("What decision_chain must contain (jsonb @>).", valueName: "json"))
    var decisionChain: String?

    @Option(help: ArgumentHelp("The type of the entity.", valueName: "type"))
    var entityType: String?

    @Option(help: ArgumentHelp("The id of the entity.", valueName: "uuid"))
    var entityID: String?

    @Option(help: ArgumentHelp("The trace, with dashes or without.", valueName: "id"))
    var trace: String?

    @Option(
        help: ArgumentHelp("Created at or after: RFC 3339 in UTC, or a day.", valueName: "time"))
    var since: String?

    @Option(help: ArgumentHelp("Created before.", valueName: "time"))
    var before: String?

    @Option(help: ArgumentHelp("Received at or after.", valueName: "time"))
    var receivedSince: String?

    @Option(help: ArgumentHelp("Received before.", valueName: "time"))
    var receivedBefore: String?

    var query: [(String, String?)] {
        [
            ("lineage", lineage), ("decision_chain", decisionChain), ("entity_type", entityType),
            ("entity_id", entityID), ("trace_id", trace), ("created_from", Self.time(since)),
            ("created_before", Self.time(before)), ("received_from", Self.time(receivedSince)),
            ("received_before", Self.time(receivedBefore)),
        ]
    }

    /// A day begins at midnight.
    private static func time(_ text: String?) -> String? {
        guard let text, text.utf8.count == 10 else { return text }
        return text + "T00:00:00Z"
    }
}
