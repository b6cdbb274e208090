import ArgumentParser
internal import Packets

/// By what to count instead of listing.
struct GroupOptions: ParsableArguments {
    @Option(
        name: .customLong("count-by"),
        help: ArgumentHelp(
            "Count by this instead, such as event, agent or day; twice for two of them.",
            valueName: "key"))
    var keys: [String] = []

    /// Groups are all listed, the largest first.
    func check(_ page: PageOptions) throws {
        if page.limit != nil || page.desc {
            throw ValidationError("--count-by lists all groups: leave --limit and --desc out")
        }
    }
}

/// Prints counts by groups.
struct GroupLister {
    let path: String
    let keys: [String]

    func run(
        _ query: [(String, String?)], _ page: PageOptions, _ options: ClientOptions
    ) async throws {
        var (counts, order): ([[String?]: Int], [[String?]]) = ([:], [])
        var (cursor, others, damage): (String?, Int, String?) = (nil, 0, nil)
        // Where time is over, the next request counts on.
        repeat {
            let bytes = try await options.client.get(
                path,
                query + keys.map { ("group_by", $0) } + [
                    ("as_of", page.asOf?.text), ("cursor", cursor),
                ])
            let answer = AnswerTree(try JSONDocument(answer: bytes))
            for group in answer["groups"].elements {
                let values = keys.map { group[$0].words }
                if counts[values] == nil { order.append(values) }
                counts[values, default: 0] += group["count"].number ?? 0
            }
            others += answer["others"].number ?? 0
            damage = damage ?? answer["damage"].text
            cursor = answer["next"].text
        } while cursor != nil
        let places = Dictionary(uniqueKeysWithValues: order.enumerated().map { ($1, $0) })
        let sorted = order.sorted { left, right in
            (counts[right]!, places[left]!) < (counts[left]!, places[right]!)
        }
        try show(sorted.map { ($0, counts[$0]!) }, others, options)
        if let damage { throw Failure.damaged(damage) }
    }

    private func show(
        _ groups: [(values: [String?], count: Int)], _ others: Int, _ options: ClientOptions
    ) throws(Failure) {
        guard !options.json else {
            for group in groups {
                var json = JSONWriter()
                json.beginObject()
                for (key, value) in zip(keys, group.values) {
                    json.key(key)
                    if let value { json.string(value) } else { json.null() }
                }
                json.member("count", group.count)
                json.endObject()
                try Output.foreign(json.bytes + [0x0A])
            }
            return
        }
        var columns = TextColumns(Terminal(), ["COUNT"] + keys.map { $0.uppercased() })
        for line in columns.lines(groups.map { ["\($0.count)"] + $0.values.map { $0 ?? "none" } }) {
            try Output.line(line)
        }
        if groups.isEmpty { Output.error("nothing to count") }
        if others > 0 { Output.error("\(others) more in groups that are not listed") }
    }
}
