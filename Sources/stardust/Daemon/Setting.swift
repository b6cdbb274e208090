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
        case .forbidden, .access: "[]"
        case .keys: String.credentials.map { "\"\($0)\"" } ?? "null"
        case .socketGroup, .witnessPolicy, .model, .archive, .cleanup, .machine: "null"
        }
    }

    /// The variable that the standard comes from; nil if it is the program's own.
    var variable: String? {
        switch self {
        case .socket:
            ["STARDUST_SOCKET", "XDG_RUNTIME_DIR"].first { String.environment($0) != nil }
        case .keys: String.credentials == nil ? nil : "CREDENTIALS_DIRECTORY"
        default: nil
        }
    }
}
