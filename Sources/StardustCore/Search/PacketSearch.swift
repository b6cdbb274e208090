package import LedgerFormat
package import LedgerIndex
package import LedgerStorage
package import Packets
package import Platform
package import Reconstruction

/// Finds packets. The index yields candidates, and each packet is then checked itself.
package struct PacketSearch: Sendable {
    private let map: LedgerMap
    private let index: TermSnapshot
    private let filter: PacketFilter
    private let query: TermQuery

    /// Searches the part of the ledger that `index` reflects.
    package init(_ map: LedgerMap, _ index: TermSnapshot, _ filter: PacketFilter) {
        self.map = map
        self.index = index
        self.filter = filter
        query = filter.query(index.key)
    }

    package struct Found: Sendable {
        package var record: StoredRecord
        package var entity: PacketEntity
    }

    package struct Page: Sendable {
        package var found: [Found] = []
        /// Where the next page begins; nil if this is the last one.
        package var next: Position?
        /// The page ends early because time ran out.
        package var isCut = false
        /// Packets skipped because comparing them with the pattern takes too long.
        package var notCompared: [Position] = []
        /// The first of the packets that were skipped because they are damaged.
        package var damage: Finding?
    }

    package enum Failure: Error {
        case read(ReadFailure)
        case index(IndexFailure)
        /// It would have to wait for the disk, or takes too long for a caller that must not wait.
        case wouldBlock
        /// A walk that cannot be split into pages took too long.
        case timeIsOver
    }

    /// Upper bounds on one page.
    package struct Limits: Sendable {
        package var packets: Int
        package var payloadBytes: Int
        package var deadline: ContinuousClock.Instant

        package init(packets: Int, payloadBytes: Int, deadline: ContinuousClock.Instant) {
            self.packets = packets
            self.payloadBytes = payloadBytes
            self.deadline = deadline
        }
    }

    /// A page of the matching packets in `range`, in ledger order or newest first. Blocks on the
    /// disk.
    package func page(
        in range: Range<UInt64>, isDescending: Bool = false, _ limits: Limits
    ) throws(Failure) -> Page {
        var page = Page()
        var bytes = 0
        var walk = try self.walk(in: range, isDescending: isDescending, until: limits.deadline)
        while let found = try walk.next() {
            if page.found.count >= limits.packets || bytes > limits.payloadBytes {
                page.next = found.record.entry.position
                break
            }
            bytes += found.record.payload.count
            page.found.append(found)
        }
        if let cut = walk.cut { (page.next, page.isCut) = (cut, true) }
        page.notCompared = walk.notCompared
        page.damage = map.damage ?? walk.damage ?? unindexed
        return page
    }

    /// The number of matching packets in `range`, as far as time allows.
    package func count(
        in range: Range<UInt64>, until deadline: ContinuousClock.Instant
    ) throws(Failure) -> (count: Int, isExact: Bool, damage: Finding?) {
        var walk = try self.walk(in: range, isDescending: false, until: deadline)
        var count = 0
        while try walk.next() != nil { count += 1 }
        let damage = map.damage ?? walk.damage ?? unindexed
        let isExact = walk.cut == nil && walk.notCompared.isEmpty && damage == nil
        return (count, isExact, damage)
    }

    /// Whether every packet of the range has to be read, since the index cannot tell them apart.
    package var isScan: Bool { query.isEmpty && filter.wanted.ids.isEmpty }

    /// Counts the matching packets in `range` by groups, as far as time allows.
    package func count(
        in range: Range<UInt64>, by keys: [GroupKey], _ source: LedgerChainSource,
        isDescending: Bool, until deadline: ContinuousClock.Instant
    ) throws(Failure) -> (count: GroupCount, cut: Position?, damage: Finding?) {
        var count = GroupCount(keys)
        var walk = try self.walk(in: range, isDescending: isDescending, until: deadline)
        var cut: Position?
        while cut == nil, let found = try walk.next() {
            let position = found.record.entry.position
            do throws(Failure) {
                if let packet = try source.packet(at: position) { count.add(packet) }
            } catch .timeIsOver { cut = position }
        }
        return (count, cut ?? walk.cut, map.damage ?? walk.damage ?? unindexed)
    }

    /// Damage because of which packets are in no list.
    private var unindexed: Finding? {
        guard index.unindexed > 0 else { return nil }
        return map.foundDamage
            ?? Finding(
                .recordDamaged,
                "packets could not be read when they were indexed: \(index.unindexed). `stardust "
                    + "verify` names them; if it finds none, run `stardust reindex`")
    }

    private func walk(
        in range: Range<UInt64>, isDescending: Bool, until deadline: ContinuousClock.Instant
    ) throws(Failure) -> Walk {
        do throws(IndexFailure) {
            let range = try map.range(
                range.clamped(to: 0..<index.size.entries), receivedFrom: filter.receivedFrom,
                before: filter.receivedBefore, index.access)
            var reader = RecordReader(map, index.access)
            guard filter.wanted.ids.isEmpty else {
                let positions = try named(in: range, &reader)
                return Walk(
                    .named(isDescending ? positions : positions.reversed()), filter, reader,
                    index.access)
            }
            let candidates = index.walk(
                query, in: range, created: filter.created, isDescending: isDescending,
                until: deadline)
            return Walk(.terms(candidates), filter, reader, index.access)
        } catch { throw Failure(error) }
    }

    /// The positions of the ids that are asked for, in order.
    private func named(
        in range: Range<UInt64>, _ reader: inout RecordReader
    ) throws(IndexFailure) -> [Position] {
        var positions: Set<UInt64> = []
        for id in Set(filter.wanted.ids) {
            do throws(FileFailure) {
                guard let position = try reader.position(of: id), range.contains(position.value)
                else { continue }
                positions.insert(position.value)
            } catch { throw error.isWouldBlock ? .wouldBlock : .failed(error.description) }
        }
        return positions.sorted().map(Position.init)
    }

    /// Where packets may match.
    private enum Candidates {
        case terms(TermWalk)
        /// The next one is the last element.
        case named([Position])

        /// Where time ran out.
        var cut: Position? {
            if case .terms(let walk) = self { walk.cut } else { nil }
        }

        mutating func next() throws(IndexFailure) -> Position? {
            switch self {
            case .terms(var walk):
                self = .named([])
                defer { self = .terms(walk) }
                return try walk.next()
            case .named(var positions):
                let next = positions.popLast()
                self = .named(positions)
                return next
            }
        }
    }

    /// The packets that match, one by one.
    private struct Walk: ~Copyable {
        private var candidates: Candidates
        private var matcher: PacketMatcher
        private var reader: RecordReader
        private let access: ReadAccess
        private(set) var notCompared: [Position] = []
        private(set) var damage: Finding?

        init(
            _ candidates: Candidates, _ filter: PacketFilter, _ reader: consuming RecordReader,
            _ access: ReadAccess
        ) {
            (self.candidates, self.access) = (candidates, access)
            self.reader = reader
            matcher = PacketMatcher(filter, access)
        }

        /// Where time ran out.
        var cut: Position? { candidates.cut }

        mutating func next() throws(Failure) -> Found? {
            while let position = try candidate() {
                guard let record = try read(position) else { continue }
                do throws(JSONContainment.TooCostly) {
                    guard let entity = try matcher.match(record) else { continue }
                    return Found(record: record, entity: entity)
                } catch {
                    guard access != .cachedOnly else { throw .wouldBlock }
                    notCompared.append(position)
                }
            }
            return nil
        }

        private mutating func candidate() throws(Failure) -> Position? {
            do throws(IndexFailure) { return try candidates.next() } catch { throw Failure(error) }
        }

        private mutating func read(_ position: Position) throws(Failure) -> StoredRecord? {
            do throws(ReadFailure) { return try reader.read(position) } catch {
                guard case .damaged(let finding) = error else { throw Failure(error) }
                damage = damage ?? finding
                return nil
            }
        }
    }
}

