package import LedgerFormat
internal import LedgerStorage
internal import Packets
internal import Platform

/// The terms that packets must have.
package struct TermQuery: Sendable {
    /// All of these.
    package private(set) var all: [UInt64]
    /// Of each group, all the terms of at least one alternative.
    package private(set) var groups: [[[UInt64]]] = []

    package init(_ all: [UInt64] = []) { self.all = all }

    /// Adds a condition: packets must have all the terms of at least one alternative. An alternative
    /// without terms tells nothing apart.
    package mutating func require(oneOf alternatives: [[UInt64]]) {
        guard !alternatives.isEmpty, !alternatives.contains(where: \.isEmpty) else { return }
        if alternatives.count == 1 { all += alternatives[0] } else { groups.append(alternatives) }
    }

    /// Whether it says nothing, so that every packet is a candidate.
    package var isEmpty: Bool { all.isEmpty && groups.isEmpty }
}

/// A walk over the positions of a snapshot that have some terms.
package struct TermWalk {
    private var sources: [TermSource]
    private let query: TermQuery
    private let range: Range<UInt64>
    private let created: Range<Int64>?
    private let isDescending: Bool
    private let deadline: ContinuousClock.Instant?
    private let access: ReadAccess
    /// The walk of the source in hand, and the position of its first packet.
    private var current: SourceWalk?
    private var first: UInt64 = 0

    /// The position that was next when time ran out; nil if it did not.
    package private(set) var cut: Position?

    init(
        _ sources: [TermSource], _ query: TermQuery, _ range: Range<UInt64>,
        created: Range<Int64>?, isDescending: Bool, until deadline: ContinuousClock.Instant?,
        _ access: ReadAccess
    ) {
        // The next source is the last element.
        self.sources = isDescending ? sources : sources.reversed()
        (self.query, self.range, self.created) = (query, range, created)
        (self.isDescending, self.deadline, self.access) = (isDescending, deadline, access)
    }

    /// The next position; nil at the end, and when time has run out.
    package mutating func next() throws(IndexFailure) -> Position? {
        while true {
            if current == nil {
                guard begin() else { return nil }
            }
            if let ordinal = try current!.next() { return Position(first + UInt64(ordinal)) }
            if let ordinal = current!.cut {
                cut = Position(first + UInt64(ordinal))
                sources = []
            }
            current = nil
        }
    }

    /// Takes up the next source that may hold all terms; false if there is none.
    private mutating func begin() -> Bool {
        while let source = sources.popLast() {
            let (first, end) = (source.first.value, source.end.value)
            let part = range.clamped(to: first..<max(first, end))
            guard !part.isEmpty, source.mayHold(all: query.all) else { continue }
            let ordinals = UInt32(part.lowerBound - first)...UInt32(part.upperBound - 1 - first)
            self.first = first
            current = SourceWalk(
                source, query, ordinals, created, isDescending: isDescending, deadline, access)
            if current != nil { return true }
        }
        return false
    }
}

/// One source's lists side by side.
private struct SourceWalk {
    private var lists: [Postings]
    private var unions: [PostingsUnion] = []
    private let zones: CreationBounds?
    private let created: Range<Int64>?
    private let deadline: ContinuousClock.Instant?
    private let range: ClosedRange<UInt32>
    private let isDescending: Bool
    /// Where to go on; nil at the end.
    private var ordinal: UInt32?
    private var stepsToLook = 0
    /// The ordinal that was next when time ran out.
    private(set) var cut: UInt32?

    /// Steps without a candidate between checks of the clock.
    private static let stepsBetweenLooks = 64

    /// Nil if certainly no packet of the source matches.
    init?(
        _ source: TermSource, _ query: TermQuery, _ part: ClosedRange<UInt32>,
        _ created: Range<Int64>?, isDescending: Bool, _ deadline: ContinuousClock.Instant?,
        _ access: ReadAccess
    ) {
        lists = source.rarest(query.all, in: part, access)
        for group in query.groups {
            let held = group.filter(source.mayHold)
            guard !held.isEmpty else { return nil }
            unions.append(
                PostingsUnion(
                    held.map { source.rarest($0, in: part, access) }, isDescending: isDescending))
        }
        zones = created == nil ? nil : source.zones
        self.created = created
        self.deadline = deadline
        self.isDescending = isDescending
        range = part
        ordinal = isDescending ? part.upperBound : part.lowerBound
    }

    mutating func next() throws(IndexFailure) -> UInt32? {
        guard let ordinal else { return nil }
        self.ordinal = nil
        guard let candidate = try agreed(ordinal), range.contains(candidate) else { return nil }
        // The caller reads a packet, which takes longer than checking the clock.
        stepsToLook = 0
        if candidate != (isDescending ? range.lowerBound : range.upperBound) {
            self.ordinal = isDescending ? candidate - 1 : candidate + 1
        }
        return candidate
    }

    /// The first ordinal from `start` on, upwards or downwards, that is in all lists and in a zone
    /// that touches the span.
    private mutating func agreed(_ start: UInt32) throws(IndexFailure) -> UInt32? {
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
            for index in unions.indices {
                guard let found = try unions[index].next(from: candidate) else { return nil }
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
