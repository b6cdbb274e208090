/// The media types accepted for emitting.
enum MediaType {
    case json, ndjson
    case other(String)

    init(_ header: String?) {
        let essence = Self.essence(header)
        switch essence {
        // `curl -d` sends the form type whatever the data is.
        case "", "application/json", "application/x-www-form-urlencoded": self = .json
        case "application/x-ndjson": self = .ndjson
        default: self = .other(essence)
        }
    }
}

extension MediaType {
    private static func essence(_ header: String?) -> String {
        (header ?? "").prefix { $0 != ";" }.lowercased().trimmingSpaces
    }

    /// Refuses a body that is not NDJSON.
    static func requireNDJSON(of connection: ConnectionHandler) throws(Problem) {
        if case .ndjson = MediaType(connection.header("content-type")) { return }
        throw unsupported(connection, "application/x-ndjson")
    }

    /// Refuses a body that is not JSON.
    static func requireJSON(of connection: ConnectionHandler) throws(Problem) {
        if case .json = MediaType(connection.header("content-type")) { return }
        throw unsupported(connection, "application/json")
    }

    private static func unsupported(_ connection: ConnectionHandler, _ wanted: String) -> Problem {
        let essence = essence(connection.header("content-type"))
        return Problem(
            .unsupportedMediaType,
            "\(essence.isEmpty ? "a body without a type" : essence) is not accepted; send \(wanted)"
        )
    }
}

extension String {
    fileprivate var trimmingSpaces: String {
        String(drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }
}
