internal import Synchronization

/// Every metric, declared once. One line where it happens; `text` for whoever asks.
package final class Metrics: Sendable {
    package let packetsAppended = Counter("packets_appended_total", "Packets made durable.")
    package let packetsReplayed = Counter("packets_replayed_total", "Packets that stood already.")
    package let packetsConflicting = Counter(
        "packets_conflicting_total", "Packets whose stardust_id stands with other content.")
    package let packetsRefused = Counter(
        "packets_refused_total", "Packets that were not JSON, or not packets.")
    package let packetsTurnedAway = Counter(
        "packets_turned_away_total", "Packets refused for want of room or readiness.")
    package let payloadBytes = Counter("payload_bytes_total", "Payload bytes made durable.")
    package let batches = Counter("batches_total", "Batches written, one fdatasync each.")
    package let commitMicroseconds = Counter(
        "commit_microseconds_total", "Time spent in write and fdatasync.")
    package let segmentsRolled = Counter("segments_rolled_total", "Segments sealed.")
    package let clockHeldBack = Counter(
        "clock_held_back_total", "Entries whose time of receipt is the last one's.")
    package let tornTailsCut = Counter("torn_tails_cut_total", "Unfinished writes cut at opening.")
    package let checkpointsSigned = Counter("checkpoints_signed_total", "Checkpoints signed.")
    package let cosignatures = Counter("cosignatures_total", "Cosignatures of witnesses kept.")
    package let connectionsOpened = Counter("connections_opened_total", "Connections accepted.")
    package let connectionsCut = Counter(
        "connections_cut_total", "Connections closed for being slow, idle or too many.")
    package let requests = Counter("requests_total", "Requests answered.")
    package let connections = Gauge("connections", "Connections open.")
    package let bytesInFlight = Gauge("bytes_in_flight", "Received bytes not yet answered for.")
    package let ledgerSize = Gauge("ledger_size", "Entries in the ledger.")
    package let indexedSize = Gauge("indexed_size", "Entries that the index reflects.")
    package let publishedSize = Gauge("published_size", "Entries under the published checkpoint.")
    package let publishingStopped = Gauge(
        "publishing_stopped", "1 where nothing is published any more, so that somebody must look.")
    package let modelLagBytes = Gauge(
        "model_lag_bytes", "Bytes of the source's log that the read model has not applied.")
    package let modelLagMilliseconds = Gauge(
        "model_lag_milliseconds",
        "How long the source has been known to be ahead of the read model.")
    package let modelRetainedBytes = Gauge(
        "model_retained_bytes", "Write-ahead log that the slot holds back at the source.")
    package let modelChanges = Counter(
        "model_changes_total", "Row changes that this process applied to the read model.")
    package let residentBytes = Gauge("process_resident_bytes", "Resident memory of the daemon.")

    package init() {}

    package final class Counter: Sendable {
        fileprivate let name: String
        fileprivate let help: String
        private let count = Atomic<Int>(0)

        fileprivate init(_ name: String, _ help: String) { (self.name, self.help) = (name, help) }

        package func add(_ amount: Int = 1) { count.add(amount, ordering: .relaxed) }
        package var value: Int { count.load(ordering: .relaxed) }
    }

    package final class Gauge: Sendable {
        fileprivate let name: String
        fileprivate let help: String
        private let level = Atomic<Int>(0)

        fileprivate init(_ name: String, _ help: String) { (self.name, self.help) = (name, help) }

        package func set(_ value: Int) { level.store(value, ordering: .relaxed) }
        package func add(_ amount: Int) { level.add(amount, ordering: .relaxed) }
        package var value: Int { level.load(ordering: .relaxed) }
    }

    /// The Prometheus text exposition format, version 0.0.4.
    package var text: String {
        var lines: [String] = []
        func add(_ name: String, _ help: String, _ type: String, _ value: Int) {
            lines.append("# HELP stardust_\(name) \(help)")
            lines.append("# TYPE stardust_\(name) \(type)")
            lines.append("stardust_\(name) \(value)")
        }
        // Whatever is declared above is listed: nothing can be forgotten.
        let all = Mirror(reflecting: self).children.map(\.value)
        for case let counter as Counter in all {
            add(counter.name, counter.help, "counter", counter.value)
        }
        for case let gauge as Gauge in all { add(gauge.name, gauge.help, "gauge", gauge.value) }
        return lines.joined(separator: "\n") + "\n"
    }
}
