import ArgumentParser
internal import LedgerFormat
internal import Packets

struct GetCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "get",
        abstract: "Show one packet.",
        discussion: "Exit code 1 if it does not exist. A position needs the role audit.")

    @Argument(help: ArgumentHelp("A stardust_id or a position.", valueName: "id-or-position"))
    var name: String

    @Flag(help: "Print the packet's exact bytes, as sent.")
    var raw = false

    @OptionGroup var options: ClientOptions
    @OptionGroup var folder: LedgerFolderOption

    func run() async throws {
        try await folder.asking(options, needsIndex: false) { options in try await run(options) }
    }

    private func run(_ options: ClientOptions) async throws {
        let isPosition = name.utf8.allSatisfy { (0x30...0x39).contains($0) }
        let path = isPosition ? "/v1/entries/\(name)" : "/v1/packets/\(name.percentEncoded)"
        let bytes = try await options.client.get(path)
        let document = try JSONDocument(answer: bytes)
        // Not a packet but a change of key: its payload is a signed note.
        if !options.json, let note = document.member("note", of: 0).flatMap(document.string) {
            return try Output.foreign(Array(note.utf8))
        }
        if raw {
            let id = ListedPacket(document).stardustID
            return try Output.foreign(
                try await options.client.get("/v1/packets/\(id)/raw"))
        }
        if options.json { return try Output.foreign(bytes + [0x0A]) }
        try show(ListedPacket(document))
    }

    private func show(_ packet: ListedPacket) throws(Failure) {
        var terminal = Terminal()
        terminal.beginPaging()
        defer { terminal.endPaging() }
        let rows = [
            ("packet", packet.stardustID), ("position", packet.position),
            ("entity", packet.entity), ("event", packet.event), ("worker", packet.worker),
            ("trace", packet.trace), ("created", packet.createdAt),
            ("received", packet.receivedAt), ("from", packet.peer),
            ("entry", packet.entryHash), ("payload", packet.payloadDigest),
        ]
        for (name, value) in rows {
            try Output.line(terminal.dim(name.padded(to: 10)) + Output.safe(value))
        }
        guard let content = packet.packet else { return }
        try Output.line("")
        try Output.line(packet.document.indented(content, terminal))
    }
}
