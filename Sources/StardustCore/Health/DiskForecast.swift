internal import Glibc
package import LedgerFormat
package import LedgerStorage

/// When the disk will be full, if the ledger goes on to grow as it did.
package struct DiskForecast: Hashable, Sendable {
    /// Bytes that the file system has left for this user.
    package var freeBytes: Int
    /// Nil as long as nobody can tell: the first import says nothing about the years to come.
    package var bytesPerDay: Double?

    /// How the last days are looked at, and the least time from which growth is told.
    private static let window: Int64 = 7 * 86_400_000_000
    private static let leastTime: Int64 = 86_400_000_000
    private static let day = 86_400_000_000.0

    package init(freeBytes: Int, bytesPerDay: Double?) {
        (self.freeBytes, self.bytesPerDay) = (freeBytes, bytesPerDay)
    }

    /// Nil if it does not grow, or not within a thousand years.
    package var fullIn: Duration? {
        guard let bytesPerDay, bytesPerDay > 0 else { return nil }
        let days = Double(freeBytes) / bytesPerDay
        return days < 365_000 ? .seconds(days * 86_400) : nil
    }

    /// Bytes left on the file system of a path; nil if nobody can tell.
    package static func freeBytes(of path: String) -> Int? {
        var status = statvfs()
        guard unsafe statvfs(path, &status) == 0 else { return nil }
        return Int(clamping: status.f_bavail).multipliedReportingOverflow(
            by: Int(clamping: status.f_frsize)
        ).partialValue
    }

    /// Bytes a day that the ledger's files have grown by in the last seven days, or since it began. Each byte of
    /// a segment stands for `overhead` more in other files. With `leaves`, payloads do not stay. Nil of a ledger that
    /// is younger than a day. Blocks on the disk.
    package static func growth(
        _ map: LedgerMap, overhead: Double, leaves: Bool, now: Timestamp
    ) throws(ReadFailure) -> Double? {
        guard let first = try map.entry(Position(0)),
            now.microseconds - first.receivedAt.microseconds >= leastTime
        else { return nil }
        let start = max(first.receivedAt.microseconds, now.microseconds - window)
        let time = now.microseconds - start
        let position = try map.firstPosition(receivedFrom: start)
        var bytes = 0.0
        for segment in map.extents where segment.end.value > position {
            let entries = Double(segment.end.value - segment.first.value)
            let new = Double(segment.end.value - max(position, segment.first.value))
            bytes +=
                leaves
                ? new * Double(RecordFrame.payloadOffset) : Double(segment.bytes) * new / entries
        }
        return bytes * (1 + overhead) / Double(time) * day
    }
}

extension LedgerMap {
    /// The first position whose entry was received at a time or later; the ledger's size if none was.
    fileprivate func firstPosition(receivedFrom start: Int64) throws(ReadFailure) -> UInt64 {
        var (low, high) = (UInt64(0), head.size.entries)
        while low < high {
            let middle = low + (high - low) / 2
            guard let entry = try entry(Position(middle)) else { return high }
            if entry.receivedAt.microseconds < start { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
