internal import Synchronization

/// Every metric, declared once. Updating one takes a single line; `text` renders them all.
package final class Metrics: Sendable {
    package let packetsAppended = Counter("packets_appended_total", "Packets made durable.")
    package let packetsReplayed = Counter("packets_replayed_total", "Packets that already existed.")
    package let packetsConflicting = Counter(
        "packets_conflicting_total", "Packets whose stardust_id exists with other content.")
    package let packetsRefused = Counter(
        "packets_refused_total", "Packets that were not valid JSON or not valid packets.")
    package let packetsTurnedAway = Counter(
        "packets_turned_away_total", "Packets refused for lack of room or readiness.")
    package let payloadBytes = Counter("payload_bytes_total", "Payload bytes made durable.")
    package let batches = Counter("batches_total", "Batches written, each with one fdatasync.")
    package let commitMicroseconds = Counter(
        "commit_microseconds_total", "Time spent in write and fdatasync.")
    package let segmentsRolled = Counter("segments_rolled_total", "Segments sealed.")
    package let segmentsLeft = Counter(
        "segments_left_total", "Segments that left the disk for the archive.")
    package let segmentsRecalled = Counter(
        "segments_recalled_total", "Segments that came back from the archive.")
    package let archivedSegments = Gauge(
        "archived_segments", "Segments whose payloads are in the archive only.")
    package let archiveFetches = Counter(
        "archive_fetches_total", "Pieces of segments asked from the archive process.")
    package let archiveCacheHits = Counter(
        "archive_cache_hits_total", "Pieces of archived segments found in the cache.")
    package let clockHeldBack = Counter(
        "clock_held_back_total", "Entries that repeat the last time of receipt.")
    package let tornTailsCut = Counter("torn_tails_cut_total", "Unfinished writes cut at opening.")
    package let checkpointsSigned = Counter("checkpoints_signed_total", "Checkpoints signed.")
    package let cosignatures = Counter(
        "cosignatures_total", "Cosignatures received from witnesses.")
    package let connectionsOpened = Counter("connections_opened_total", "Connections accepted.")
    package let connectionsCut = Counter(
        "connections_cut_total", "Connections closed for being slow, idle or too many.")
    package let requests = Counter("requests_total", "Requests answered.")
    package let connections = Gauge("connections", "Connections open.")
    package let noSpace = Gauge("no_space", "1 if the disk has no room for another packet.")
    package let damageFound = Gauge(
        "damage_found", "1 if an entry was read that differs from what was written.")
    package let bytesInFlight = Gauge("bytes_in_flight", "Received bytes not yet answered.")
    package let ledgerSize = Gauge("ledger_size", "Entries in the ledger.")
    package let indexedSize = Gauge("indexed_size", "Entries in the index.")
    package let publishedSize = Gauge("published_size", "Entries the published checkpoint covers.")
    package let publishingStopped = Gauge(
        "publishing_stopped", "1 if publishing has stopped and an operator must intervene.")
    package let ready = Gauge(
        "ready", "1 if all is well; 0 if /readyz has a reason why not, such as stalled publishing.")
    package let modelLagBytes = Gauge(
        "model_lag_bytes", "Bytes of the source's log that the read model has not applied.")
    package let modelFollowing = Gauge(
        "model_following",
        "0 while the daemon should follow PostgreSQL and does not; otherwise 1.")
    package let modelLagMilliseconds = Gauge(
        "model_lag_milliseconds",
        "How long the read model has been known to be behind the source.")
    package let modelRetainedBytes = Gauge(
        "model_retained_bytes", "Bytes of write-ahead log that the slot retains at the source.")
    package let modelLogBytes = Gauge(
        "model_wal_bytes", "Bytes of model.sqlite's own write-ahead log.")
    package let modelChanges = Counter(
        "model_changes_total", "Row changes applied to the read model since the start.")
    package let configReloads = Counter(
        "config_reloads_total", "How often settings were read again, taken or not.")
    package let configReloadOK = Gauge(
        "config_reload_ok", "0 if the settings that were read last were not taken.", 1)
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
        private let level: Atomic<Int>

        fileprivate init(_ name: String, _ help: String, _ level: Int = 0) {
            (self.name, self.help) = (name, help)
            self.level = Atomic(level)
        }

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
        // Lists every metric declared above, so none can be forgotten.
        let all = Mirror(reflecting: self).children.map(\.value)
        for case let counter as Counter in all {
            add(counter.name, counter.help, "counter", counter.value)
        }
        for case let gauge as Gauge in all { add(gauge.name, gauge.help, "gauge", gauge.value) }
        return lines.joined(separator: "\n") + "\n"
    }
}
