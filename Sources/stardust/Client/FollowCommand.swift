import ArgumentParser
internal import Packets

struct FollowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "follow",
        abstract: "Show packets as they arrive.",
        discussion: """
            Runs until interrupted. If the connection is lost, it exits with 69 and prints the \
            --after option that resumes without loss or repetition.
            """)

    @OptionGroup(title: "Filters") var filter: FilterOptions

    // -1 is a value, not an option.
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Start after this position; -1 for all packets. Default: new packets only.",
            valueName: "position"))
    var after: Int?

    @OptionGroup var options: ClientOptions

    func run() async throws {
        let terminal = Terminal()
        var table = PacketColumns(terminal, showsEntity: true)
        var last = after
        do throws(Failure) {
            try await options.client.lines(
                "/v1/follow", filter.query + [("after", after.map(String.init))]
            ) { (line) throws(Failure) in
                let document = try JSONDocument(answer: line)
                if let position = document.member("heartbeat", of: 0) {
                    last = document.integer(position)
                    return Output.hasReader
                }
                if let problem = document.member("problem", of: 0) {
                    let detail = document.member("detail", of: problem).flatMap(document.string)
                    throw Failure(.unreachable, detail ?? "the daemon ended the stream")
                }
                if let damage = document.member("damage", of: 0).flatMap(document.string) {
                    Output.error(Failure.damaged(damage).message)
                    return true
                }
                if let position = document.member("not_compared", of: 0) {
                    Output.error(
                        "position \(document.integer(position) ?? -1) was not compared: the pattern "
                            + "takes too long to match")
                    return true
                }
                let packet = ListedPacket(document)
                last = Int(packet.position)
                if options.json {
                    try Output.foreign(line + [0x0A])
                } else {
                    for line in table.lines([packet]) { try Output.line(line) }
                }
                return Output.hasReader
            }
            if Output.hasReader { throw Failure(.unreachable, "the daemon stopped") }
        } catch {
            guard error.exit == .unreachable, let last else { throw error }
            throw Failure(
                .unreachable,
                "\(error.message); `stardust follow --after \(last)` resumes from here")
        }
    }
}
