import ArgumentParser
internal import Packets
internal import ReadModel

struct ModelCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "model",
        abstract: "Work with the read model: the engine's tables, beside their evidence.",
        discussion:
            "See Docs/ReadModel.md, and Docs/Replication.md for how it follows PostgreSQL.",
        subcommands: subcommands)

    private static var subcommands: [any ParsableCommand.Type] {
        var commands: [any ParsableCommand.Type] = [
            ModelApplyCommand.self, ModelSQLCommand.self, ModelStatusCommand.self,
            ModelDriftCommand.self, ModelSchemaCommand.self,
        ]
        #if PostgreSQL
            commands += [
                ModelSyncCommand.self, ModelVerifyCommand.self, ModelDetachCommand.self,
            ]
        #endif
        return commands
    }
}

struct ModelSchemaCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "schema", abstract: "Print the complete DDL.",
        discussion: """
            `postgres` is the engine's own database, including its roles. `sqlite` is the schema \
            of model.sqlite.
            """)

    enum Dialect: String, ExpressibleByArgument, CaseIterable {
        case postgres, sqlite
    }

    @Option(help: "SQL dialect: postgres or sqlite.")
    var dialect: Dialect

    @OptionGroup var result: ResultOptions

    func run() throws {
        let text = dialect == .postgres ? PostgresSchema.text : SQLiteSchema.text
        guard result.json else { return try Output.data(Array(text.utf8)) }
        try result.show { $0.member("sql", text) }
    }
}
