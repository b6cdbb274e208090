internal import Archive
import ArgumentParser
internal import LedgerFormat
internal import LedgerStorage
internal import ObjectStore
internal import Packets
internal import Platform

struct ArchiveRelinkCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "relink",
        abstract: "Get what is left here of archived segments again, if it was lost.",
        discussion: """
            For a folder whose `archived` is missing or damaged, while the daemon is stopped. What is \
            there and sound stays. `stardust verify` afterwards shows that all fits.
            """)

    @Argument(help: "The ledger's folder.", completion: .directory)
    var ledger: String

    @OptionGroup var archived: ArchivedLedgerOptions

    @OptionGroup var result: ResultOptions

    func validate() throws {
        guard archived.isGiven else { throw ValidationError("--archive names a store") }
    }

    func run() throws {
        let (volume, lock) = try LockedLedger.open(ledger)
        defer { withExtendedLifetime(lock) {} }
        let identity: LedgerIdentity
        do throws(OpenFailure) { identity = try Ledger.identity(volume) } catch {
            throw Failure(error)
        }
        let count: Int
        do throws(ArchiveFailure) {
            let shipped = try ShippedLedger.open(
                StoreList(archived.urls, archived.config),
                archived.ledgerID ?? "\(identity.ledgerID)", .ofCommand)
            count = try Relinking.run(shipped, volume, .ofCommand)
        } catch { throw Failure(error) }
        try result.show("\(count) files of entries were written") { $0.member("files", count) }
    }
}
