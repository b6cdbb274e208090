/// The media types that emitting takes.
enum MediaType {
    case json, ndjson
    case other(String)

    init(_ header: String?) {
        let essence = (header ?? "").prefix { $0 != ";" }.lowercased()
            .trimmingSpaces
        switch essence {
        // `curl -d` sends a form's type for whatever it is given.
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
