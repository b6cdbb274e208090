import ArgumentParser
internal import Packets

/// How a command reaches the daemon.
struct SocketOptions: ParsableArguments {
    @Option(help: "The daemon's socket.", completion: .file())
    var socket: String = .defaultSocketPath

    @OptionGroup var silence: TimeoutOption

    var client: DaemonClient { DaemonClient(socket: socket) }
}

/// How long a daemon may be silent.
struct TimeoutOption: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Give up once the daemon has sent nothing for so long. Default: $STARDUST_TIMEOUT, or 30.",
            valueName: "seconds"))
    var timeout: Int?

    func validate() throws {
        if let timeout {
            guard SilenceGuard.allowed.contains(timeout) else {
                throw ValidationError("--timeout must be a number of seconds from 1 to 86400")
            }
            SilenceGuard.seconds = Int64(timeout)
        } else if let text = String.environment("STARDUST_TIMEOUT") {
            guard let seconds = Int(text), SilenceGuard.allowed.contains(seconds) else {
                throw ValidationError(
                    "STARDUST_TIMEOUT is \(text); it must be a number of seconds from 1 to 86400")
            }
            SilenceGuard.seconds = Int64(seconds)
        }
    }
}

/// How a command says what it did.
struct ResultOptions: ParsableArguments {
    @Flag(help: "Print JSON.")
    var json = false

    /// One object for programs, or lines for people.
    func show(
        _ lines: String..., members: (inout JSONWriter) -> Void
    ) throws(Failure) {
        guard json else {
            for line in lines { try Output.line(line) }
            return
        }
        var writer = JSONWriter()
        writer.beginObject()
        members(&writer)
        writer.endObject()
        try Output.foreign(writer.bytes + [0x0A])
    }
}
