package import LedgerFormat
internal import LedgerStorage
package import Packets
package import Platform

/// The index as it was at one moment. Packets added later may appear in it, beyond `size`.
package struct TermSnapshot: Sendable {
    package let key: TermKey
    /// How much of the ledger the index covers.
    package let size: LedgerSize
    let sources: [TermSource]
    /// Whether look-ups may wait for the disk.
    package var access = ReadAccess.blocking

    /// Packets whose terms are unknown because the packets could not be read.
    package var unindexed: Int { sources.reduce(0) { $0 + $1.unindexed } }

    /// Whether any reference names its parent by hash, or by entity, and not by id.
    package var flags: RunFlags {
        sources.reduce(into: RunFlags()) { $0.formUnion($1.flags) }
    }

    /// Whether a walk continues.
    package enum Step: Sendable {
        case goOn, stop
    }

    /// Passes the positions in `range` that have all `terms` to `body` until it says to stop: in
    /// order, or newest first if `isDescending`. Without terms it passes every position. If a span
    /// `created` is given, it skips positions that certainly lie outside; those it passes may still
    /// lie outside. Returns the position where it ran out of time; nil if it did not. Costs as much
    /// as the rarest term.
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

    /// False if certainly no packet has the term.
    package func mayHold(_ term: UInt64) -> Bool {
        sources.contains { source in
            switch source {
            case .run(let run): run.mayHold(term)
            case .buffer(let buffer): buffer.has(term)
            }
        }
    }

    /// The lowest position in `range` that has a term.
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
    /// The ordinal that was next when time ran out.
    private(set) var cut: UInt32?

    /// Steps without a candidate between checks of the clock.
    private static let stepsBetweenLooks = 64

    init(
        _ source: TermSource, _ terms: [UInt64], _ part: ClosedRange<UInt32>,
        _ created: Range<Int64>?, _ deadline: ContinuousClock.Instant?, _ access: ReadAccess
    ) {
        // Only the rarest terms: more lists would cost more than reading the packets.
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
            // A packet was read, which takes longer than checking the clock.
            stepsToLook = 0
            guard candidate != (isDescending ? range.lowerBound : range.upperBound) else { break }
            ordinal = isDescending ? candidate - 1 : candidate + 1
        }
        return .goOn
    }

    /// The first ordinal from `start` on, upwards or downwards, that is in all lists and in a zone
    /// that touches the span.
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
            // If nothing moved the candidate, all agree on it.
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
