import ArgumentParser
internal import LedgerFormat

/// Options of every command that queries the daemon.
struct ClientOptions: ParsableArguments {
    @OptionGroup var connection: SocketOptions

    @Flag(help: "Print JSON; lists have one packet per line.")
    var json = false

    var socket: String { connection.socket }
    var client: DaemonClient { connection.client }
}

/// Which part of a list, and as of when.
struct PageOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp("Answer as of this ledger size.", valueName: "ledger-size"))
    var asOf: UInt64?

    @Option(help: "Maximum number of packets; default: all.")
    var limit: Int?

    @Flag(help: "List the newest packets first.")
    var desc = false

    func validate() throws {
        if let limit, limit < 1 { throw ValidationError("--limit must be 1 or more") }
    }
}

/// Filters on packets.
struct FilterOptions: ParsableArguments {
    @Option(help: ArgumentHelp("What lineage must contain (jsonb @>).", valueName: "json"))
    var lineage: String?

    @Option(help: ArgumentHelp("What decision_chain must contain (jsonb @>).", valueName: "json"))
    var decisionChain: String?

    @Option(help: ArgumentHelp("The entity's type.", valueName: "type"))
    var entityType: String?

    @Option(help: ArgumentHelp("The entity's id.", valueName: "uuid"))
    var entityID: String?

    @Option(help: ArgumentHelp("The trace id, with or without dashes.", valueName: "id"))
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

    var isEmpty: Bool { query.allSatisfy { $0.1 == nil } }

    /// What may be meant if nothing is found.
    var hint: String? {
        guard let pattern = decisionChain?.drop(while: \.isWhitespace), pattern.first == "{" else {
            return nil
        }
        return "most decision chains are arrays: try --decision-chain '[\(pattern)]'"
    }

    func validate() throws {
        let times = [
            ("since", since), ("before", before), ("received-since", receivedSince),
            ("received-before", receivedBefore),
        ]
        for case (let name, let text?) in times
        where Timestamp(rfc3339: Self.time(text) ?? text) == nil {
            throw ValidationError(
                "--\(name) \(text): give a day, such as 2026-09-14, or an RFC 3339 time in UTC, such "
                    + "as 2026-09-14T10:42:07Z")
        }
    }

    /// A time without a clock part means midnight UTC of that day.
    private static func time(_ text: String?) -> String? {
        guard let text, text.utf8.count == 10 else { return text }
        return text + "T00:00:00Z"
    }
}
