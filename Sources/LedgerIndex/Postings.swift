internal import LedgerFormat
internal import LedgerStorage
internal import Platform

/// A part of the index that covers a range of positions without gaps.
enum TermSource: Sendable {
    case run(TermRun)
    case buffer(TermBuffer)

    var first: Position {
        switch self {
        case .run(let run): run.header.first
        case .buffer(let buffer): buffer.first
        }
    }

    var end: Position {
        switch self {
        case .run(let run): run.header.end
        case .buffer(let buffer): buffer.end
        }
    }

    var flags: RunFlags {
        switch self {
        case .run(let run): run.header.flags
        case .buffer(let buffer): buffer.flags
        }
    }

    var unindexed: Int {
        switch self {
        case .run(let run): Int(run.header.unindexed)
        case .buffer(let buffer): buffer.unindexed
        }
    }

    var zones: CreationBounds {
        switch self {
        case .run(let run): run.zones
        case .buffer(let buffer): buffer.zones
        }
    }

    /// False if certainly no packet has all the terms. Always true for a buffer.
    func mayHold(all terms: [UInt64]) -> Bool {
        guard case .run(let run) = self else { return true }
        for term in terms where !run.mayHold(term) { return false }
        return true
    }

    /// The lists of the rarest of some terms: more lists would cost more than reading the packets.
    func rarest(
        _ terms: [UInt64], in part: ClosedRange<UInt32>, _ access: ReadAccess
    ) -> [Postings] {
        guard terms.count != 1 else { return [postings(terms[0], in: part, access)] }
        return terms.map { term in
            let list = postings(term, in: part, access)
            return (list: list, cost: list.cost)
        }.sorted { $0.cost < $1.cost }.prefix(4).map(\.list)
    }

    /// The packets in `part` that have a term. For a run, all its packets that have it.
    func postings(
        _ term: UInt64, in part: ClosedRange<UInt32>, _ access: ReadAccess
    ) -> Postings {
        switch self {
        case .run(let run): Postings(term, in: run, access)
        case .buffer(let buffer): Postings(buffer.ordinals(of: term, in: part))
        }
    }
}

/// The packets of a source that have a term, by ordinal, walked from either end. Reads only what
/// a call needs.
struct Postings {
    private var place: Place
    private let access: ReadAccess
    /// The part of the list that is in memory: all of it, or what one block holds.
    private var ordinals: [UInt32] = []
    private var buffer: [UInt8] = []

    private enum Place {
        case memory
        case run(TermRun, term: UInt64, block: Int?)
    }

    init(_ ordinals: [UInt32]) {
        place = .memory
        access = .cachedOnly
        self.ordinals = ordinals
    }

    init(_ term: UInt64, in run: TermRun, _ access: ReadAccess) {
        place = .run(run, term: term, block: nil)
        self.access = access
    }

    /// The approximate length of the list, in packets.
    var cost: Int {
        switch place {
        case .memory: ordinals.count
        case .run(let run, let term, _): run.blocks(beginningWith: term) * 256 + 1
        }
    }

    /// The first from `ordinal` on; nil if there is none.
    mutating func next(atLeast ordinal: UInt32) throws(IndexFailure) -> UInt32? {
        if let found = nextInMemory(ordinal) { return found }
        guard case .run(let run, let term, _) = place else { return nil }
        let block = run.block(of: term, ordinal) ?? 0
        try load(run, term, block)
        if let found = nextInMemory(ordinal, isComplete: true) { return found }
        guard run.begins(block + 1, with: term) else { return nil }
        try load(run, term, block + 1)
        return ordinals.first
    }

    /// The last up to `ordinal`; nil if there is none.
    mutating func previous(atMost ordinal: UInt32) throws(IndexFailure) -> UInt32? {
        if case .run(let run, let term, _) = place {
            if let first = ordinals.first, let last = ordinals.last, first <= ordinal,
                ordinal <= last
            {
                return ordinals[upperBound(ordinal) - 1]
            }
            guard let block = run.block(of: term, ordinal) else { return nil }
            try load(run, term, block)
        }
        let count = upperBound(ordinal)
        return count == 0 ? nil : ordinals[count - 1]
    }

    /// Searches what is in memory: only if it covers the ordinal, unless `isComplete`.
    private func nextInMemory(_ ordinal: UInt32, isComplete: Bool = false) -> UInt32? {
        guard let first = ordinals.first, let last = ordinals.last, ordinal <= last else {
            return nil
        }
        if case .run = place, !isComplete, ordinal < first { return nil }
        if ordinal <= first { return first }
        return ordinals[upperBound(ordinal - 1)]
    }

    /// How many are at most `ordinal`.
    private func upperBound(_ ordinal: UInt32) -> Int {
        var (low, high) = (0, ordinals.count)
        while low < high {
            let middle = (low + high) / 2
            if ordinals[middle] <= ordinal { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private mutating func load(
        _ run: TermRun, _ term: UInt64, _ block: Int
    ) throws(IndexFailure) {
        if case .run(_, _, block) = place { return }
        try run.read(term, in: block, into: &ordinals, &buffer, access)
        place = .run(run, term: term, block: block)
    }
}
