internal import Archive
import ArgumentParser
internal import LedgerFormat
internal import ObjectStore
internal import Packets

struct ArchiveSupersededCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "superseded",
        abstract: "Print the packets that a writer took after another machine had taken over.",
        discussion: """
            Prints NDJSON, one packet a line, for `stardust emit`: each has its stardust_id, so none is \
            stored twice. Nothing is printed if there are none. Exit code 65 if the archive does not \
            know the epoch's end.
            """)

    @Argument(help: "The epoch of the writer that was superseded.")
    var epoch: UInt64

    @OptionGroup var archived: ArchivedLedgerOptions

    @Flag(help: "Print JSON, as it does anyway.")
    var json = false

    func validate() throws {
        guard archived.isGiven else { throw ValidationError("--archive names a store") }
    }

    func run() throws {
        do throws(ArchiveFailure) {
            let ledger = try archived.ledger(.ofCommand)
            guard let end = ledger.epochs.end(of: epoch) else {
                throw ArchiveFailure.ledger("no machine has taken over from epoch \(epoch)")
            }
            try ledger.superseded(epoch, from: end, .ofCommand) {
                (entry, payload) throws(ArchiveFailure) in
                guard entry.kind == .packet else { return }
                do throws(Failure) { try Output.line(Self.packet(entry, payload)) } catch {
                    throw .ledger(error.message)
                }
            }
        } catch { throw Failure(error) }
    }

    /// The packet on one line, with the id and the time under which it was stored.
    private static func packet(_ entry: Entry, _ payload: [UInt8]) -> String {
        // JSON strings contain no line ends, and a packet is an object.
        var text = payload.map { $0 == 0x0A || $0 == 0x0D ? 0x20 : $0 }
        var assigned = ""
        if entry.flags.contains(.idAssigned) {
            assigned += "\"stardust_id\":\"\(entry.stardustID)\","
        }
        if entry.flags.contains(.createdAtAssigned) {
            assigned += "\"created_at\":\"\(entry.createdAt)\","
        }
        // Every packet has other members.
        text.insert(contentsOf: Array(assigned.utf8), at: 1)
        return String(decoding: text, as: UTF8.self)
    }
}
