internal import Glibc
package import Platform

/// Writes lines to a descriptor on a thread of its own, each in one write: nobody waits for the reader. Of what is
/// written too fast, or cannot be written, only the number is known.
package final class LineWriter: Sendable {
    private let queue: Queue

    /// `note` makes the line that says how many were lost.
    package init(_ descriptor: Int32, note: @escaping @Sendable (Int) -> [UInt8]) {
        queue = Queue(descriptor, closes: false, note)
    }

    /// Appends to a file, which is made if it is missing, for its owner and its group.
    package init(path: String, note: @escaping @Sendable (Int) -> [UInt8]) throws(FileFailure) {
        // Of a pipe without a reader, opening would wait.
        let flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK
        let descriptor = unsafe open(path, flags, 0o640)
        guard descriptor >= 0 else { throw FileFailure(.open, path, errorNumber: errno) }
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            throw FileFailure(.open, path, errorNumber: EINVAL)
        }
        queue = Queue(descriptor, closes: true, note)
    }

    deinit { queue.end() }

    package func add(_ line: [UInt8]) { queue.add(line) }

    /// Waits until everything so far is written, but not for long.
    package func flush() { queue.flush() }

    private final class Queue: Sendable {
        private static let bytesMax = 1 << 20
        private static let patience: Duration = .seconds(1)

        private struct State {
            var lines: [[UInt8]] = []
            var bytes = 0
            /// Lines for which there was no room.
            var dropped = 0
            var isWriting = false
            var isEnding = false
        }

        private let descriptor: Int32
        private let closes: Bool
        private let note: @Sendable (Int) -> [UInt8]
        private let monitor = Monitor(State())

        init(_ descriptor: Int32, closes: Bool, _ note: @escaping @Sendable (Int) -> [UInt8]) {
            (self.descriptor, self.closes, self.note) = (descriptor, closes, note)
            startThread("log") { self.run() }
        }

        func end() { monitor.change { $0.isEnding = true } }

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

        /// How often it is said that lines were lost.
        private static let notePause: Duration = .seconds(60)

        private func run() {
            var lost = 0
            var lastNote: ContinuousClock.Instant?
            var isCut = false
            while let (lines, dropped) = next() {
                lost += dropped
                if lost > 0, lastNote.map({ .now - $0 >= Self.notePause }) ?? true {
                    lastNote = .now
                    if write(note(lost), after: &isCut) { lost = 0 }
                }
                for line in lines where !write(line, after: &isCut) { lost += 1 }
                monitor.change { $0.isWriting = false }
            }
            if closes { close(descriptor) }
        }

        /// Nil once it is over and everything is written.
        private func next() -> (lines: [[UInt8]], dropped: Int)? {
            monitor.wait { state -> (lines: [[UInt8]], dropped: Int)?? in
                guard !state.lines.isEmpty else { return state.isEnding ? .some(nil) : nil }
                defer { (state.lines, state.bytes, state.dropped) = ([], 0, 0) }
                state.isWriting = true
                return .some((state.lines, state.dropped))
            }
        }

        /// False if not all of it was taken. Then what follows begins a line of its own.
        private func write(_ line: [UInt8], after isCut: inout Bool) -> Bool {
            let bytes = isCut ? [0x0A] + line : line
            // Safety: the array lives as long as the call.
            let count = unsafe bytes.withUnsafeBytes {
                unsafe Glibc.write(descriptor, $0.baseAddress, $0.count)
            }
            if count > 0 { isCut = count < bytes.count }
            return count == bytes.count
        }
    }
}
