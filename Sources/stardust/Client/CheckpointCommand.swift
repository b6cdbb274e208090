import ArgumentParser
internal import LedgerFormat
internal import Packets

struct CheckpointCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "checkpoint", abstract: "Print the newest signed checkpoint.",
        discussion: """
            Keep one where the ledger's host cannot reach it. `stardust verify LEDGER --checkpoint \
            FILE` then reports whether the ledger still matches it. Needs the role audit.
            """)

    @OptionGroup var connection: SocketOptions

    @OptionGroup var result: ResultOptions

    func run() async throws {
        let note = try await connection.client.get("/v1/checkpoint")
        guard result.json else { return try Output.foreign(note) }
        guard let checkpoint = try? SignedCheckpoint(note).checkpoint else {
            throw Failure(.inputOutput, "the daemon's answer is no signed checkpoint")
        }
        try result.show { json in
            json.member("size", checkpoint.size.entries)
            json.member("root", checkpoint.root.tagged)
            json.member("note", String(decoding: note, as: UTF8.self))
        }
    }
}
