internal import Glibc
internal import LedgerFormat
package import Logging
internal import Packets
internal import Platform
internal import Synchronization

/// Writes log lines to standard error as JSON objects, each in one write, on a thread of its own:
/// nobody who logs waits for the reader of the log. No control character or bidirectional override in
/// a message reaches a terminal.
package struct JSONLogHandler: LogHandler {
    package var metadata: Logger.Metadata = [:]
    private var ownLevel: Logger.Level?
    package var logLevel: Logger.Level {
        get { ownLevel ?? Self.level }
        set { ownLevel = newValue }
    }
    private let label: String

    /// The least level of every logger that has none of its own.
    package static var level: Logger.Level {
        get { Logger.Level.allCases[threshold.load(ordering: .relaxed)] }
        set { threshold.store(Logger.Level.allCases.firstIndex(of: newValue)!, ordering: .relaxed) }
    }
    private static let threshold = Atomic(Logger.Level.allCases.firstIndex(of: .info)!)

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
        let extra = event.metadata ?? [:]
        if let name = extra["event"] { line.member("event", name.description) }
        line.member("message", Self.cut(event.message.description))
        for (key, value) in metadata.merging(extra, uniquingKeysWith: { $1 })
            .sorted(by: { $0.key < $1.key }) where key != "event"
        {
            line.member(key, Self.cut(value.description))
        }
        line.endObject()
        StandardError.lines.add(StandardError.priority(event.level) + line.bytes + [0x0A])
    }

    /// Others may choose part of a text, so none is longer than this.
    private static let textBytesMax = 2048

    private static func cut(_ text: String) -> String {
        text.utf8.count <= textBytesMax ? text : String(text.prefix(textBytesMax / 4)) + "…"
    }

    /// Waits until everything logged so far is written, but not for long.
    package static func flush() { StandardError.lines.flush() }
}

/// Where lines of the log go.
private enum StandardError {
    static let lines = LineWriter(2) { count in
        var line = JSONWriter()
        line.beginObject()
        line.member("at", Timestamp.systemNow().description)
        line.member("level", LoggedEvent.linesLost.level.rawValue)
        line.member("event", LoggedEvent.linesLost.rawValue)
        line.member("message", "\(count) lines were lost")
        line.endObject()
        return priority(LoggedEvent.linesLost.level) + line.bytes + [0x0A]
    }

    /// Whether systemd's journal reads it: `JOURNAL_STREAM` is its device and inode (systemd.exec(5)).
    private static let isJournal: Bool = {
        // Safety: the text is copied at once.
        guard let text = unsafe getenv("JOURNAL_STREAM") else { return false }
        var status = stat()
        guard unsafe fstat(2, &status) == 0 else { return false }
        return unsafe String(cString: text) == "\(status.st_dev):\(status.st_ino)"
    }()

    /// What the journal takes for a line's priority (sd-daemon(3)); nothing for other readers.
    static func priority(_ level: Logger.Level) -> [UInt8] {
        guard isJournal else { return [] }
        let number =
            switch level {
            case .critical: 2
            case .error: 3
            case .warning: 4
            case .notice: 5
            case .info: 6
            case .debug, .trace: 7
            }
        return Array("<\(number)>".utf8)
    }
}
