/// Every setting by its name, and what holds where no file has it.
enum Setting: String, CaseIterable {
    case socket
    case socketGroup = "socket_group"
    case segmentBytes = "segment_bytes"
    case packetBytesMax = "packet_bytes_max"
    case inFlightBytesMax = "in_flight_bytes_max"
    case queryTimeMax = "query_ms_max"
    case clockStepMax = "clock_step_days_max"
    case witnessPolicy = "witness_policy"
    case keys
    case model
    case archive
    case cleanup
    case forbidden
    case machine
    case logLevel = "log_level"
    case accessLog = "access_log"
    case records
    case keyEscrow = "key_escrow"
    case access

    /// JSON, or null for nothing.
    var standard: String {
        switch self {
        case .socket: "\"\(String.defaultSocketPath)\""
        case .segmentBytes: "67108864"
        case .packetBytesMax: "1048576"
        case .inFlightBytesMax: "67108864"
        case .queryTimeMax: "5000"
        case .clockStepMax: "366"
        case .logLevel: "\"info\""
        case .forbidden, .access: "[]"
        case .keys: String.credentials.map { "\"\($0)\"" } ?? "null"
        case .socketGroup, .accessLog, .records, .keyEscrow, .witnessPolicy, .model, .archive,
            .cleanup,
            .machine:
            "null"
        }
    }

    /// Whether a running daemon takes a new value when it reads its files again. Those of `cleanup` are of other
    /// commands, which always read them.
    var isReloadable: Bool {
        switch self {
        case .segmentBytes, .packetBytesMax, .inFlightBytesMax, .queryTimeMax, .witnessPolicy,
            .forbidden, .logLevel, .accessLog, .records, .keyEscrow, .access, .cleanup:
            true
        case .socket, .socketGroup, .clockStepMax, .keys, .model, .archive, .machine: false
        }
    }

    /// Whether it is a number, which may have a unit.
    var isNumber: Bool {
        switch self {
        case .segmentBytes, .packetBytesMax, .inFlightBytesMax, .queryTimeMax, .clockStepMax: true
        default: false
        }
    }

    /// Whether versions before 0.10 refuse it.
    var isNewIn010: Bool {
        switch self {
        case .socketGroup, .clockStepMax, .archive, .cleanup, .forbidden, .machine, .logLevel,
            .accessLog, .records, .keyEscrow:
            true
        case .socket, .segmentBytes, .packetBytesMax, .inFlightBytesMax, .queryTimeMax,
            .witnessPolicy, .keys, .model, .access:
            false
        }
    }

    /// Members of `archive` that are reloadable.
    static let reloadableOfArchive: Set = ["retain_local", "cache", "stop_after_lag_s"]

    /// The variable that goes before files; nil if it is unset, or there is none.
    var variable: String? {
        switch self {
        case .socket: String.environment("STARDUST_SOCKET") == nil ? nil : "STARDUST_SOCKET"
        case .keys: String.credentials == nil ? nil : "CREDENTIALS_DIRECTORY"
        default: nil
        }
    }
}
