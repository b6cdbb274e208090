internal import Glibc
internal import Packets

/// Writes to standard output and standard error.
enum Output {
    static var isErrorATerminal: Bool { isatty(2) == 1 }

    /// One line of data.
    static func line(_ text: String) { write(Array((text + "\n").utf8), to: 1) }

    static func data(_ bytes: [UInt8]) { write(bytes, to: 1) }

    /// One line for a person. Characters that could control the terminal are escaped.
    static func error(_ text: String) { write(Array((safe(text) + "\n").utf8), to: 2) }

    /// Overwrites the current line of a terminal.
    static func progress(_ text: String) { write(Array("\r\u{1B}[K\(safe(text))".utf8), to: 2) }

    static func safe(_ text: String) -> String {
        String(
            text.unicodeScalars.map { scalar in
                scalar.isUnsafeOnTerminals && scalar != "\n"
                    ? "\\u{\(String(scalar.value, radix: 16))}" : String(scalar)
            }.joined())
    }

    private static func write(_ bytes: [UInt8], to descriptor: Int32) {
        var done = 0
        while done < bytes.count {
            // Safety: `done` is below the count of the borrowed array.
            let count = unsafe bytes.withUnsafeBytes {
                unsafe Glibc.write(descriptor, $0.baseAddress! + done, $0.count - done)
            }
            if count < 0 && errno == EINTR { continue }
            // The reader has closed the pipe. As in other tools, that is not a failure.
            guard count > 0 else { return }
            done += count
        }
    }
}

enum Signals {
    /// The failing call itself reports a closed pipe or a file that grows too large, so the
    /// signals for them are ignored.
    static func ignoreWhatCallsReport() {
        _ = signal(SIGPIPE, SIG_IGN)
        _ = signal(SIGXFSZ, SIG_IGN)
    }
}

extension String {
    /// The value of an environment variable; nil if it is unset or empty.
    static func environment(_ name: String) -> String? {
        // Safety: the text is copied at once, and nothing here changes the environment.
        guard let value = unsafe getenv(name), unsafe value.pointee != 0 else { return nil }
        return unsafe String(cString: value)
    }

    /// Where clients look for the daemon.
    static var defaultSocketPath: String {
        environment("STARDUST_SOCKET")
            ?? environment("XDG_RUNTIME_DIR").map { $0 + "/stardust.sock" }
            ?? "/run/stardust/stardust.sock"
    }
}
