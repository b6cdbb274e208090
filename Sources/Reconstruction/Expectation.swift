internal import LedgerFormat
package import Packets

/// Whether something came to a table that it was expected to come to, such as a clip to `upload_jobs`.
package struct Expectation: Sendable {
    private let entityType: String
    /// The nearest packets that were expected; empty if there are none.
    private let reached: [ChainPacket]
    /// The newest packet that it came to.
    private let last: ChainPacket?
    /// Others of the same parents and type, and where they came to.
    private let siblings: [(packet: ChainPacket, reached: ChainPacket)]
    private let isComplete: Bool

    /// Packets downstream that are looked at, of the target and of each sibling.
    private static var packetsMax: Int { 2_000 }
    private static var siblingsMax: Int { 20 }

    package init<Source: ChainSource>(
        _ entityType: String, of target: ChainTarget, in source: Source
    ) throws(Source.Failure) {
        self.entityType = entityType
        var roots: [ChainPacket] = []
        try source.each(of: target) { (position) throws(Source.Failure) in
            if let packet = try source.packet(at: position) { roots.append(packet) }
            return roots.count < Self.packetsMax
        }
        let book = EdgeBook(source)
        let walk = try Downstream(roots, source, book, until: entityType)
        (reached, last) = (walk.hits, walk.newest)
        var isComplete = walk.isComplete && roots.count < Self.packetsMax
        var siblings: [(packet: ChainPacket, reached: ChainPacket)] = []
        if walk.hits.isEmpty {
            let others = try Self.siblings(of: roots, source, book)
            for other in others.prefix(Self.siblingsMax) {
                let hits = try Downstream([other], source, book, until: entityType).hits
                if let hit = hits.first { siblings.append((other, hit)) }
            }
            if others.count > Self.siblingsMax { isComplete = false }
        }
        (self.siblings, self.isComplete) = (siblings, isComplete)
    }

    /// Packets with a parent and the entity's type in common with the roots, of other entities.
    private static func siblings<Source: ChainSource>(
        of roots: [ChainPacket], _ source: Source, _ book: EdgeBook<Source>
    ) throws(Source.Failure) -> [ChainPacket] {
        let own = Set(roots.map { EntityName(type: $0.entityType, id: $0.entityID) })
        let types = Set(roots.map(\.entityType))
        var (seen, found): (Set<Position>, [ChainPacket]) = ([], [])
        for root in roots {
            for edge in try book.edges(of: root) where edge.order != .self {
                guard let position = edge.to, let parent = try source.packet(at: position) else {
                    continue
                }
                try source.eachChild(of: parent) { (candidate) throws(Source.Failure) in
                    guard seen.insert(candidate).inserted,
                        let child = try source.packet(at: candidate),
                        types.contains(child.entityType),
                        !own.contains(EntityName(type: child.entityType, id: child.entityID)),
                        try book.edges(of: child).contains(where: { $0.to == position })
                    else { return true }
                    found.append(child)
                    return found.count <= siblingsMax
                }
            }
        }
        return found.sorted { $0.position < $1.position }
    }

    package func write(to json: inout JSONWriter) {
        func named(_ name: StaticString, _ packet: ChainPacket?, _ json: inout JSONWriter) {
            json.key(name)
            guard let packet else { return json.null() }
            json.beginObject()
            json.identify(packet)
            json.endObject()
        }
        json.beginObject()
        json.member("entity_type", entityType)
        json.member("reached", !reached.isEmpty)
        named("by", reached.first, &json)
        named("last", last, &json)
        json.key("siblings")
        json.array(siblings) { sibling, json in
            json.beginObject()
            named("packet", sibling.packet, &json)
            named("by", sibling.reached, &json)
            json.endObject()
        }
        json.member("complete", isComplete)
        json.endObject()
    }

    /// What was built on some packets, level by level, until a level has what is looked for.
    private struct Downstream {
        var hits: [ChainPacket] = []
        var newest: ChainPacket?
        var isComplete = true

        init<Source: ChainSource>(
            _ roots: [ChainPacket], _ source: Source, _ book: EdgeBook<Source>,
            until entityType: String
        ) throws(Source.Failure) {
            var (level, seen) = (roots, Set(roots.map(\.position)))
            newest = roots.max { $0.position < $1.position }
            while !level.isEmpty {
                hits = level.filter { $0.entityType == entityType }
                    .sorted { $0.position < $1.position }
                guard hits.isEmpty else { return }
                var next: [ChainPacket] = []
                for packet in level {
                    try source.eachChild(of: packet) { (candidate) throws(Source.Failure) in
                        guard !seen.contains(candidate) else { return true }
                        guard seen.count < Expectation.packetsMax else {
                            isComplete = false
                            return false
                        }
                        guard let child = try source.packet(at: candidate),
                            try book.edges(of: child).contains(where: {
                                $0.to == packet.position && $0.isUse
                            })
                        else { return true }
                        seen.insert(candidate)
                        next.append(child)
                        return true
                    }
                }
                if let last = next.max(by: { $0.position < $1.position }) { newest = last }
                level = next
            }
        }
    }
}
