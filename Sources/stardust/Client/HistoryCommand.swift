import ArgumentParser
internal import LedgerFormat

struct HistoryCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "history",
        abstract: "Show all packets about an entity, in ledger order.")

    @Argument(help: "The entity's type, such as clips.")
    var type: String

    @Argument(help: "The entity's id.")
    var id: String

    @OptionGroup var page: PageOptions
    @OptionGroup var options: ClientOptions

    func run() async throws {
        let path = "/v1/entities/\(type.percentEncoded)/\(id.percentEncoded)/packets"
        try await PacketLister(options: options, page: page, showsEntity: false).run(path, [])
    }
}
