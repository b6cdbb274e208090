/// How close a thread that others wait for is to its end. It only moves forward.
package enum ThreadLife: Int, Comparable, Sendable {
    case running
    /// New waiters are refused.
    case refusesWaiters
    case stopping
    case stopped

    package static func < (left: ThreadLife, right: ThreadLife) -> Bool {
        left.rawValue < right.rawValue
    }

    package mutating func go(to life: ThreadLife) { self = max(self, life) }
}
