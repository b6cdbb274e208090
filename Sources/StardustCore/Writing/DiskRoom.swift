internal import Logging
internal import Platform
internal import Synchronization

/// Whether the disk has room for more packets: for the sequencer, status and readiness.
package final class DiskRoom: Sendable {
    private let lack = Mutex<String?>(nil)
    private let metrics: Metrics
    private let logger: Logger

    init(_ metrics: Metrics, _ logger: Logger) { (self.metrics, self.logger) = (metrics, logger) }

    /// What could not be written for want of room; nil if there is room as far as anybody knows.
    package var warning: String? { lack.withLock { $0 } }

    /// Notes that something could not be written.
    func isLacking(_ reason: String) {
        let isNew = lack.withLock { lack in
            defer { lack = "no room for another packet: \(reason)" }
            return lack == nil
        }
        guard isNew else { return }
        metrics.noSpace.set(1)
        logger.log(.noSpace, "no room for another packet: \(reason)")
    }

    /// Notes that a batch was written.
    func isThere() {
        guard
            lack.withLock({ lack in
                defer { lack = nil }
                return lack != nil
            })
        else { return }
        metrics.noSpace.set(0)
        logger.log(.spaceAgain, "there is room for packets again")
    }
}