extension LedgerMap {
    /// The part of a range received in a period. Times of receipt never decrease.
    func range(
        _ range: Range<UInt64>, receivedFrom: Timestamp?, before: Timestamp?, _ access: ReadAccess
    ) throws(IndexFailure) -> Range<UInt64> {
        var range = range
        if let receivedFrom {
            range = try firstReceived(atOrAfter: receivedFrom, in: range, access)..<range.upperBound
        }
        if let before {
            let end = try firstReceived(atOrAfter: before, in: range, access)
            range = range.lowerBound..<end
        }
        return range
    }

    /// The first position in `range` that was received at a time or later; the range's end if none
    /// was.
    package func firstReceived(
        atOrAfter time: Timestamp, in range: Range<UInt64>, _ access: ReadAccess
    ) throws(IndexFailure) -> UInt64 {
        var (low, high) = (range.lowerBound, range.upperBound)
        while low < high {
            let middle = (low + high) / 2
            let received: Timestamp?
            do throws(ReadFailure) {
                received = try entry(Position(middle), access)?.receivedAt
            } catch { throw error.isWouldBlock ? .wouldBlock : .failed(error.description) }
            if let received, received < time { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

extension PacketSearch.Failure {
    init(_ failure: ReadFailure) { self = failure.isWouldBlock ? .wouldBlock : .read(failure) }

    package init(_ failure: IndexFailure) {
        if case .wouldBlock = failure { self = .wouldBlock } else { self = .index(failure) }
    }
}
