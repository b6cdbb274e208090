import ArgumentParser
internal import Packets

struct CheckpointCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "checkpoint", abstract: "Print the newest signed checkpoint.",
        discussion: """
            Keep one where the ledger's host cannot reach it. `stardust verify LEDGER --checkpoint \
            FILE` then reports whether the ledger still matches it. Needs the role audit.
            """)

    @Option(help: "The daemon's socket.")
    var socket: String = .defaultSocketPath

    func run() async throws {
        try Output.foreign(try await DaemonClient(socket: socket).get("/v1/checkpoint"))
    }
}
