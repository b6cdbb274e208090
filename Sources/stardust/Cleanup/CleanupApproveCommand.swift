import ArgumentParser
internal import Cleanup
internal import Glibc
internal import LedgerFormat
internal import Packets
internal import Platform

struct CleanupApproveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "approve",
        abstract: "Approve a plan that somebody else made, or withdraw it.",
        discussion: """
            Emits a packet with the plan's digest, in your name. `run` acts on it if cleanup.approvers \
            names you and you did not make the plan. Whoever withdraws a plan stops it for good. Needs the \
            roles append and read. Exit codes: 65 the file was changed, is of another ledger or too \
            old, 69 the daemon is unreachable, 77 you made the plan yourself.
            """)

    @Argument(
        help: "The plan's file; read it with `stardust cleanup show` first.", completion: .file())
    var plan: String

    @Flag(help: "Withdraw the plan, approved or not: nothing more is decided or deleted by it.")
    var withdraw = false

    @OptionGroup var options: ClientOptions

    func run() async throws {
        let file = try PlanFile(plan)
        let ledger = CleanupLedger(client: options.client)
        let records = try await ledger.records(file.packet.planID)
        let planned: [CleanupRecord]
        do throws(CleanupStop) {
            planned = try CleanupApproval.planned(file.packet.plan, records)
            if !withdraw {
                try CleanupApproval.requireStanding(
                    file.plan, file.packet.plan, records, now: .systemNow())
            }
        } catch { throw Failure(error) }
        let user = geteuid()
        guard withdraw || !planned.contains(where: { $0.uid == user }) else {
            throw Failure(
                .notPermitted,
                "you, \(UserName.of(user)), made this plan; another person must approve it")
        }
        let event: CleanupRecord.Event = withdraw ? .withdrawn : .approved
        guard !records.contains(where: { $0.event == event && $0.uid == user }) else {
            return try say(
                "You \(withdraw ? "withdrew" : "approved") this plan before.", event, nil)
        }
        let packet = file.packet
        var receipt = try await ledger.emit(packet.verdict(event, by: user, on: planned[0].id))
        if receipt == nil {
            var generator = SystemRandomNumberGenerator()
            receipt = try await ledger.emit(
                packet.verdict(event, by: user, on: planned[0].id, id: .random(using: &generator)))
        }
        guard let receipt else {
            throw Failure(.inputOutput, "the packet could not be emitted: its id is taken")
        }
        let bytes = CleanupShowCommand.size(file.plan.items.reduce(0) { $0 + $1.bytes })
        let assets = CleanupShowCommand.assets(file.plan.items.count)
        try say(
            withdraw
                ? "Withdrawn, as \(UserName.of(user)): nothing more is deleted by this plan."
                : "Recorded: \(UserName.of(user)) approves that \(assets) go, \(bytes), by plan "
                    + "\(packet.plan.tagged). It counts if cleanup.approvers names you. `stardust cleanup run` "
                    + "then decides, and deletes a day later; `stardust cleanup approve --withdraw` stops it.",
            event, receipt)
    }

    private func say(
        _ text: String, _ event: CleanupRecord.Event, _ receipt: CleanupReceipt?
    ) throws(Failure) {
        guard options.json else { return try Output.line(text) }
        var json = JSONWriter()
        json.beginObject()
        json.member("event", event.rawValue)
        json.member("is_new", receipt != nil)
        if let receipt {
            json.member("position", receipt.position)
            json.member("received_at", receipt.received)
        }
        json.endObject()
        try Output.data(json.bytes + [0x0A])
    }
}
