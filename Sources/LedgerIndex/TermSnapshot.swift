package import LedgerFormat
package import LedgerStorage
package import Packets

/// The index as it was at one moment. What is added later may show up in it, beyond `size`.
package struct TermSnapshot: Sendable {
    package let key: TermKey
    /// How much of the ledger it reflects.
    package let size: LedgerSize
    let sources: [TermSource]
    /// Whether look-ups may wait for the disk.
    package var access = ReadAccess.blocking

    /// Packets whose terms are not known, since they could not be read.
    package var unindexed: Int { sources.reduce(0) { $0 + $1.unindexed } }

    /// Whether any reference names its parent by hash, or by entity, and not by id.
    package var flags: RunFlags {
        sources.reduce(into: RunFlags()) { $0.formUnion($1.flags) }
    }

    /// What a step of a walk says.
    package enum Step: Sendable {
        case goOn, stop
    }

    /// Lends the positions in `range` that have all `terms`, in order, newest first where
    /// `isDescending`, until `body` says to stop. Without terms it lends every position. Where a
    /// span of creation is given, positions that surely lie outside are passed over; the others
    /// may. Gives the position where it ended for want of time; nil where it did not. Cost: what
    /// the rarest term costs.
    @discardableResult
    package func walk(
        _ terms: [UInt64], in range: Range<UInt64>, created: Range<Int64>? = nil,
        isDescending: Bool = false, until deadline: ContinuousClock.Instant? = nil,
        _ body: (Position) -> Step
    ) throws(IndexFailure) -> Position? {
        let range = range.clamped(to: 0..<size.entries)
        for source in isDescending ? sources.reversed() : sources {
            let (first, end) = (source.first.value, source.end.value)
            let part = range.clamped(to: first..<max(first, end))
            guard !part.isEmpty, source.mayHold(all: terms) else { continue }
            let ordinals = UInt32(part.lowerBound - first)...UInt32(part.upperBound - 1 - first)
            var walk = SourceWalk(source, terms, ordinals, created, deadline, access)
            let step = try walk.run(ordinals, isDescending: isDescending) { ordinal in
                body(Position(first + UInt64(ordinal)))
            }
            if let cut = walk.cut { return Position(first + UInt64(cut)) }
            if case .stop = step { return nil }
        }
        return nil
    }

    /// False where no packet has a term.
    package func mayHold(_ term: UInt64) -> Bool {
        sources.contains { source in
            switch source {
            case .run(let run): run.mayHold(term)
            case .buffer(let buffer): buffer.has(term)
            }
        }
    }

    /// The lowest position of a list.
    package func first(_ term: UInt64, in range: Range<UInt64>) throws(IndexFailure) -> Position? {
        var found: Position?
        try walk([term], in: range) { position in
            found = position
            return .stop
        }
        return found
    }
}

/// One source's lists side by side.
private struct SourceWalk {
    private var lists: [Postings]
    private let zones: TimeZones?
    private let created: Range<Int64>?
    private let deadline: ContinuousClock.Instant?
    private var stepsToLook = 0
    /// The ordinal that was next when the time was over.
    private(set) var cut: UInt32?

    /// Steps without a candidate between looks at the clock.
    private static let stepsBetweenLooks = 64

    init(
        _ source: TermSource, _ terms: [UInt64], _ part: ClosedRange<UInt32>,
        _ created: Range<Int64>?, _ deadline: ContinuousClock.Instant?, _ access: ReadAccess
    ) {
        // The rarest decide; more lists than these cost more than reading the packets.
        lists =
            terms.count == 1
            ? [source.postings(terms[0], in: part, access)]
            : terms.map { term in
                let list = source.postings(term, in: part, access)
                return (list: list, cost: list.cost)
            }.sorted { $0.cost < $1.cost }.prefix(4).map(\.list)
        zones = created == nil ? nil : source.zones
        self.created = created
        self.deadline = deadline
    }

    mutating func run(
        _ range: ClosedRange<UInt32>, isDescending: Bool, _ body: (UInt32) -> TermSnapshot.Step
    ) throws(IndexFailure) -> TermSnapshot.Step {
        var ordinal = isDescending ? range.upperBound : range.lowerBound
        while let candidate = try agreed(ordinal, isDescending: isDescending),
            range.contains(candidate)
        {
            if case .stop = body(candidate) { return .stop }
            // A packet was read: that takes longer than looking at the clock.
            stepsToLook = 0
            guard candidate != (isDescending ? range.lowerBound : range.upperBound) else { break }
            ordinal = isDescending ? candidate - 1 : candidate + 1
        }
        return .goOn
    }

    /// The first ordinal from `start` on, or down, that is in all lists and in a zone that may hold
    /// it.
    private mutating func agreed(
        _ start: UInt32, isDescending: Bool
    ) throws(IndexFailure) -> UInt32? {
        var candidate = start
        while true {
            if isTimeOver {
                cut = candidate
                return nil
            }
            let before = candidate
            if let zones, let created {
                let zoned =
                    isDescending
                    ? zones.previous(Int(candidate), touching: created)
                    : zones.next(Int(candidate), touching: created)
                guard let zoned else { return nil }
                candidate = UInt32(zoned)
            }
            for index in lists.indices {
                let found =
                    isDescending
                    ? try lists[index].previous(atMost: candidate)
                    : try lists[index].next(atLeast: candidate)
                guard let found else { return nil }
                candidate = found
            }
            // Where nobody moved it, all agree.
            if candidate == before { return candidate }
        }
    }

    private var isTimeOver: Bool {
        mutating get {
            guard let deadline else { return false }
            stepsToLook -= 1
            guard stepsToLook < 0 else { return false }
            stepsToLook = Self.stepsBetweenLooks
            return ContinuousClock.now > deadline
        }
    }
}
