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
    package let commitSeconds = Histogram(
        "commit_seconds", "Time that a batch spent in write and fdatasync.",
        [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10])
    package let requestSeconds = HistogramFamily(
        "request_seconds",
        "Time from a request's header to its answer, of answers made as a whole.",
        "route", [0.0005, 0.0025, 0.01, 0.05, 0.25, 1, 5])
    package let denied = CounterFamily(
        "denied_total", "Requests and packets that a role was missing for.", "role",
        ["append", "read", "audit", "admin"])
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
    package let readOnly = Gauge(
        "read_only", "1 if nothing is appended, although the daemon was started to.")
    package let checkpointAge = SecondsGauge(
        "checkpoint_age_seconds", "Time since the newest checkpoint was published.")
    package let indexLag = Gauge(
        "index_lag_entries", "Entries that the index does not have yet.")
    package let diskFreeBytes = Gauge(
        "disk_free_bytes", "Bytes that the ledger's file system has left for the daemon.")
    package let diskFullIn = SecondsGauge(
        "disk_full_in_seconds",
        "When the disk is full, if the ledger grows as in the last seven days.")
    package let verifyAge = SecondsGauge(
        "verify_age_seconds",
        "Time since the ledger's files were last verified, or since it began; 0 without records.")
    package let verifyFailed = Gauge(
        "verify_failed", "1 if the last verification of the ledger's files found something.")
    package let modelRetainedBytesLimit = Gauge(
        "model_retained_bytes_limit", "What model_retained_bytes should not exceed.")
    package let archiveUp = Gauge(
        "archive_up", "0 if the archive process should answer and does not.", 1)
    package let startTime = SecondsGauge(
        "start_time_seconds", "When the daemon began, in seconds since 1970.")
    package let forkAlarm = Gauge(
        "fork_alarm", "1 if a witness says that there is another history of the ledger.")
    package let modelLagBytes = Gauge(
        "model_lag_bytes", "Bytes of the source's log that the read model has not applied.")
    package let modelFollowing = Gauge(
        "model_following",
        "0 while the daemon should follow PostgreSQL and does not; otherwise 1.")
    package let modelLagSeconds = SecondsGauge(
        "model_lag_seconds",
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

    /// The Prometheus text of all metrics.
    package var text: String {
        var text = MetricsText()
        // Lists every metric declared above, so none can be forgotten.
        for case let metric as any Metric in Mirror(reflecting: self).children.map(\.value) {
            metric.write(to: &text)
        }
        return text.text
    }
}
