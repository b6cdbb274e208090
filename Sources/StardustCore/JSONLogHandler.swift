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
        line.member("message", Self.cut(event.message.description))
        let extra = event.metadata ?? [:]
        for (key, value) in metadata.merging(extra, uniquingKeysWith: { $1 }).sorted(by: {
            $0.key < $1.key
        }) {
            line.member(key, Self.cut(value.description))
        }
        line.endObject()
        LogQueue.shared.add(line.bytes + [0x0A])
    }

    /// Others may choose part of a text, so none is longer than this.
    private static let textBytesMax = 2048

    private static func cut(_ text: String) -> String {
        text.utf8.count <= textBytesMax ? text : String(text.prefix(textBytesMax / 4)) + "…"
    }

    /// Waits until everything logged so far is written, but not for long.
    package static func flush() { LogQueue.shared.flush() }
}

/// Lines that wait for standard error to take them.
private final class LogQueue: Sendable {
    static let shared = LogQueue()

    private static let bytesMax = 1 << 20
    private static let patience: Duration = .seconds(1)

    private struct State {
        var lines: [[UInt8]] = []
        var bytes = 0
        /// Lines for which there was no room.
        var dropped = 0
        var isWriting = false
    }

    private let monitor = Monitor(State())

    private init() { startThread("log") { self.run() } }

    func add(_ line: [UInt8]) {
        monitor.change { state in
            guard state.bytes + line.count <= Self.bytesMax else {
                state.dropped += 1
                return
            }
            state.lines.append(line)
            state.bytes += line.count
        }
    }

    func flush() {
        _ = monitor.wait(until: .now + Self.patience) { state in
            state.lines.isEmpty && !state.isWriting ? () : nil
        }
    }

    private func run() {
        while true {
            let lines = monitor.wait { state -> [[UInt8]]? in
                guard !state.lines.isEmpty else { return nil }
                defer { (state.lines, state.bytes, state.dropped) = ([], 0, 0) }
                state.isWriting = true
                guard state.dropped > 0 else { return state.lines }
                let note = #"{"level":"warning","message":"\#(state.dropped) lines were lost"}"#
                return state.lines + [Array((note + "\n").utf8)]
            }
            for line in lines {
                // A failed write to the log cannot be reported anywhere.
                _ = unsafe line.withUnsafeBytes { unsafe write(2, $0.baseAddress, $0.count) }
            }
            monitor.change { $0.isWriting = false }
        }
    }
}
