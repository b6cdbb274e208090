import ArgumentParser
internal import Glibc

/// Measures the program on this machine. Not a product: it is never installed.
@main
struct StardustBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stardust-bench",
        abstract: "Measure stardust on this machine, and make packets to measure with.",
        subcommands: [Measure.self, MakePipeline.self], defaultSubcommand: Measure.self)

    static func main() {
        // A write to a closed socket is reported by the call itself.
        _ = signal(SIGPIPE, SIG_IGN)
        do {
            var command = try parseAsRoot()
            try command.run()
        } catch let failure as BenchFailure {
            writeLine("stardust-bench: \(failure.message)", to: 2)
            exit(withError: ExitCode.failure)
        } catch {
            exit(withError: error)
        }
    }
}

/// Why there is no figure.
struct BenchFailure: Error {
    var message: String
    init(_ message: String) { self.message = message }
}

/// Writes a line at once: a row is seen when it is measured, also through a pipe.
func writeLine(_ text: String, to descriptor: Int32 = 1) {
    var bytes = Array((text + "\n").utf8)[...]
    while !bytes.isEmpty {
        // Safety: the count is that of the bytes that are lent.
        let count = unsafe bytes.withUnsafeBytes {
            unsafe write(descriptor, $0.baseAddress, $0.count)
        }
        if count < 0, errno == EINTR { continue }
        // Nobody reads the figures any further.
        guard count > 0 else { return }
        bytes = bytes.dropFirst(count)
    }
}
