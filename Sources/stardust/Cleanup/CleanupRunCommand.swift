import ArgumentParser
internal import Cleanup
internal import Glibc
internal import LedgerFormat
internal import LedgerStorage
internal import ObjectStore
internal import Packets
internal import Platform
internal import ReadModel
internal import Synchronization

struct CleanupRunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Carry out an approved plan: decide now, delete a day later.",
        discussion: """
            Judges each asset again by rows that are at most a minute old, and emits the decision. Run it \
            again after 24 hours: assets that the rules still let go are deleted, at most 1,000 an hour; \
            each leaves a packet and a log row. It may be ended and run again at any time. Needs the \
            roles append, read and, unless --logs is given, admin, the right to read the ledger's \
            folder, and credentials that may delete. Exit codes: 1 some assets were kept, 65 the plan or \
            the read model is not what it must be, 69 a store or the daemon is unreachable, 75 another \
            run has the plan, 77 nobody has approved the plan who may, 78 the settings are wrong.
            """)

    @Argument(help: "The plan's file.", completion: .file())
    var plan: String

    @Option(help: ArgumentHelp("The ledger's folder.", valueName: "folder"), completion: .directory)
    var ledger: String

    @Option(
        help: "Configuration file; its `cleanup` names assets and approvers.", completion: .file())
    var config: String

    @Option(
        help: ArgumentHelp(
            "Add the log rows to this PostgreSQL; needed if the rows come from one.",
            valueName: "postgres://…"))
    var logs: String?

    @OptionGroup var options: ClientOptions

    func run() async throws {
        let configuration = try Configuration(path: config)
        let cleanup = try CleanupSettings.required(configuration, config)
        let file = try PlanFile(plan)
        try Self.requireLedger(file.plan, ledger)
        try cleanup.requireApart(from: ledger, configuration, [plan, config])
        let lock = try lock()
        defer { close(lock) }
        RunSignals.trap()
        let world = try LiveCleanup(
            file, cleanup, configuration, ledger: ledger, client: options.client, logs: logs,
            asJSON: options.json)
        let approvers = Approvers(cleanup.approvers)
        var run = CleanupRun(file.plan, file.packet, world) { approvers.contain($0) }
        var stop: CleanupStop?
        do throws(CleanupStop) { try await run.run() } catch { stop = error }
        if let failure = world.outputFailure { throw failure }
        if let stop {
            if run.tally.isAnything { try show(run.tally, file.plan) }
            throw Failure(stop)
        }
        try show(run.tally, file.plan)
        let stays = run.tally.kept + run.tally.spared
        if run.tally.failed > 0 {
            throw Failure(
                .unreachable,
                "\(CleanupShowCommand.assets(run.tally.failed)) could not be deleted; run it again")
        }
        if stays > 0 { throw Failure(.no, "\(CleanupShowCommand.assets(stays)) stay") }
    }

    /// Two runs would each keep the hour's bound, and both go beyond it.
    private func lock() throws(Failure) -> Int32 {
        let path = ledger + "/" + LedgerLayout.identity
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw Failure(.cannotOpenInput, "\(path): \(errorName(errno))")
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            throw Failure(.locked, "\(ledger): another clean-up runs; only one may at a time")
        }
        return descriptor
    }

    private static func requireLedger(_ plan: CleanupPlan, _ ledger: String) throws(Failure) {
        let map = try CleanupPlanCommand.map(of: ledger, nil)
        guard map.ledgerID == plan.ledgerID else {
            throw Failure(
                .badInput,
                "the plan is of ledger \(plan.ledgerID), but \(ledger) is \(map.ledgerID)")
        }
    }

    private func show(_ tally: CleanupTally, _ plan: CleanupPlan) throws(Failure) {
        if options.json {
            var json = JSONWriter()
            json.beginObject()
            json.member("decided", tally.decided)
            json.member("deleted", tally.deleted)
            json.member("kept", tally.kept)
            json.member("spared", tally.spared)
            json.member("failed", tally.failed)
            json.member("left", tally.left)
            if let next = tally.next { json.member("next", next) }
            json.endObject()
            return try Output.data(json.bytes + [0x0A])
        }
        var words = [
            (tally.deleted, "deleted"), (tally.decided, "to be deleted in a day"),
            (tally.kept, "kept for good"), (tally.spared, "kept for now"), (tally.failed, "failed"),
            (tally.left, "left for later, since at most 1,000 go in an hour"),
        ].filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }
        if words.isEmpty, tally.ended == plan.items.count {
            words = ["all \(CleanupShowCommand.assets(plan.items.count)) of the plan are done"]
        }
        if words.isEmpty { words = ["nothing is due"] }
        if tally.isCut { words.append("ended before its end") }
        try Output.line(words.joined(separator: ", ") + ".")
        if let next = tally.next {
            let time = Timestamp(
                microseconds: next.microseconds / 1_000_000 * 1_000_000 + 1_000_000)
            try Output.line("Run it again after \("\(time)".prefix(19))Z.")
        }
    }
}

/// A signal asks a run to end after the asset at hand.
enum RunSignals {
    private static let isEnding = Atomic<Bool>(false)

    static var asked: Bool { isEnding.load(ordering: .relaxed) }

    static func trap() {
        for number in [SIGTERM, SIGINT] {
            _ = signal(number) { _ in RunSignals.isEnding.store(true, ordering: .relaxed) }
        }
    }
}
