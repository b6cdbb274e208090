import ArgumentParser

struct CleanupCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cleanup",
        abstract: "Find assets whose time is over, and whose nobody knows.",
        discussion: "Deletes nothing. See Docs/Retention.md.",
        subcommands: [CleanupPlanCommand.self, CleanupShowCommand.self])
}
