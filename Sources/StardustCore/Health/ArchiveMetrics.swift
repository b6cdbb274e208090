internal import Platform

/// What the archive process says of itself, read strictly: whoever serves its socket can neither say anything else in the
/// daemon's metrics nor break them.
package struct ArchiveMetrics: Sendable {
    private var values: [(name: String, store: String?, value: String)] = []

    private static let helps = [
        "archive_lag_seconds": "Age of the oldest durable byte that the store lacks.",
        "archive_pending_bytes": "Durable bytes that the store lacks.",
        "drill_age_seconds": "Time since a restore was last tried and came out right.",
    ]

    package init(_ text: String) {
        for line in text.split(separator: "\n") where line.hasPrefix("stardust_") {
            guard
                let match = line.wholeMatch(
                    of: /stardust_([a-z_]+)(?:\{store="([^"\\]*)"\})? (\+Inf|[0-9.e+-]+)/)
            else { continue }
            let name = String(match.1)
            let value = String(match.3)
            guard Self.helps[name] != nil, value == "+Inf" || Double(value) != nil else { continue }
            values.append((name, match.2.map(String.init), value))
        }
    }

    package var text: String {
        var text = MetricsText()
        for (name, help) in Self.helps.sorted(by: { $0.key < $1.key }) {
            let own = values.filter { $0.name == name }
            if own.isEmpty { continue }
            text.begin(name, help, "gauge")
            for value in own {
                text.add(name, value.store.map { [("store", $0)] } ?? [], value.value)
            }
        }
        return text.text
    }
}
