package import LedgerFormat
package import Packets

/// Who produced a piece of evidence, who used it, and what rests on it.
package struct EvidenceReport: Sendable {
    private let digest: String
    private let size: LedgerSize
    private var citations: [Citing] = []
    private let outcomes: OutcomesBelow
    /// Where it was said to be, each once.
    package private(set) var uris: [String] = []
    /// Packets of what became of the files that have it.
    package var cleanedUp: [ChainPacket] = []

    private struct Citing: Sendable {
        let packet: ChainPacket
        /// What the packet says of it; nil if only its nodes name it.
        let items: [EvidenceItem]
        let nodes: [ExactText]
        var isProducer: Bool { items.contains { $0.members.text(.role) == "output" } }
    }

    /// How many packets downstream are looked at.
    private static let packetsMax = 10_000
    /// Outcomes that are listed.
    private static let outcomesMax = 1_000

    /// Terms of the packets that may cite it, as alternatives.
    package static func terms(_ digest: String, _ key: TermKey) -> [[UInt64]] {
        var scanner = TermScanner(key: key)
        func terms(_ pattern: String, _ root: TermKey.Root) -> [UInt64] {
            scanner.pattern(Array(pattern.utf8).span, in: root)
        }
        return [
            terms("{\"evidence\":[\"\(digest)\"]}", .lineage),
            terms("{\"evidence\":[{\"digest\":\"\(digest)\"}]}", .lineage),
            terms("[{\"evidence\":[\"\(digest)\"]}]", .decisionChain),
            terms("{\"nodes\":[{\"evidence\":[\"\(digest)\"]}]}", .decisionChain),
        ]
    }

    /// `candidates` are packets that may cite it, in order.
    package init<Source: ChainSource>(
        _ digest: String, _ candidates: [Position], in source: Source
    ) throws(Source.Failure) {
        (self.digest, size) = (digest, source.size)
        for position in candidates {
            guard let packet = try source.packet(at: position) else { continue }
            let items = packet.evidence.filter { $0.digest == digest }
            let names = Set(items.compactMap(\.id) + [ExactText(digest)])
            let nodes = (packet.decision?.nodes ?? []).filter { node in
                node.evidence.contains(where: names.contains)
            }
            guard !items.isEmpty || !nodes.isEmpty else { continue }
            citations.append(Citing(packet: packet, items: items, nodes: nodes.map(\.id)))
        }
        let book = EdgeBook(source)
        outcomes = try OutcomesBelow(
            citations.map(\.packet), withOwn: true, in: source, book, StandingBook(source, book),
            packetsMax: Self.packetsMax)
        var uris = DistinctValues<String>()
        for uri in citations.flatMap(\.items).compactMap({ $0.members.text(.uri) }) {
            uris.append(uri)
        }
        self.uris = uris.all
    }

    /// Whether any packet cites it.
    package var isKnown: Bool { !citations.isEmpty }

    /// The latest time until which somebody said that it is kept; nil if nobody did.
    private var keptUntil: String? {
        citations.flatMap(\.items).compactMap { $0.members.text(.retainUntil) }
            .compactMap { text in Timestamp(rfc3339: text).map { ($0, text) } }
            .max { $0.0 < $1.0 }?.1
    }

    package func write(to json: inout JSONWriter) {
        json.beginObject()
        json.member("ledger_size", size.entries)
        json.member("digest", digest)
        json.key("uris")
        json.array(uris) { $1.string($0) }
        json.key("produced_by")
        json.array(citations.filter(\.isProducer), Self.write)
        json.key("used_by")
        json.array(citations.filter { !$0.isProducer }, Self.write)
        json.key("kept_until")
        if let keptUntil { json.string(keptUntil) } else { json.null() }
        json.key("cleaned_up")
        json.array(cleanedUp) { packet, json in
            json.beginObject()
            json.identify(packet)
            json.endObject()
        }
        outcomes.write(limit: Self.outcomesMax, to: &json)
        json.endObject()
    }

    private static func write(_ citing: Citing, to json: inout JSONWriter) {
        json.beginObject()
        json.identify(citing.packet)
        json.key("nodes")
        json.array(citing.nodes) { node, json in
            json.string(citing.packet.stardustID, fragment: node.description)
        }
        json.key("statements")
        json.array(citing.items) { item, json in
            json.beginObject()
            json.members(item.members)
            json.endObject()
        }
        json.endObject()
    }
}
