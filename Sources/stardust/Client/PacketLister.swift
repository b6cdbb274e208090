internal import LedgerFormat
internal import Packets

/// Prints a list of packets page by page as it arrives.
struct PacketLister {
    let options: ClientOptions
    let page: PageOptions
    let showsEntity: Bool
    /// Said if nothing is found.
    var hint: String?
    /// Said if there is more than was asked for.
    var hintAtMore: String?

    func run(_ path: String, _ query: [(String, String?)]) async throws {
        var terminal = Terminal()
        var table = PacketColumns(terminal, showsEntity: showsEntity)
        var (cursor, shown): (String?, Int) = (nil, 0)
        var damage: String?
        terminal.beginPaging()
        defer { terminal.endPaging() }
        while true {
            let left = page.limit.map { $0 - shown } ?? .max
            let answer = try JSONDocument(
                answer: try await options.client.list(
                    path,
                    query + [
                        ("as_of", page.asOf?.text), ("order", page.desc ? "desc" : nil),
                        ("cursor", cursor), ("limit", left < 100 ? String(left) : nil),
                    ]))
            let packets = packets(answer)
            for line in table.lines(packets) where !options.json { try Output.line(line) }
            if options.json { for packet in packets { try Output.foreign(packet.line) } }
            shown += packets.count
            if let list = answer.member("not_compared", of: 0) {
                for position in JSONChildren(answer.tokens, of: list) {
                    Output.error(
                        "position \(answer.integer(position) ?? -1) was not compared: the pattern "
                            + "takes too long to match")
                }
            }
            damage = damage ?? answer.member("damage", of: 0).flatMap(answer.string)
            cursor = answer.member("next", of: 0).flatMap(answer.string)
            guard cursor != nil, shown < page.limit ?? .max, Output.hasReader else { break }
        }
        if let damage { throw Failure.damaged(damage) }
        // An empty list is a valid answer, so it is no failure, but a person should see a message.
        if shown == 0, !options.json {
            Output.error("no packets" + (hint.map { "; \($0)" } ?? ""))
        }
        if cursor != nil, let hintAtMore { Output.error(hintAtMore) }
    }

    private func packets(_ answer: JSONDocument) -> [ListedPacket] {
        answer.member("packets", of: 0).map { list in
            JSONChildren(answer.tokens, of: list).map { ListedPacket(answer, $0) }
        } ?? []
    }
}

extension DaemonClient {
    /// Parameters that a target is too short for go in a body.
    private static let targetBytesMax = 4096

    /// A list. A search whose filters are long is posted.
    func list(_ path: String, _ query: [(String, String?)]) async throws(Failure) -> [UInt8] {
        // The same for each page: a cursor belongs to a query as it was written.
        let filters = query.filter {
            !["cursor", "limit", "order", "as_of", "count"].contains($0.0)
        }
        let length = filters.reduce(0) { $0 + ($1.1?.percentEncoded.utf8.count ?? 0) }
        guard path == "/v1/packets", length > Self.targetBytesMax else {
            return try await get(path, query)
        }
        return try await post("/v1/packets/query", Self.body(query))
    }

    /// Parameters as members of an object: each value of one that is given again in an array.
    private static func body(_ query: [(String, String?)]) -> [UInt8] {
        var values: [(name: String, values: [String])] = []
        for case (let name, let value?) in query {
            if let place = values.firstIndex(where: { $0.name == name }) {
                values[place].values.append(value)
            } else {
                values.append((name, [value]))
            }
        }
        var json = JSONWriter()
        json.beginObject()
        for (name, values) in values {
            let isPattern = name.hasSuffix("lineage") || name.hasSuffix("decision_chain")
            json.key(values.count > 1 && isPattern ? name + "_any" : name)
            func write(_ value: String, to json: inout JSONWriter) {
                if isPattern, (try? JSONDocument(Array(value.utf8))) != nil {
                    json.json(Array(value.utf8))
                } else {
                    json.string(value)
                }
            }
            if values.count > 1 {
                json.array(values) { write($0, to: &$1) }
            } else {
                write(values[0], to: &json)
            }
        }
        json.endObject()
        return json.bytes
    }
}
