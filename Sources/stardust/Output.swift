internal import Glibc
internal import Packets
internal import Platform
internal import Synchronization

/// Writes to standard output and standard error. What standard output does not take is an error,
/// except that a closed pipe ends the output quietly, as in other tools.
enum Output {
    /// False once the reader of standard output has closed its pipe: nothing more is written.
    static var hasReader: Bool {
        var output = pollfd(fd: 1, events: 0, revents: 0)
        if unsafe poll(&output, 1, 0) == 1, output.revents & Int16(POLLERR) != 0 {
            isAbandoned.store(true, ordering: .relaxed)
        }
        return !isAbandoned.load(ordering: .relaxed)
    }
    private static let isAbandoned = Atomic<Bool>(false)

    /// Of the program's own output, before any pager.
    static let isTerminal = isatty(1) == 1
    static var isErrorATerminal: Bool { isatty(2) == 1 }

    /// One line of data.
    static func line(_ text: String) throws(Failure) { try data(Array((text + "\n").utf8)) }

    /// Exact bytes.
    static func data(_ bytes: [UInt8]) throws(Failure) {
        guard !isAbandoned.load(ordering: .relaxed) else { return }
        let number = write(bytes, to: 1)
        if number == EPIPE { return isAbandoned.store(true, ordering: .relaxed) }
        if number != 0 { throw failure(number) }
    }

    /// Bytes that others chose, such as an answer's. Exact, but on a terminal what could control it
    /// becomes `\u` escapes, as in JSON.
    static func foreign(_ bytes: [UInt8]) throws(Failure) {
        try data(isTerminal ? escaped(bytes) : bytes)
    }

    /// Ends standard output; some file systems report only then that they had no room.
    static func finish() throws(Failure) {
        guard hasReader, close(1) != 0, errno != EBADF else { return }
        throw failure(errno)
    }

    private static func failure(_ number: Int32) -> Failure {
        Failure(
            .inputOutput,
            "standard output could not be written: \(errorName(number)); what was printed is "
                + "incomplete")
    }

    /// One line for a person. Characters that could control the terminal are escaped.
    static func error(_ text: String) { _ = write(Array((safe(text) + "\n").utf8), to: 2) }

    /// Overwrites the current line of a terminal.
    static func progress(_ text: String) { _ = write(Array("\r\u{1B}[K\(safe(text))".utf8), to: 2) }

    static func safe(_ text: String) -> String {
        String(
            text.unicodeScalars.map { scalar in
                scalar.isUnsafeOnTerminals && scalar != "\n"
                    ? "\\u{\(String(scalar.value, radix: 16))}" : String(scalar)
            }.joined())
    }

    private static func escaped(_ bytes: [UInt8]) -> [UInt8] {
        String(decoding: bytes, as: UTF8.self).unicodeScalars.flatMap { scalar -> [UInt8] in
            guard scalar.isUnsafeOnTerminals, scalar != "\n", scalar != "\t" else {
                return Array(UTF8.encode(scalar)!)
            }
            return UTF16.encode(scalar)!.flatMap { unit in
                let digits = String(unit, radix: 16)
                return Array(
                    ("\\u" + String(repeating: "0", count: 4 - digits.count) + digits).utf8)
            }
        }
    }

    /// Writes everything. Returns the error number of what failed, or 0.
    static func write(_ bytes: [UInt8], to descriptor: Int32) -> Int32 {
        var done = 0
        while done < bytes.count {
            // Safety: `done` is below the count of the borrowed array.
            let count = unsafe bytes.withUnsafeBytes {
                unsafe Glibc.write(descriptor, $0.baseAddress! + done, $0.count - done)
            }
            if count < 0, errno == EINTR { continue }
            if count < 0, errno == EAGAIN {
                // Somebody else's flag on a shared descriptor.
                var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                _ = unsafe poll(&ready, 1, -1)
                continue
            }
            if count < 0 { return errno }
            done += count
        }
        return 0
    }
}

enum Signals {
    /// The failing call itself reports a closed pipe or a file that grows too large, so the
    /// signals for them are ignored.
    static func ignoreWhatCallsReport() {
        _ = signal(SIGPIPE, SIG_IGN)
        _ = signal(SIGXFSZ, SIG_IGN)
    }

    /// A daemon has no terminal that could hang up, and no use for the others.
    static func ignoreForDaemons() {
        for number in [SIGHUP, SIGUSR1, SIGUSR2, SIGALRM] { _ = signal(number, SIG_IGN) }
    }

    /// A trap ends the program without excerpts of its memory in the log.
    static func leaveNoBacktrace() {
        for number in [SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGFPE, SIGABRT, SIGQUIT] {
            _ = signal(number, SIG_DFL)
        }
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

extension String {
    /// The path without links and dots, as far as it exists.
    var resolved: String {
        // Safety: the system allocates the text; it is copied and freed.
        guard let found = unsafe realpath(self, nil) else {
            let folder = givenFolder
            return folder == self || folder == "." ? self : folder.resolved + "/" + lastName
        }
        defer { unsafe free(found) }
        return unsafe String(cString: found)
    }
}
