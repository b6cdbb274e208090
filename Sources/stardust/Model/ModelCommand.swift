import ArgumentParser
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

    func run() throws {
        switch dialect {
        case .postgres: try Output.data(Array(PostgresSchema.text.utf8))
        case .sqlite: try Output.data(Array(SQLiteSchema.text.utf8))
        }
    }
}
