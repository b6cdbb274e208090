import ArgumentParser
internal import Cleanup
internal import Glibc
internal import LedgerFormat
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

    @Argument(help: "The plan's file; read it with `stardust cleanup show` first.")
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
                "you (user \(user)) made this plan; another person must approve it")
        }
        let event: CleanupRecord.Event = withdraw ? .withdrawn : .approved
        guard
            let receipt = try await ledger.emit(
                file.packet.verdict(event, by: user, on: planned[0].id))
        else {
            throw Failure(
                .badInput, "the id of this packet stands with other content; make a new plan")
        }
        if options.json {
            return try Output.line(
                "{\"event\":\"\(event.rawValue)\",\"plan\":\"\(file.packet.plan.tagged)\","
                    + "\"position\":\(receipt.position),\"received_at\":\"\(receipt.received)\"}")
        }
        try Output.line(
            withdraw
                ? "Withdrawn: nothing more is deleted by this plan."
                : "Approved: \(file.plan.items.count) assets, as user \(user). `stardust cleanup run` may "
                    + "decide now and delete a day later; `stardust cleanup approve --withdraw` stops it."
        )
    }
}
