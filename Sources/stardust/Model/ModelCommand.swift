import ArgumentParser
internal import ReadModel

struct ModelCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "model",
        abstract: "The read model: the engine's tables, beside their evidence.",
        discussion:
            "Docs/ReadModel.md tells what it is, Docs/Replication.md how it follows PostgreSQL.",
        subcommands: subcommands)

    private static var subcommands: [any ParsableCommand.Type] {
        var commands: [any ParsableCommand.Type] = [
            ModelApplyCommand.self, ModelSQLCommand.self, ModelStatusCommand.self,
            ModelDriftCommand.self, ModelSchemaCommand.self,
        ]
        #if PostgreSQL
            commands.append(ModelSyncCommand.self)
        #endif
        return commands
    }
}

struct ModelSchemaCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "schema", abstract: "Print the complete DDL.",
        discussion: """
            `postgres` makes the engine's own database, its roles included. `sqlite` is what \
            model.sqlite is made of.
            """)

    enum Dialect: String, ExpressibleByArgument, CaseIterable {
        case postgres, sqlite
    }

    @Option(help: "postgres or sqlite.")
    var dialect: Dialect

    func run() {
        switch dialect {
        case .postgres: Output.data(Array(PostgresSchema.text.utf8))
        case .sqlite: Output.data(Array(SQLiteSchema.text.utf8))
        }
    }
}
