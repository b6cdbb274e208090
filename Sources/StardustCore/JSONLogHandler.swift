internal import Glibc
internal import LedgerFormat
internal import LedgerStorage
package import Logging
internal import Packets
internal import Platform

/// Writes log lines to standard error as JSON objects, each in one write. No control character or
/// bidirectional override in a message reaches a terminal.
package struct JSONLogHandler: LogHandler {
    package var metadata: Logger.Metadata = [:]
    package var logLevel: Logger.Level = .info
    private let label: String

    package init(label: String) { self.label = label }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        var line = JSONWriter()
        line.beginObject()
        line.member("at", Timestamp.systemNow().description)
        line.member("level", event.level.rawValue)
        line.member("message", event.message.description)
        let extra = event.metadata ?? [:]
        for (key, value) in metadata.merging(extra, uniquingKeysWith: { $1 }).sorted(by: {
            $0.key < $1.key
        }) {
            line.member(key, value.description)
        }
        line.endObject()
        let bytes = line.bytes + [0x0A]
        // A failed write to the log cannot be reported anywhere.
        _ = unsafe bytes.withUnsafeBytes { unsafe write(2, $0.baseAddress, $0.count) }
    }
}
