internal import Glibc
package import LedgerFormat

extension Timestamp {
    /// The system's clock.
    @Sendable package static func systemNow() -> Timestamp {
        var time = timespec()
        // Safety: the clock writes to our own variable.
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(microseconds: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000)
    }
}

package enum SystemClock {
    /// CLOCK_MONOTONIC, which other processes of this machine see, too.
    package static var monotonicMicroseconds: Int64 {
        var time = timespec()
        // Safety: the clock writes to our own variable.
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
    }
}
