import ArgumentParser
internal import Packets

struct ModelStatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show the read model's status: source, lag, rows and problems.")

    @OptionGroup var options: ClientOptions

    func run() async throws {
        let bytes = try await options.client.get("/v1/model/status")
        if options.json { return try Output.foreign(bytes + [0x0A]) }
        try Scalars(try JSONDocument(answer: bytes)).show(Terminal())
    }
}

struct ModelDriftCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drift", abstract: "Compare the rows with the packets.",
        discussion: """
            Reports rows that no packet mentions, packets whose row is missing, wrong embedded \
            stardust_ids, votes that differ, and logs that do not match \
            Docs/log-metadata.schema.json. Exit code 1 if rows and packets disagree.
            """)

    @OptionGroup var options: ClientOptions

    func run() async throws {
        let bytes = try await options.client.get("/v1/model/drift")
        let document = try JSONDocument(answer: bytes)
        if options.json {
            try Output.foreign(bytes + [0x0A])
        } else {
            try Self.show(document)
        }
        let findings = document.member("counts", of: 0).map { counts in
            JSONChildren(document.tokens, of: counts).reduce(0) {
                $0 + (document.integer($1 + 1) ?? 0)
            }
        }
        if let findings, findings > 0 {
            throw Failure(.no, "rows and packets differ in \(findings) places")
        }
    }

    private static func show(_ document: JSONDocument) throws(Failure) {
        func text(_ name: String, _ index: Int) -> String {
            guard let value = document.member(name, of: index) else { return "" }
            return document.string(value)
                ?? String(decoding: document.source(value), as: UTF8.self)
        }
        for item in document.member("coverage", of: 0).map({
            Array(JSONChildren(document.tokens, of: $0))
        }) ?? [] {
            let name = text("table", item)
            let need = name == "logs" ? "; logs need none" : ""
            try Output.line(
                "\(name.padded(to: 12))  \(text("covered", item)) of \(text("rows", item)) rows have "
                    + "packets\(need)")
        }
        for item in document.member("findings", of: 0).map({
            Array(JSONChildren(document.tokens, of: $0))
        }) ?? [] {
            let place = "\(text("table", item))/\(text("id", item))"
            try Output.line(Output.safe("\(text("kind", item))  \(place)  \(text("detail", item))"))
        }
    }
}
