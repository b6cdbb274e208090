internal import Platform
internal import ReadModel
internal import StardustCore

/// All metrics, in Prometheus's text format.
enum MetricsPage {
    static func text(_ ledger: RunningLedger) -> String {
        let metrics = ledger.metrics
        let lag = ledger.model?.lag()
        metrics.modelLagBytes.set(lag?.bytes ?? 0)
        metrics.modelLagMilliseconds.set(lag?.milliseconds ?? 0)
        metrics.modelRetainedBytes.set(lag?.retainedBytes ?? 0)
        metrics.modelLogBytes.set(ledger.model?.folder.logBytes ?? 0)
        metrics.modelFollowing.set(ledger.model?.service?.isFollowing == false ? 0 : 1)
        metrics.ready.set(ledger.unreadiness.isEmpty ? 1 : 0)
        metrics.bytesInFlight.set(ledger.bytesInFlight)
        metrics.residentBytes.set(ProcessMemory.residentBytes)
        metrics.connections.set(ledger.budgets.used(.connections))
        return metrics.text + ledger.budgets.metrics
    }
}
