import ArgumentParser

struct CleanupCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cleanup",
        abstract: "Find and delete assets whose time is over, and those nobody knows.",
        discussion: """
            Somebody plans, somebody else approves, and a run decides at once and deletes a day later. \
            See Docs/Retention.md.
            """,
        subcommands: [
            CleanupPlanCommand.self, CleanupShowCommand.self, CleanupApproveCommand.self,
            CleanupRunCommand.self,
        ])
}
