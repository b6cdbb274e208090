import ArgumentParser
internal import LedgerFormat

struct ProveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prove",
        abstract: "Write a proof that a packet or a change of key is in the ledger.",
        discussion: """
            The proof is one file (C2SP tlog-proof) with the packet's entry, its path in the tree, and \
            a signed checkpoint. `stardust check-proof` checks it anywhere. Needs the role audit. \
            Exit code 1 if the packet does not exist.
            """)

    @Argument(help: ArgumentHelp("A stardust_id or a position.", valueName: "id-or-position"))
    var name: String

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("Output file; default: standard output.", valueName: "file"))
    var output: String?

    @Option(help: "The daemon's socket.")
    var socket: String = .defaultSocketPath

    func run() async throws {
        let isPosition = name.utf8.allSatisfy { (0x30...0x39).contains($0) }
        let kind = isPosition ? "entries" : "packets"
        let proof = try await DaemonClient(socket: socket)
            .get("/v1/\(kind)/\(name.percentEncoded)/proof")
        try OutputFile.write(proof, to: output ?? "-")
    }
}
