internal import LedgerFormat
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
        /// What the archive process says; nil if it should and does not.
        package var archive: ArchiveMetrics? = ArchiveMetrics("")

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

    private static func look(_ ledger: RunningLedger, root: String?) -> Sample {
        var sample = Sample()
        let segments = ledger.map?.extents.reduce(0) { $0 + ($1.isArchived ? 0 : $1.bytes) } ?? 0
        let derived = ledger.follower?.fileBytes ?? 0
        if let folder = ledger.inForce.values.recordsFolder {
            let own = ledger.identity.ledgerID
            sample.verify = RunRecord(.verify, of: folder + "/verify", ledger: own)
            sample.backup = RunRecord(.backup, of: folder + "/backup", ledger: own)
        }
        if ledger.hasArchive { sample.archive = ledger.archiveMetrics().map(ArchiveMetrics.init) }
        guard let root, let free = DiskForecast.freeBytes(of: root) else { return sample }
        sample.disk = DiskForecast(freeBytes: free, bytesPerDay: nil)
        guard let map = ledger.map else { return sample }
        let overhead = min(Double(derived) / Double(max(segments, 1)), overheadMax)
        let growth = try? DiskForecast.growth(
            map, overhead: overhead, leaves: ledger.leaver != nil, now: .systemNow())
        sample.disk?.bytesPerDay = growth ?? nil
        return sample
    }
}
