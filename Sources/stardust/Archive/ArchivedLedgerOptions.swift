internal import Archive
import ArgumentParser
internal import LedgerFormat
internal import ObjectStore

/// Which archived ledger to read, and from where.
struct ArchivedLedgerOptions: ParsableArguments {
    @Option(
        name: .customLong("archive"),
        help: ArgumentHelp(
            "A store that has the ledger: s3://, gs:// or file:///; repeatable.", valueName: "url"))
    var urls: [String] = []

    @Option(
        help: ArgumentHelp(
            "Which ledger, if the store has several.", valueName: "uuid"))
    var ledgerID: String?

    func ledger(_ patience: Patience) throws(ArchiveFailure) -> ShippedLedger {
        try ShippedLedger.open(urls, ledgerID, patience)
    }
}

extension ShippedLedger {
    /// Opens stores by their URLs, with the environment's credentials, endpoint and region.
    static func open(
        _ urls: [String], _ ledgerID: String?, _ patience: Patience
    ) throws(ArchiveFailure) -> ShippedLedger {
        var (stores, away): ([any ObjectStore], [StoreFailure]) = ([], [])
        for text in urls {
            let url: StoreURL
            do throws(StoreURL.Malformed) { url = try StoreURL(text) } catch {
                throw .store(StoreFailure(.refused, "", "\(error)"))
            }
            do throws(StoreFailure) {
                stores.append(try StoreSettings(url).open { String.environment($0) })
            } catch { away.append(error) }
        }
        if stores.isEmpty, let first = away.first { throw .store(first) }
        for failure in away { Output.error("note: not asked: \(failure)") }
        var id: UUID128?
        if let ledgerID {
            id = UUID128(ledgerID[...])
            if id == nil { throw .store(StoreFailure(.refused, "", "\(ledgerID) is not a UUID")) }
        }
        let ledger = try ShippedLedger(stores, id, patience)
        for failure in ledger.away { Output.error("note: not asked: \(failure)") }
        return ledger
    }
}
