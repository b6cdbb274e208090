import ArgumentParser
internal import Packets

struct FindCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "find",
        abstract: "Find packets by what they contain.",
        discussion: """
            Prints the packets that match every filter given. A pattern matches if the packet \
            contains it in the sense of PostgreSQL's jsonb @>:

              stardust find --lineage '{"event":"clip.selected"}' --since 2026-09-14
            """)

    /// Without filters.
    private static let usualLimit = 100

    @OptionGroup(title: "Filters") var filter: FilterOptions

    @Flag(help: "Print the number of matches instead.")
    var count = false

    @OptionGroup var groups: GroupOptions
    @OptionGroup var page: PageOptions
    @OptionGroup var options: ClientOptions
    @OptionGroup var folder: LedgerFolderOption

    func run() async throws {
        try await folder.asking(options) { options in try await run(options) }
    }

    private func run(_ options: ClientOptions) async throws {
        guard groups.keys.isEmpty else {
            try groups.check(page)
            return try await GroupLister(path: "/v1/packets", keys: groups.keys)
                .run(filter.query, page, options)
        }
        guard count else {
            var (lister, page) = (
                PacketLister(options: options, page: page, showsEntity: true), page
            )
            lister.hint = filter.hint
            // Nobody means the whole ledger by saying nothing.
            if filter.isEmpty, page.limit == nil, !options.json, Terminal().isTerminal {
                page.limit = Self.usualLimit
                lister = PacketLister(options: options, page: page, showsEntity: true)
                lister.hintAtMore =
                    "the first \(Self.usualLimit); give a filter, or --limit for more"
            }
            return try await lister.run("/v1/packets", filter.query)
        }
        let answer = try JSONDocument(
            answer: try await options.client.list(
                "/v1/packets",
                filter.query + [
                    ("as_of", page.asOf?.text), ("count", "true"), ("limit", "1"),
                ]))
        let total = answer.member("total", of: 0).flatMap { answer.integer($0) } ?? 0
        let isExact =
            answer.member("total_exact", of: 0).map { answer.tokens[$0].kind == .true } ?? false
        if options.json {
            try Output.line("{\"total\":\(total),\"total_exact\":\(isExact)}")
        } else {
            let damage = answer.member("damage", of: 0) != nil
            let reason = damage ? "packets cannot be read" : "counting timed out"
            try Output.line(isExact ? "\(total)" : "at least \(total); \(reason)")
        }
        if let damage = answer.member("damage", of: 0).flatMap(answer.string) {
            throw Failure.damaged(damage)
        }
    }
}
