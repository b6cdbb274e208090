package import LedgerFormat
package import LedgerIndex
package import LedgerStorage
package import Packets
internal import Platform
package import Reconstruction

/// Gives a chain access to the ledger's files and index. For one walk on one thread.
package final class LedgerChainSource: ChainSource {
    package typealias Failure = PacketSearch.Failure

    package let size: LedgerSize
    private let map: LedgerMap
    private var reader: RecordReader
    private let index: TermSnapshot
    private let flags: RunFlags
    private let cache: PacketCache
    private let deadline: ContinuousClock.Instant
    /// Packets already read: a walk returns to most of them.
    private var read: [Position: ChainPacket?] = [:]
    /// Work done since the clock was last checked.
    private var work = 0

    /// Payload bytes of the packets in `read`.
    private var bytes = 0

    private static let workBetweenLooks = 1024

    package init(
        _ map: LedgerMap, _ index: TermSnapshot, size: LedgerSize, _ cache: PacketCache,
        until deadline: ContinuousClock.Instant
    ) {
        self.map = map
        reader = RecordReader(map, index.access)
        self.index = index
        flags = index.flags
        self.size = size
        self.cache = cache
        self.deadline = deadline
    }

    package var isPartlyUnindexed: Bool { index.unindexed > 0 || map.damage != nil }

    // MARK: Packets

    package func packet(at position: Position) throws(Failure) -> ChainPacket? {
        guard size.contains(position) else { return nil }
        if let known = read[position] { return known }
        try spend(1)
        var packet = cache[position]
        if packet == nil { packet = try parsed(position) }
        if read.count >= LedgerLimits.chainPacketsKept
            || bytes >= LedgerLimits.chainBytesKept
        {
            read.removeAll(keepingCapacity: true)
            bytes = 0
        }
        read[position] = .some(packet)
        bytes += packet?.payload.count ?? 0
        return packet
    }

    private func parsed(_ position: Position) throws(Failure) -> ChainPacket? {
        try step()
        let record: StoredRecord?
        do throws(ReadFailure) { record = try reader.read(position) } catch {
            throw Failure(error)
        }
        guard let record, record.entry.kind == .packet,
            let packet = ChainPacket(
                record.entry, entryHash: record.entryHash, payload: record.payload)
        else { return nil }
        cache.insert(packet)
        return packet
    }

    /// A look-up in the files or the index costs as much as many in memory.
    private func step() throws(Failure) { try spend(Self.workBetweenLooks / 16) }

    package func spend(_ work: Int) throws(Failure) {
        self.work += work
        guard self.work >= Self.workBetweenLooks else { return }
        self.work = 0
        guard ContinuousClock.now > deadline else { return }
        throw index.access != .cachedOnly ? .timeIsOver : .wouldBlock
    }

    package func position(of id: UUID128) throws(Failure) -> Position? {
        try step()
        let position: Position?
        do throws(FileFailure) { position = try reader.position(of: id) } catch {
            throw Failure(.file(error))
        }
        return position.flatMap { size.contains($0) ? $0 : nil }
    }

    package func position(ofPayload digest: Digest) throws(Failure) -> Position? {
        try first([index.key.payload(digest)], 0..<size.entries) { packet in
            packet.payloadDigest == digest
        }
    }

    package func position(
        ofEntity type: String, _ id: UUID128, before: Position
    ) throws(Failure) -> Position? {
        let range = 0..<min(before.value, size.entries)
        return try first([index.key.entity(type, id)], range, isDescending: true) { packet in
            packet.entityType == type && packet.entityID == id
        }
    }

    /// The first candidate that satisfies the predicate.
    private func first(
        _ terms: [UInt64], _ range: Range<UInt64>, isDescending: Bool = false,
        _ isWanted: (ChainPacket) -> Bool
    ) throws(Failure) -> Position? {
        var walk = index.walk(terms, in: range, isDescending: isDescending)
        while let position = try next(&walk) {
            if let packet = try packet(at: position), isWanted(packet) { return position }
        }
        return nil
    }

    /// The next position of a walk, counted as a step.
    private func next(_ walk: inout TermWalk) throws(Failure) -> Position? {
        let position: Position?
        do throws(IndexFailure) { position = try walk.next() } catch { throw Failure(error) }
        if position != nil { try step() }
        return position
    }

    package func edges(of packet: ChainPacket) throws(Failure) -> [ChainEdge] {
        if let edges = cache.edges(of: packet.position) {
            try spend(1 + edges.count)
            return edges
        }
        let edges = try resolved(packet)
        cache.insert(edges, of: packet.position)
        return edges
    }

    // MARK: Targets

    package func each(
        of target: ChainTarget, _ body: (Position) throws(Failure) -> Bool
    ) throws(Failure) {
        switch target {
        case .packet(let id):
            if let position = try position(of: id) { _ = try body(position) }
        case .entity(let type, let id):
            var walk = index.walk([index.key.entity(type, id)], in: 0..<size.entries)
            while let position = try next(&walk) {
                guard let packet = try packet(at: position), packet.entityType == type,
                    packet.entityID == id
                else { continue }
                guard try body(position) else { return }
            }
        case .trace(let id):
            var walk = index.walk([index.key.trace(id)], in: 0..<size.entries)
            while let position = try next(&walk) {
                guard try packet(at: position)?.traceID == id else { continue }
                guard try body(position) else { return }
            }
        }
    }

    /// Passes the positions before a packet of those that may decide the same question about the same
    /// entity to `body`, the newest first.
    package func eachEarlierAnswer(
        _ packet: ChainPacket, _ key: String, _ body: (Position) throws(Failure) -> Bool
    ) throws(Failure) {
        var scanner = TermScanner(key: index.key)
        var pattern = JSONWriter()
        pattern.beginObject()
        pattern.member("decision_key", key)
        pattern.endObject()
        let terms =
            scanner.pattern(pattern.bytes.span, in: .decisionChain)
            + [index.key.entity(packet.entityType, packet.entityID)]
        var walk = index.walk(
            terms, in: 0..<min(packet.position.value, size.entries), isDescending: true)
        while let position = try next(&walk) { guard try body(position) else { return } }
    }

    /// Positions of packets that may have all the terms of one of some alternatives, in order.
    package func positions(oneOf alternatives: [[UInt64]]) throws(Failure) -> [Position] {
        var query = TermQuery()
        query.require(oneOf: alternatives)
        var walk = index.walk(query, in: 0..<size.entries)
        var found: [Position] = []
        while let position = try next(&walk) { found.append(position) }
        return found
    }

    package var key: TermKey { index.key }

    // MARK: Reverse edges

    package func eachChild(
        of packet: ChainPacket, _ body: (Position) throws(Failure) -> Bool
    ) throws(Failure) {
        try eachOf(lists(of: packet) { index.key.parent($0) }, body)
    }

    package func eachAmendment(
        of packet: ChainPacket, _ body: (Position) throws(Failure) -> Bool
    ) throws(Failure) {
        try eachOf(lists(of: packet) { [index.key.amendment($0)] }, body)
    }

    package func mayRetract() throws(Failure) -> Bool {
        guard index.mayHold(index.key.retraction) else { return false }
        do throws(IndexFailure) {
            return try index.first(index.key.retraction, in: 0..<size.entries) != nil
        } catch { throw Failure(error) }
    }

    /// The lists of packets that name a packet in any way, and the range of each list that refers
    /// to it. Most packets have none.
    private func lists(
        of packet: ChainPacket, _ terms: (ParentKey) -> [UInt64]
    ) throws(Failure) -> [(term: UInt64, range: Range<UInt64>)] {
        let all = 0..<size.entries
        var lists: [(term: UInt64, range: Range<UInt64>)] = []
        for term in terms(.id(packet.stardustID)) where index.mayHold(term) {
            lists.append((term, all))
        }
        if flags.contains(.namesParentsByHash) {
            for term in terms(.hash(packet.payloadDigest)) where index.mayHold(term) {
                lists.append((term, all))
            }
        }
        if flags.contains(.namesParentsByEntity) {
            let named = terms(.entity(packet.entityID)).filter(index.mayHold)
            if !named.isEmpty {
                let range = try positionsThatSee(packet)
                lists += named.map { ($0, range) }
            }
        }
        return lists
    }

    /// Positions at which a packet is its entity's newest: up to and including the next one.
    private func positionsThatSee(_ packet: ChainPacket) throws(Failure) -> Range<UInt64> {
        let start = packet.position.value + 1
        guard start < size.entries else { return 0..<0 }
        let next = try first(
            [index.key.entity(packet.entityType, packet.entityID)], start..<size.entries
        ) { other in
            other.entityType == packet.entityType && other.entityID == packet.entityID
        }
        return start..<min((next?.value ?? size.entries) + 1, size.entries)
    }

    /// Passes the positions in several lists to `body` in order, each once. Reads the lists piece
    /// by piece.
    private func eachOf(
        _ lists: [(term: UInt64, range: Range<UInt64>)],
        _ body: (Position) throws(Failure) -> Bool
    ) throws(Failure) {
        var start: UInt64 = 0
        while !lists.isEmpty {
            var found: Set<UInt64> = []
            // Every list has been read up to here.
            var end = size.entries
            for (term, range) in lists {
                var count = 0
                var walk = index.walk([term], in: range.clamped(to: start..<max(start, end)))
                while let position = try next(&walk) {
                    count += 1
                    if count > LedgerLimits.chainListPiece {
                        end = position.value
                        break
                    }
                    found.insert(position.value)
                }
            }
            for position in found.sorted() where position < end {
                guard try body(Position(position)) else { return }
            }
            guard end < size.entries else { return }
            start = end
        }
    }
}
