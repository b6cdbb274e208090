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

/// A size of the ledger, or a time: the last size received by then.
struct LedgerMoment: ExpressibleByArgument {
    /// As the daemon reads it.
    let text: String

    init?(argument: String) {
        let isDay = argument.utf8.count == 10 && argument.utf8.contains(UInt8(ascii: "-"))
        let text = isDay ? argument + "T00:00:00Z" : argument
        guard UInt64(text) != nil || Timestamp(rfc3339: text) != nil else { return nil }
        self.text = text
    }
}

/// Which part of a list, and as of when.
struct PageOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Answer as of this ledger size, or of this time: RFC 3339 in UTC, or a day.",
            valueName: "size-or-time"))
    var asOf: LedgerMoment?

    @Option(help: "Maximum number of packets; default: all.")
    var limit: Int?

    @Flag(help: "List the newest packets first.")
    var desc = false

    func validate() throws {
        if let limit, limit < 1 { throw ValidationError("--limit must be 1 or more") }
    }
}

/// Filters on packets. Those that may be repeated hold if any of their values does.
struct FilterOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Words that the texts have, and phrases in quotation marks; repeatable.",
            valueName: "words"))
    var text: [String] = []

    @Option(
        help: ArgumentHelp("What lineage must contain (jsonb @>); repeatable.", valueName: "json"))
    var lineage: [String] = []

    @Option(
        help: ArgumentHelp(
            "What decision_chain must contain (jsonb @>); repeatable.", valueName: "json"))
    var decisionChain: [String] = []

    @Option(
        help: ArgumentHelp(
            "A member that is there, such as /lineage/event; repeatable.", valueName: "pointer"))
    var has: [String] = []

    @Option(help: ArgumentHelp("The packet's id; repeatable.", valueName: "uuid"))
    var id: [String] = []

    @Option(help: ArgumentHelp("The entity's type; repeatable.", valueName: "type"))
    var entityType: [String] = []

    @Option(help: ArgumentHelp("The entity's id; repeatable.", valueName: "uuid"))
    var entityID: [String] = []

    @Option(
        help: ArgumentHelp("The trace id, with or without dashes; repeatable.", valueName: "id"))
    var trace: [String] = []

    @Option(
        name: .customLong("not"), parsing: .singleValue,
        help: ArgumentHelp(
            "A filter that must not hold, such as entity-type=clips; repeatable.",
            valueName: "filter=value"))
    var not: [String] = []

    @OptionGroup var times: TimeOptions

    private static let names = [
        "text": "text", "lineage": "lineage", "decision-chain": "decision_chain", "has": "has",
        "id": "stardust_id", "entity-type": "entity_type", "entity-id": "entity_id",
        "trace": "trace_id",
    ]

    var query: [(String, String?)] {
        let wanted = [
            ("text", text), ("lineage", lineage), ("decision_chain", decisionChain), ("has", has),
            ("stardust_id", id), ("entity_type", entityType), ("entity_id", entityID),
            ("trace_id", trace),
        ]
        return wanted.flatMap { name, values in values.map { (name, $0) } }
            + not.compactMap(Self.negated).map { ($0, $1) } + times.query
    }

    /// `filter=value` as a parameter; nil if there is no such filter.
    private static func negated(_ text: String) -> (String, String)? {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, let name = names[String(parts[0])] else { return nil }
        return ("not_" + name, String(parts[1]))
    }

    var isEmpty: Bool { query.allSatisfy { $0.1 == nil } }

    /// What may be meant if nothing is found.
    var hint: String? {
        guard let pattern = decisionChain.first?.drop(while: \.isWhitespace), pattern.first == "{"
        else { return nil }
        return "most decision chains are arrays: try --decision-chain '[\(pattern)]'"
    }

    func validate() throws {
        for text in not where Self.negated(text) == nil {
            throw ValidationError(
                "--not \(text): give a filter and its value, such as entity-type=clips; filters are "
                    + Self.names.keys.sorted().joined(separator: ", "))
        }
    }
}

/// When packets were created, or received.
struct TimeOptions: ParsableArguments {
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
            ("created_from", Self.time(since)), ("created_before", Self.time(before)),
            ("received_from", Self.time(receivedSince)),
            ("received_before", Self.time(receivedBefore)),
        ]
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
