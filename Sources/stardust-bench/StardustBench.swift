import ArgumentParser
internal import Glibc

/// Measures the program on this machine. It is not a product and is never installed.
@main
struct StardustBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stardust-bench",
        abstract: "Measure stardust on this machine, and generate packets to measure with.",
        subcommands: [Measure.self, MakePipeline.self], defaultSubcommand: Measure.self)

    static func main() {
        // The write call itself reports a closed socket.
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

/// Why a figure could not be measured.
struct BenchFailure: Error {
    var message: String
    init(_ message: String) { self.message = message }
}

/// Writes a line without buffering, so a row appears when it is measured, even through a pipe.
func writeLine(_ text: String, to descriptor: Int32 = 1) {
    var bytes = Array((text + "\n").utf8)[...]
    while !bytes.isEmpty {
        // Safety: the count is that of the borrowed bytes.
        let count = unsafe bytes.withUnsafeBytes {
            unsafe write(descriptor, $0.baseAddress, $0.count)
        }
        if count < 0, errno == EINTR { continue }
        // The reader has closed the pipe.
        guard count > 0 else { return }
        bytes = bytes.dropFirst(count)
    }
}
