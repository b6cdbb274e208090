internal import LedgerFormat
internal import Platform
internal import Publishing
internal import ReadModel
internal import StardustCore

/// All metrics, in Prometheus's text format.
enum MetricsPage {
    static func text(_ ledger: RunningLedger) -> String {
        let metrics = ledger.metrics
        let lag = ledger.model?.lag()
        metrics.modelLagBytes.set(lag?.bytes ?? 0)
        metrics.modelLagSeconds.set(.milliseconds(lag?.milliseconds ?? 0))
        metrics.modelRetainedBytesLimit.set(ledger.inForce.values.retainedBytesLimit ?? 0)
        metrics.modelRetainedBytes.set(lag?.retainedBytes ?? 0)
        metrics.modelLogBytes.set(ledger.model?.folder.logBytes ?? 0)
        metrics.modelFollowing.set(ledger.model?.service?.isFollowing == false ? 0 : 1)
        metrics.bytesInFlight.set(ledger.bytesInFlight)
        metrics.residentBytes.set(ProcessMemory.residentBytes)
        metrics.connections.set(ledger.budgets.used(.connections))
        addHealth(ledger)
        return metrics.text + special(ledger) + ledger.budgets.metrics
            + (ledger.health.sample.archive?.text ?? "")
    }

    private static func addHealth(_ ledger: RunningLedger) {
        let (metrics, sample) = (ledger.metrics, ledger.health.sample)
        let now = Timestamp.systemNow().microseconds
        metrics.readOnly.set(ledger.isUnexpectedlyReadOnly ? 1 : 0)
        metrics.indexLag.set(max(0, metrics.ledgerSize.value - metrics.indexedSize.value))
        // What was never published waits since the ledger began.
        let entries = metrics.ledgerSize.value
        let published =
            ledger.publisher?.publishedAt
            ?? (entries > 0 && ledger.publisher != nil ? ledger.identity.createdAt : nil)
        metrics.checkpointAge.set(published.map { .microseconds(now - $0.microseconds) } ?? .zero)
        metrics.archiveUp.set(sample.archive == nil ? 0 : 1)
        metrics.startTime.set(
            .microseconds(ledger.startedAt.microseconds))
        metrics.forkAlarm.set(ledger.publisher?.isForked == true ? 1 : 0)
        metrics.diskFreeBytes.set(sample.disk?.freeBytes ?? 0)
        metrics.diskFullIn.set(sample.disk?.fullIn)
        // Nobody has verified a new ledger; without records nobody can tell.
        let verified = sample.verify?.time ?? ledger.identity.createdAt
        let hasRecords = ledger.inForce.values.recordsFolder != nil
        metrics.verifyAge.set(
            hasRecords ? .microseconds(now - verified.microseconds) : .zero)
        metrics.verifyFailed.set(sample.verify?.isPassed == false ? 1 : 0)
    }

    /// Metrics with labels that only this process knows.
    private static func special(_ ledger: RunningLedger) -> String {
        var text = MetricsText()
        text.begin(
            "ready",
            "0 if this keeps the daemon from being ready; /readyz has the reason in words.",
            "gauge")
        let kinds = Set(ledger.obstacles.map(\.kind))
        for kind in RunningLedger.Obstacle.allCases {
            text.add("ready", [("reason", kind.rawValue)], kinds.contains(kind) ? "0" : "1")
        }
        text.begin("build_info", "The program, and the format of segments that it writes.", "gauge")
        text.add(
            "build_info",
            [
                ("version", ledger.inForce.values.version),
                ("format", "\(SegmentHeader.formatVersion)"),
            ], "1")
        return text.text
    }
}
