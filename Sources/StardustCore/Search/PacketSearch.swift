package import LedgerFormat
package import LedgerIndex
package import LedgerStorage
package import Packets
internal import Platform

/// Finds packets: the index names candidates, the packets themselves decide.
package struct PacketSearch: Sendable {
    private let map: LedgerMap
    private let index: TermSnapshot
    private let filter: PacketFilter
    private let terms: [UInt64]

    /// Searches what `index` reflects of the ledger.
    package init(_ map: LedgerMap, _ index: TermSnapshot, _ filter: PacketFilter) {
        self.map = map
        self.index = index
        self.filter = filter
        terms = filter.terms(index.key)
    }

    package struct Found: Sendable {
        package var record: StoredRecord
        package var entity: PacketEntity
    }

    package struct Page: Sendable {
        package var found: [Found] = []
        /// Where the next page begins; nil where this is the last.
        package var next: Position?
        /// The page ends since the time was over.
        package var isCut = false
        /// Packets that were passed over, since comparing the pattern with them takes too long.
        package var notCompared: [Position] = []
    }

    package enum Failure: Error {
        case read(ReadFailure)
        case index(IndexFailure)
        /// It would have to wait for the disk, or takes longer than whoever does not wait may.
        case wouldBlock
        /// A walk that cannot be cut into pages took too long.
        case timeIsOver
    }

    /// What a page may be at most.
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

    /// A page of what stands in `range`, in ledger order, or newest first. Blocks on the disk.
    package func page(
        in range: Range<UInt64>, isDescending: Bool = false, _ limits: Limits
    ) throws(Failure) -> Page {
        var page = Page()
        var bytes = 0
        try each(in: range, isDescending: isDescending, limits.deadline, &page) { found, page in
            if page.found.count >= limits.packets || bytes > limits.payloadBytes {
                page.next = found.record.entry.position
                return .stop
            }
            bytes += found.record.payload.count
            page.found.append(found)
            return .goOn
        }
        return page
    }

    /// How many there are in `range`, as far as the time reaches.
    package func count(
        in range: Range<UInt64>, until deadline: ContinuousClock.Instant
    ) throws(Failure) -> (count: Int, isExact: Bool) {
        var (page, count) = (Page(), 0)
        try each(in: range, isDescending: false, deadline, &page) { _, _ in
            count += 1
            return .goOn
        }
        return (count, !page.isCut && page.notCompared.isEmpty)
    }

    private func each(
        in range: Range<UInt64>, isDescending: Bool, _ deadline: ContinuousClock.Instant,
        _ page: inout Page, _ body: (Found, inout Page) -> TermSnapshot.Step
    ) throws(Failure) {
        var judge = PacketJudge(filter, index.access)
        var reader = RecordReader(map, index.access)
        var failure: Failure?
        do throws(IndexFailure) {
            let cut = try index.walk(
                terms, in: try narrowed(range), created: filter.created,
                isDescending: isDescending, until: deadline
            ) { position in
                do throws(Failure) {
                    guard let record = try Self.read(position, &reader) else { return .goOn }
                    do throws(JSONContainment.TooCostly) {
                        guard let entity = try judge.judge(record) else { return .goOn }
                        return body(Found(record: record, entity: entity), &page)
                    } catch {
                        guard index.access == .blocking else { throw Failure.wouldBlock }
                        page.notCompared.append(position)
                        return .goOn
                    }
                } catch {
                    failure = error
                    return .stop
                }
            }
            if let cut { (page.next, page.isCut) = (cut, true) }
        } catch { throw Failure(error) }
        if let failure { throw failure }
    }

    private static func read(
        _ position: Position, _ reader: inout RecordReader
    ) throws(Failure) -> StoredRecord? {
        do throws(ReadFailure) { return try reader.read(position) } catch {
            throw Failure(error)
        }
    }

    // MARK: Times of receipt

    /// The part of a range that was received in the span that is wanted: they never decrease.
    private func narrowed(_ range: Range<UInt64>) throws(IndexFailure) -> Range<UInt64> {
        var range = range.clamped(to: 0..<index.size.entries)
        if let from = filter.receivedFrom {
            range = try firstReceived(atOrAfter: from, in: range)..<range.upperBound
        }
        if let before = filter.receivedBefore {
            range = range.lowerBound..<(try firstReceived(atOrAfter: before, in: range))
        }
        return range
    }

    private func firstReceived(
        atOrAfter time: Timestamp, in range: Range<UInt64>
    ) throws(IndexFailure) -> UInt64 {
        var (low, high) = (range.lowerBound, range.upperBound)
        while low < high {
            let middle = (low + high) / 2
            let received: Timestamp?
            do throws(ReadFailure) {
                received = try map.read(Position(middle), index.access)?.entry.receivedAt
            } catch { throw error.isWouldBlock ? .wouldBlock : .failed(error.description) }
            if let received, received < time { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

extension PacketSearch.Failure {
    init(_ failure: ReadFailure) { self = failure.isWouldBlock ? .wouldBlock : .read(failure) }

    init(_ failure: IndexFailure) {
        if case .wouldBlock = failure { self = .wouldBlock } else { self = .index(failure) }
    }
}
