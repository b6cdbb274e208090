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

    /// Walks the positions in `range` that have all `terms`: in order, or newest first if
    /// `isDescending`. Without terms it walks every position. If a span `created` is given, it skips
    /// positions that certainly lie outside; those it returns may still lie outside. Costs as much
    /// as the rarest term.
    package func walk(
        _ terms: [UInt64], in range: Range<UInt64>, isDescending: Bool = false
    ) -> TermWalk {
        walk(TermQuery(terms), in: range, isDescending: isDescending)
    }

    /// The same for a query with alternatives.
    package func walk(
        _ query: TermQuery, in range: Range<UInt64>, created: Range<Int64>? = nil,
        isDescending: Bool = false, until deadline: ContinuousClock.Instant? = nil
    ) -> TermWalk {
        TermWalk(
            sources, query, range.clamped(to: 0..<size.entries), created: created,
            isDescending: isDescending, until: deadline, access)
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
        var walk = walk([term], in: range)
        return try walk.next()
    }
}
