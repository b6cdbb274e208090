internal import LedgerFormat

/// Finds which packets build on retracted ones. The answer does not depend on the direction or the
/// depth asked for: where the ledger has retractions, ancestors are looked at whether they were
/// walked or not.
struct TaintSearch {
    private(set) var tainted: Set<Position> = []
    /// Packets with ancestors that were not looked at, because there are too many.
    private(set) var unknown: Set<Position> = []

    init<Source: ChainSource>(
        _ walked: [ChainPacket], in source: Source, _ book: EdgeBook<Source>,
        _ standings: StandingBook<Source>, packetsMax: Int
    ) throws(Source.Failure) {
        guard try source.mayRetract() else { return }
        var (packets, known) = (walked, Set(walked.map(\.position)))
        var users: [Position: [Position]] = [:]
        var (retracted, unseen): ([Position], [Position]) = ([], [])
        var (next, bytes) = (0, 0)
        while next < packets.count {
            let packet = packets[next]
            next += 1
            if try standings.standing(of: packet).isRetracted { retracted.append(packet.position) }
            for edge in try book.edges(of: packet) where edge.isUse {
                guard let parent = edge.to else { continue }
                users[parent, default: []].append(packet.position)
                guard known.insert(parent).inserted else { continue }
                guard packets.count - walked.count < packetsMax,
                    bytes <= ChainLimits.payloadBytesMax
                else {
                    unseen.append(parent)
                    continue
                }
                guard let found = try source.packet(at: parent) else { continue }
                bytes += found.payload.count
                packets.append(found)
            }
        }
        tainted = try Self.downstream(of: retracted, users, source.spend)
        unknown = try Self.downstream(of: unseen, users, source.spend).subtracting(tainted)
    }

    private static func downstream<Failure: Error>(
        of positions: [Position], _ users: [Position: [Position]],
        _ spend: (Int) throws(Failure) -> Void
    ) throws(Failure) -> Set<Position> {
        var (open, found): ([Position], Set<Position>) = (positions, [])
        while let next = open.popLast() {
            let direct = users[next] ?? []
            try spend(direct.count)
            for user in direct where found.insert(user).inserted { open.append(user) }
        }
        return found
    }
}

extension ChainEdge {
    /// Whether the child builds on the parent, rather than only speaking about it.
    var isUse: Bool { order != .self && relation != "retracts" && relation != "supersedes" }
}
