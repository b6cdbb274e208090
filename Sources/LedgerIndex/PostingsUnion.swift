internal import LedgerFormat

/// The packets of a source that have all the terms of at least one of several alternatives, walked in
/// one direction.
struct PostingsUnion {
    /// The lists of each alternative.
    private var alternatives: [[Postings]]
    /// Where each alternative is: its next packet, or `end`; before the first look, behind all packets.
    private var heads: [Int64]
    private let isDescending: Bool

    init(_ alternatives: [[Postings]], isDescending: Bool) {
        self.alternatives = alternatives
        self.isDescending = isDescending
        heads = Array(repeating: isDescending ? .max : .min, count: alternatives.count)
    }

    private var end: Int64 { isDescending ? .min : .max }

    /// The first ordinal from `ordinal` on, in the direction of the walk; nil at the end.
    mutating func next(from ordinal: UInt32) throws(IndexFailure) -> UInt32? {
        let wanted = Int64(ordinal)
        var best = end
        for index in alternatives.indices {
            let isBehind = isDescending ? heads[index] > wanted : heads[index] < wanted
            if isBehind {
                heads[index] = try agreed(&alternatives[index], ordinal).map(Int64.init) ?? end
            }
            best = isDescending ? max(best, heads[index]) : min(best, heads[index])
        }
        return best == end ? nil : UInt32(best)
    }

    /// The first ordinal from `start` on that is in all lists.
    private func agreed(
        _ lists: inout [Postings], _ start: UInt32
    ) throws(IndexFailure) -> UInt32? {
        var candidate = start
        while true {
            let before = candidate
            for index in lists.indices {
                let found =
                    isDescending
                    ? try lists[index].previous(atMost: candidate)
                    : try lists[index].next(atLeast: candidate)
                guard let found else { return nil }
                candidate = found
            }
            if candidate == before { return candidate }
        }
    }
}
