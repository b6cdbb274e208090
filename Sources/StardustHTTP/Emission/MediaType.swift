/// The media types accepted for emitting.
enum MediaType {
    case json, ndjson
    case other(String)

    init(_ header: String?) {
        // As nearly every client sends it.
        if header == "application/json" {
            self = .json
            return
        }
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
    /// Type and subtype, in lower case (RFC 9110 section 8.3.1).
    private static func essence(_ header: String?) -> String {
        var bytes = (header ?? "").utf8.prefix { $0 != UInt8(ascii: ";") }
        // What surrounds the whole value is gone already.
        while bytes.last == UInt8(ascii: " ") || bytes.last == UInt8(ascii: "\t") {
            bytes.removeLast()
        }
        return Substring(bytes).lowercased()
    }

    /// Refuses a body that is not NDJSON.
    static func requireNDJSON(of connection: ConnectionHandler) throws(Problem) {
        if case .ndjson = MediaType(connection.fields.contentType) { return }
        throw unsupported(connection, "application/x-ndjson")
    }

    /// Refuses a body that is not JSON.
    static func requireJSON(of connection: ConnectionHandler) throws(Problem) {
        if case .json = MediaType(connection.fields.contentType) { return }
        throw unsupported(connection, "application/json")
    }

    private static func unsupported(_ connection: ConnectionHandler, _ wanted: String) -> Problem {
        let essence = essence(connection.fields.contentType)
        return Problem(
            .unsupportedMediaType,
            "\(essence.isEmpty ? "a body without a type" : essence) is not accepted; send \(wanted)"
        )
    }
}
