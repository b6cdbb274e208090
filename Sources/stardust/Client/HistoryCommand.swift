import ArgumentParser
internal import LedgerFormat

struct HistoryCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "history",
        abstract: "Show all packets about an entity, in ledger order.")

    @Argument(help: "The entity's type, such as clips.")
    var type: String

    @Argument(help: "The entity's id; for x_assets also an asset's URI.")
    var id: String

    @OptionGroup var page: PageOptions
    @OptionGroup var options: ClientOptions
    @OptionGroup var folder: LedgerFolderOption

    func run() async throws {
        try await folder.asking(options) { options in try await run(options) }
    }

    private func run(_ options: ClientOptions) async throws {
        let id = try await EntityName.id(type, id, options.client)
        let path = "/v1/entities/\(type.percentEncoded)/\(id.percentEncoded)/packets"
        try await PacketLister(options: options, page: page, showsEntity: false).run(path, [])
    }
}
