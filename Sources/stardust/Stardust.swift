import ArgumentParser
internal import Glibc
internal import LedgerIndex
internal import LedgerStorage
internal import Packets
internal import Platform
internal import Publishing
internal import Reconstruction
internal import StardustCore
internal import StardustHTTP

@main
struct Stardust: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stardust",
        abstract: "Run, query and verify the Omniva engine's provenance ledger.",
        version: Version.text,
        subcommands: [
            InitCommand.self, ServeCommand.self, EmitCommand.self, GetCommand.self,
            HistoryCommand.self, FindCommand.self, StepsCommand.self, ConflictsCommand.self,
            EvidenceCommand.self,
            PathCommand.self, DiffCommand.self, ChainCommand.self,
            FollowCommand.self,
            CheckpointCommand.self, ProveCommand.self, CheckProofCommand.self, VerifyCommand.self,
            ExportCommand.self, ReindexCommand.self, RotateKeyCommand.self, ModelCommand.self,
            WitnessCommand.self, ArchiveCommand.self, RestoreCommand.self, BackupCommand.self,
            TakeOverCommand.self, CleanupCommand.self, ConfigCommand.self, StatusCommand.self,
            DoctorCommand.self,
        ])

    static func main() async {
        guard !CommandLine.arguments.isEmpty else {
            Output.error("stardust: the program sees no arguments; it needs /proc to be mounted")
            Glibc.exit(ExitCode.systemFault.rawValue)
        }
        PacketLimits.checkRelations()
        StorageLimits.checkRelations()
        IndexLimits.checkRelations()
        LedgerLimits.checkRelations()
        PublishingLimits.checkRelations()
        SocketServer.checkLimits()
        ChainLimits.checkRelations()
        Signals.ignoreWhatCallsReport()
        do {
            try SystemNeeds.check()
            var command = try parseAsRoot()
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
            try Output.finish()
        } catch { end(error) }
    }

    /// Ends the program because a command failed, or because help or the version was asked for.
    private static func end(_ error: any Error) -> Never {
        var (exit, message) = (exitCode(for: error), fullMessage(for: error))
        if let failure = error as? Failure {
            (exit, message) = (failure.exit, "stardust: \(failure.message)")
        } else if exit.isSuccess || message.isEmpty {
            do throws(Failure) {
                if !message.isEmpty { try Output.line(message) }
                try Output.finish()
                message = ""
            } catch { (exit, message) = (error.exit, "stardust: \(error.message)") }
        }
        if !message.isEmpty { Output.error(message) }
        Glibc.exit(exit.rawValue)
    }
}

/// A failed command: its message and its exit code (`ExitCode` lists them).
struct Failure: Error {
    var exit: ExitCode
    var message: String

    init(_ exit: ExitCode, _ message: String) {
        self.exit = exit
        self.message = message
    }
}

extension Failure {
    /// A list lacks what the daemon could not read.
    static func damaged(_ damage: String) -> Failure {
        Failure(
            .inputOutput, "packets may be missing, because the ledger is damaged: \(damage)")
    }
}

extension ExitCode {
    static let no = ExitCode(1)
    static let cannotJudge = ExitCode(2)
    static let usage = ExitCode(64)
    static let badInput = ExitCode(65)
    static let cannotOpenInput = ExitCode(66)
    static let unreachable = ExitCode(69)
    static let systemFault = ExitCode(71)
    static let cannotCreate = ExitCode(73)
    static let inputOutput = ExitCode(74)
    static let locked = ExitCode(75)
    static let notPermitted = ExitCode(77)
    static let badConfiguration = ExitCode(78)
}

extension Failure {
    init(_ failure: OpenFailure) {
        let exit: ExitCode =
            switch failure {
            case .file(let failure) where failure.isNotPermitted: .notPermitted
            case .file(let failure) where failure.isMissing || failure.isNoFolder:
                .cannotOpenInput
            case .file: .inputOutput
            case .notALedger: .cannotOpenInput
            case .damaged: .badInput
            case .inUse: .locked
            case .shared, .otherMachine: .badConfiguration
            }
        var hint = ""
        if case .file(let failure) = failure, failure.isNoFolder {
            hint = ". A ledger is a folder; unpack a tar file first"
        }
        self.init(exit, failure.description + hint)
    }
}
