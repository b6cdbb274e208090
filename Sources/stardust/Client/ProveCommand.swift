import ArgumentParser
internal import LedgerFormat
internal import Packets

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
        help: ArgumentHelp("Output file; default: standard output.", valueName: "file"),
        completion: .file())
    var output: String?

    @OptionGroup var connection: SocketOptions

    @OptionGroup var result: ResultOptions

    func run() async throws {
        let isPosition = name.utf8.allSatisfy { (0x30...0x39).contains($0) }
        let kind = isPosition ? "entries" : "packets"
        let proof = try await connection.client
            .get("/v1/\(kind)/\(name.percentEncoded)/proof")
        guard result.json else { return try OutputFile.write(proof, to: output ?? "-") }
        if let output { try OutputFile.write(proof, to: output) }
        try result.show { json in
            json.member("proof", String(decoding: proof, as: UTF8.self))
        }
    }
}
