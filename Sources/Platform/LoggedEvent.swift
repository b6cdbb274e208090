package import Logging

/// What a line of the log tells. The names stay, so that programs can look for them; Docs/Operating.md has each with
/// what to do.
package enum LoggedEvent: String, CaseIterable, Sendable {
    case listening
    case stopped
    case archiving
    case answered
    case read
    case tornTailCut = "torn_tail_cut"
    case repaired
    case damageFound = "damage_found"
    case readOnly = "read_only"
    case syncFailed = "sync_failed"
    case socketLost = "socket_lost"
    case ledgerReadable = "ledger_readable"
    case noSpace = "no_space"
    case spaceAgain = "space_again"
    case segmentShared = "segment_shared"
    case rollFailed = "roll_failed"
    case sealingFailed = "sealing_failed"
    case clockAhead = "clock_ahead"
    case clockSetBack = "clock_set_back"
    case settingsReloaded = "settings_reloaded"
    case settingsRefused = "settings_refused"
    case restartNeeded = "restart_needed"
    case accessDenied = "access_denied"
    case packetsRefused = "packets_refused"
    case connectionsRefused = "connections_refused"
    case acceptFailed = "accept_failed"
    case acceptResumed = "accept_resumed"
    case publishingStopped = "publishing_stopped"
    case publishingStalled = "publishing_stalled"
    case treeRebuilding = "tree_rebuilding"
    case witnessFailed = "witness_failed"
    case indexFailed = "index_failed"
    case indexRebuilding = "index_rebuilding"
    case archiveStoreFailed = "archive_store_failed"
    case archivingFailed = "archiving_failed"
    case archivingStopped = "archiving_stopped"
    case archiveFinding = "archive_finding"
    case superseded
    case segmentArchived = "segment_archived"
    case segmentLeft = "segment_left"
    case segmentRecalled = "segment_recalled"
    case segmentStays = "segment_stays"
    case archiveBehind = "archive_behind"
    case archiveCaughtUp = "archive_caught_up"
    case archiveCacheFailed = "archive_cache_failed"
    case archiveSpoolFailed = "archive_spool_failed"
    case modelFollowing = "model_following"
    case modelCopying = "model_copying"
    case modelStopped = "model_stopped"
    case replicationInterrupted = "replication_interrupted"
    case slotCreating = "slot_creating"
    case slotWaits = "slot_waits"
    case slotHoldsLog = "slot_holds_log"
    case slotLeft = "slot_left"
    case tableSkipped = "table_skipped"
    case columnAdded = "column_added"
    case postgresNotice = "postgres_notice"
    case linesLost = "lines_lost"
    case accessLogLost = "access_log_lost"

    /// How much it matters.
    package var level: Logger.Level {
        switch self {
        case .answered, .read, .packetsRefused, .segmentArchived: .info
        case .listening, .stopped, .archiving, .repaired, .spaceAgain, .segmentShared,
            .settingsReloaded, .acceptResumed, .indexRebuilding, .segmentLeft, .segmentRecalled,
            .archiveCaughtUp, .modelFollowing, .modelCopying, .slotCreating, .columnAdded,
            .postgresNotice:
            .notice
        case .linesLost, .accessLogLost, .tornTailCut, .ledgerReadable, .sealingFailed,
            .clockSetBack, .restartNeeded, .accessDenied, .connectionsRefused, .publishingStalled,
            .treeRebuilding, .witnessFailed, .indexFailed, .archiveStoreFailed, .segmentStays,
            .archiveCacheFailed, .archiveSpoolFailed, .replicationInterrupted, .slotWaits,
            .slotHoldsLog, .slotLeft, .tableSkipped:
            .warning
        case .damageFound, .noSpace, .rollFailed, .settingsRefused, .acceptFailed, .archivingFailed,
            .modelStopped:
            .error
        case .readOnly, .syncFailed, .socketLost, .clockAhead, .publishingStopped,
            .archivingStopped, .archiveFinding, .superseded, .archiveBehind:
            .critical
        }
    }
}

extension Logger {
    package func log(
        _ event: LoggedEvent, _ message: @autoclosure () -> Logger.Message,
        metadata: Logger.Metadata = [:]
    ) {
        guard event.level >= logLevel else { return }
        log(
            level: event.level, message(),
            metadata: metadata.merging(["event": "\(event.rawValue)"], uniquingKeysWith: { $1 }))
    }
}
