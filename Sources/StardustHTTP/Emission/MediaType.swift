/// The media types accepted for emitting.
enum MediaType {
    case json, ndjson
    case other(String)

    init(_ header: String?) {
        let essence = (header ?? "").prefix { $0 != ";" }.lowercased()
            .trimmingSpaces
        switch essence {
        // `curl -d` sends the form type whatever the data is.
        case "", "application/json", "application/x-www-form-urlencoded": self = .json
        case "application/x-ndjson": self = .ndjson
        default: self = .other(essence)
        }
    }
}

extension String {
    fileprivate var trimmingSpaces: String {
        String(drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }
}
