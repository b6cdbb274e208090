/// How often something may happen: a number of times at once, and then so many a second. No clock
/// of its own.
package struct Pace: Sendable {
    private let burst: Double
    private let perSecond: Double
    private var left: Double
    private var last: ContinuousClock.Instant?

    package init(burst: Int, perSecond: Int) {
        (self.burst, self.perSecond, left) = (Double(burst), Double(perSecond), Double(burst))
    }

    /// Takes one turn; false if it is too soon.
    package mutating func take(now: ContinuousClock.Instant) -> Bool {
        if let last { left = min(burst, left + (now - last) / .seconds(1) * perSecond) }
        last = now
        guard left >= 1 else { return false }
        left -= 1
        return true
    }
}
