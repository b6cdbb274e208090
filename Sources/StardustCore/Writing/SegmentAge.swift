internal import LedgerFormat
internal import LedgerStorage

/// When the newest segment is to be sealed although it has room: with an archive, a segment that has
/// entries is sealed after a day, so that none is kept in parts for long.
struct SegmentAge {
    /// Nil if segments are only sealed when they are full.
    private let limit: Duration?
    /// When the segment got its first entry; nil if it has none.
    private var began: ContinuousClock.Instant?

    /// `firstReceivedAt` is the time of the newest segment's first entry, if it has one.
    init(limit: Duration?, firstReceivedAt: Timestamp?, now: Timestamp) {
        self.limit = limit
        began = firstReceivedAt.map { first in
            .now - .microseconds(max(0, now.microseconds - first.microseconds))
        }
    }

    var deadline: ContinuousClock.Instant? {
        guard let limit, let began else { return nil }
        return began + limit
    }

    mutating func hasEntries() { began = began ?? .now }
    mutating func isSealed() { began = nil }

    /// It could not be sealed now: later.
    mutating func isTried() {
        if let limit { began = .now - limit + LedgerLimits.sealingPause }
    }
}
