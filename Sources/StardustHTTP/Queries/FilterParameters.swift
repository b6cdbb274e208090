internal import LedgerFormat
internal import Packets
internal import StardustCore

/// The filters of lists.
extension Parameters {
    /// What a packet may be or have. Each may be given again, and negated by `not_` before it.
    static let contentFilters = [
        "stardust_id", "entity_type", "entity_id", "trace_id", "lineage", "decision_chain", "text",
        "has",
    ]

    static let packetFilters = Set(contentFilters + contentFilters.map { "not_" + $0 })

    static let filters: Set<String> = packetFilters.union([
        "created_from", "created_before", "received_from", "received_before",
    ])

    func filter() throws(Problem) -> PacketFilter {
        let count = Self.repeatable.reduce(0) { $0 + all($1).count }
        guard count <= QueryLimits.filterValues else {
            throw Problem(
                .badParameter,
                "the filters have \(count) values, more than \(QueryLimits.filterValues); ask in parts"
            )
        }
        var filter = PacketFilter()
        filter.wanted = try alternatives("")
        filter.unwanted = try alternatives("not_")
        filter.createdFrom = try time("created_from")
        filter.createdBefore = try time("created_before")
        filter.receivedFrom = try time("received_from")
        filter.receivedBefore = try time("received_before")
        return filter
    }

    /// The filter in the form a cursor is bound to.
    var filterText: String {
        Self.filters.sorted().flatMap { name in all(name).map { "\(name)=\($0)" } }
            .joined(separator: "\n")
    }

    private func alternatives(
        _ prefix: String
    ) throws(Problem) -> PacketFilter.Alternatives {
        var found = PacketFilter.Alternatives()
        found.ids = try each(prefix + "stardust_id", Self.uuid)
        found.entityTypes = try each(prefix + "entity_type") { (_, text) throws(Problem) in
            guard EntityTypes.mayBe(text) else { throw .notAnEntityType(text) }
            return text
        }
        found.entityIDs = try each(prefix + "entity_id", Self.uuid)
        found.traceIDs = try each(prefix + "trace_id") { (name, text) throws(Problem) in
            guard let id = UUID128(anyText: Array(text.utf8).span) else {
                throw .badParameter(
                    name, "\(text) is not a trace id: a UUID, or 32 hexadecimal digits")
            }
            return id
        }
        found.lineage = try each(prefix + "lineage", Self.pattern)
        found.decisionChain = try each(prefix + "decision_chain", Self.pattern)
        found.texts = try each(prefix + "text", Self.words)
        found.members = try each(prefix + "has") { (name, text) throws(Problem) in
            guard let path = MemberPath(text) else {
                throw .badParameter(
                    name,
                    "\(text) is no JSON Pointer below /lineage or /decision_chain, such as "
                        + "/lineage/event")
            }
            return path
        }
        return found
    }

    private func each<Value>(
        _ name: String, _ read: (String, String) throws(Problem) -> Value
    ) throws(Problem) -> [Value] {
        var found: [Value] = []
        for text in all(name) { found.append(try read(name, text)) }
        return found
    }

    private static func uuid(_ name: String, _ text: String) throws(Problem) -> UUID128 {
        guard let id = UUID128(text) else {
            throw .badParameter(
                name, "\(text) is not a UUID: 8-4-4-4-12 hexadecimal digits")
        }
        return id
    }

    private static func pattern(_ name: String, _ text: String) throws(Problem) -> JSONDocument {
        do throws(JSONError) { return try JSONDocument(Array(text.utf8)) } catch {
            var problem = Problem.badParameter(name, "the pattern is invalid: \(error)")
            problem.offset = error.offset
            throw problem
        }
    }

    private static func words(_ name: String, _ text: String) throws(Problem) -> TextPattern {
        do throws(TextPattern.Invalid) { return try TextPattern(text) } catch {
            let reason =
                switch error {
                case .noWord: "has no word: give letters or digits"
                case .tooManyWords: "has more than \(TextPattern.wordsMax) words"
                case .openQuotationMark: "has a quotation mark without its other one"
                }
            throw .badParameter(name, reason)
        }
    }

    /// A time in UTC, to the microsecond.
    func time(_ name: String) throws(Problem) -> Timestamp? {
        guard let text = self[name] else { return nil }
        guard let time = Timestamp(rfc3339: text) else {
            throw .badParameter(
                name,
                "\(text) is not an RFC 3339 time in UTC, such as 2026-09-14T10:42:07.311Z")
        }
        // PostgreSQL rounds to microseconds, packets are cut to them: neither is what was asked for.
        guard text.split(separator: ".").last!.utf8.prefix(while: { $0 &- 0x30 < 10 }).count <= 6
        else {
            throw .badParameter(
                name, "\(text) is finer than a microsecond; give at most six digits of fraction")
        }
        return time
    }
}
