internal import LedgerStorage
package import Platform
internal import Synchronization

/// Looks up, now and then, what would keep others waiting: how much room the disk has, and when what runs now and then
/// last ended.
package final class HealthWatch: Sendable {
    package struct Sample: Sendable {
        package var disk: DiskForecast?
        /// When somebody last verified the files, and made a backup, as far as records say.
        package var verify: RunRecord?
        package var backup: RunRecord?
        /// The archive process's metrics; empty if there are none.
        package var archiveMetrics = ""

        package init() {}
    }

    private let monitor = Monitor((sample: Sample(), isStopping: false))
    private static let interval: Duration = .seconds(10)
    private static let overheadMax = 10.0

    package var sample: Sample { monitor.withLock { $0.sample } }

    /// `root` is the ledger's folder; nil if it is on no file system.
    func start(_ ledger: RunningLedger, root: String?) {
        startThread("health") {
            ledger.awaitOpening()
            while !self.monitor.withLock({ $0.isStopping }) {
                let sample = Self.look(ledger, root: root)
                self.monitor.change { $0.sample = sample }
                self.monitor.wait(atMost: .now + Self.interval) { $0.isStopping }
            }
        }
    }

    func stop() { monitor.change { $0.isStopping = true } }

    /// Only what is the archive's: whoever serves its socket tells nothing of anything else.
    private static func archiveMetrics(_ ledger: RunningLedger) -> String {
        let lines = ledger.archiveMetrics()?.split(separator: "\n") ?? []
        return lines.filter { line in
            ["", "# HELP ", "# TYPE "].contains { start in
                ["archive_lag_", "archive_pending_", "drill_age_"].contains {
                    line.hasPrefix(start + "stardust_" + $0)
                }
            }
        }.map { $0 + "\n" }.joined()
    }

    private static func look(_ ledger: RunningLedger, root: String?) -> Sample {
        var sample = Sample()
        let segments = ledger.map?.extents.reduce(0) { $0 + ($1.isArchived ? 0 : $1.bytes) } ?? 0
        let derived = ledger.follower?.fileBytes ?? 0
        if let folder = ledger.inForce.values.recordsFolder {
            sample.verify = RunRecord(.verify, of: folder + "/verify")
            sample.backup = RunRecord(.backup, of: folder + "/backup")
        }
        sample.archiveMetrics = archiveMetrics(ledger)
        guard let root, let free = DiskForecast.freeBytes(of: root) else { return sample }
        sample.disk = DiskForecast(freeBytes: free, bytesPerDay: 0)
        guard let map = ledger.map else { return sample }
        let overhead = min(Double(derived) / Double(max(segments, 1)), overheadMax)
        let growth = try? DiskForecast.growth(
            map, overhead: overhead, leaves: ledger.leaver != nil, now: .systemNow())
        sample.disk?.bytesPerDay = growth ?? 0
        return sample
    }
}
