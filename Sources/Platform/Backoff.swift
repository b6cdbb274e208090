/// How long to wait before the next try: twice as long after each failure, up to a bound. No clock
/// of its own.
package struct Backoff: Sendable {
    private let first: Duration
    private let longest: Duration
    private var next: Duration

    package init(from first: Duration, to longest: Duration) {
        (self.first, self.longest, next) = (first, longest, first)
    }

    /// The pause after one more failure.
    package mutating func pause() -> Duration {
        defer { next = min(next * 2, longest) }
        return next
    }

    /// It worked: the next failure is a first one again.
    package mutating func reset() { next = first }
}
