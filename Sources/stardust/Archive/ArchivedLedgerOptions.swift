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
            "A configuration file, whose archive has the ledger; instead of --archive.",
            valueName: "file"), completion: .file())
    var config: String?

    @Option(
        help: ArgumentHelp(
            "Which ledger, if the store has several.", valueName: "uuid"))
    var ledgerID: String?

    var isGiven: Bool { config != nil || !urls.isEmpty }

    func validate() throws {
        guard config == nil || urls.isEmpty else {
            throw ValidationError("give --archive or --config, not both")
        }
    }

    func ledger(_ patience: Patience) throws(ArchiveFailure) -> ShippedLedger {
        try ShippedLedger.open(StoreList(urls, config), ledgerID, patience)
    }
}

/// Stores by their URLs, or those of a configuration's archive.
struct StoreList {
    fileprivate var settings: [StoreSettings] = []
    /// Their URLs.
    let names: [String]

    init(_ urls: [String], _ config: String?) throws(ArchiveFailure) {
        for text in urls {
            do throws(StoreURL.Malformed) {
                settings.append(StoreSettings(try StoreURL(text)))
            } catch {
                throw .store(StoreFailure(.refused, "", "\(error)"))
            }
        }
        guard let config else {
            names = urls
            return
        }
        do throws(Failure) {
            guard let archive = try Configuration(path: config, resolves: false).archive else {
                throw Failure(.badConfiguration, "\(config) has no archive")
            }
            settings = archive.stores
            names = archive.stores.map { "\($0.url)" }
        } catch { throw .store(StoreFailure(.refused, "", error.message)) }
    }
}

extension ShippedLedger {
    /// Opens stores with the environment's credentials, and endpoint and region unless a configuration has them.
    static func open(
        _ list: StoreList, _ ledgerID: String?, _ patience: Patience
    ) throws(ArchiveFailure) -> ShippedLedger {
        var (stores, away): ([any ObjectStore], [StoreFailure]) = ([], [])
        for settings in list.settings {
            do throws(StoreFailure) {
                stores.append(try settings.open { String.environment($0) })
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
