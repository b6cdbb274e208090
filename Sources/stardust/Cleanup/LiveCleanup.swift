internal import Cleanup
internal import Glibc
internal import LedgerFormat
internal import LedgerStorage
internal import ObjectStore
internal import Packets
internal import Platform
internal import ReadModel
internal import StardustCore

/// A run's outside: the daemon, the ledger's folder, the read model and the stores.
final class LiveCleanup: CleanupWorld {
    private let file: PlanFile
    private let settings: CleanupSettings
    private let archive: (any ArchivedBytes)?
    private let path: String
    private let daemon: CleanupLedger
    private let rows: CleanupRows
    private let stores: [any AssetStore]
    private let logs: CleanupLogs
    private let asJSON: Bool
    private var judge: AssetJudge
    /// Entries that this process added since the newest look, and how many there were before it.
    private var emitted: UInt64 = 0
    private var lookedAt: UInt64 = 0
    /// Why the outcomes could not be printed.
    private(set) var outputFailure: Failure?

    init(
        _ file: PlanFile, _ settings: CleanupSettings, _ configuration: Configuration,
        ledger: String, client: DaemonClient, logs: String?, asJSON: Bool
    ) throws(Failure) {
        (self.file, self.settings, path) = (file, settings, ledger)
        self.asJSON = asJSON
        archive = configuration.archive?.access?.reading
        daemon = CleanupLedger(client: client)
        rows = CleanupRows(ledger, file.plan)
        self.logs = try CleanupLogs(
            client.socket, logs, followsPostgres: try rows.followsPostgres)
        var stores: [any AssetStore] = []
        for settings in settings.stores {
            do throws(StoreFailure) {
                stores.append(try settings.openAssets { String.environment($0) })
            } catch { throw Failure(error) }
        }
        self.stores = stores
        do throws(CleanupStop) {
            judge = try AssetJudge(
                file.plan, settings.classes, settings.rules, endpoints: settings.endpoints)
        } catch { throw Failure(error) }
    }

    var now: Timestamp { .systemNow() }

    var user: UInt32 { geteuid() }

    var isEnding: Bool { RunSignals.asked || outputFailure != nil }

    // MARK: The ledger

    func records() async throws(CleanupStop) -> [CleanupRecord] {
        do throws(Failure) { return try await daemon.records(file.packet.planID) } catch {
            throw CleanupStop(error)
        }
    }

    func deletions(since: Timestamp, limit: Int) async throws(CleanupStop) -> [Timestamp] {
        let query = [
            ("lineage", "{\"event\":\"\(CleanupRecord.Event.deleted.rawValue)\"}"),
            ("entity_type", CleanupRecord.assets), ("received_from", "\(since)"),
            ("order", "desc"), ("limit", "1000"),
        ]
        var (found, cursor): ([Timestamp], String?) = ([], nil)
        do throws(Failure) {
            repeat {
                let page = try await daemon.page("/v1/packets", query + [("cursor", cursor)])
                // What others emitted would hold up clean-ups for ever.
                found += page.records.filter { $0.uid == user }.map(\.received)
                cursor = page.next
            } while cursor != nil && found.count < limit
        } catch { throw CleanupStop(error) }
        return found.prefix(limit).reversed()
    }

    func emit(_ packet: [UInt8]) async throws(CleanupStop) -> CleanupReceipt? {
        do throws(Failure) {
            let receipt = try await daemon.emit(packet)
            // What stood already has added nothing.
            if let receipt, receipt.position >= lookedAt { emitted += 1 }
            return receipt
        } catch { throw CleanupStop(error) }
    }

    /// Size of the ledger, and whether somebody has withdrawn the plan.
    private func standing() async throws(CleanupStop) -> (size: UInt64, isWithdrawn: Bool) {
        let query = [
            ("trace_id", "\(file.packet.planID)"), ("limit", "1"),
            ("lineage", "{\"event\":\"\(CleanupRecord.Event.withdrawn.rawValue)\"}"),
        ]
        do throws(Failure) {
            let page = try await daemon.page("/v1/packets", query)
            // Whatever else it says: nobody may hide a withdrawal behind a packet that is none.
            return (page.ledgerSize, page.packets > 0)
        } catch { throw CleanupStop(error) }
    }

    // MARK: Looking

    func look(at items: [CleanupPlan.Item]) async throws(CleanupStop) -> CleanupLook {
        let standing = try await standing()
        (emitted, lookedAt) = (0, standing.size)
        for item in items {
            do throws(StoreFailure) { try take(item, try state(of: item)) } catch {
                throw CleanupStop(.unreachable, "\(error)")
            }
        }
        try readPackets()
        let snapshot = try rows.snapshot()
        let moment = try rows.moment(of: snapshot, now: now)
        do throws(CleanupPlanner.Failure) { try judge.read(snapshot.connection) } catch {
            throw CleanupStop(Failure(error))
        }
        var verdicts: [RetentionRules.Verdict] = []
        let now = now
        for item in items { verdicts.append(try judge.verdict(on: item, now: now)) }
        return CleanupLook(
            moment: moment, lsn: "\(snapshot.state.lsn)", verdicts: verdicts,
            isWithdrawn: standing.isWithdrawn,
            state: "\(rows.mark(snapshot.state))\n\(standing.size)")
    }

    /// Nil if it is gone. What a deletion hid that was cut short is there.
    private func state(of item: CleanupPlan.Item) throws(StoreFailure) -> StoredAsset? {
        let (store, key) = try place(of: item)
        if let asset = try store.asset(key, .ofCommand) { return asset }
        guard try store.settle(key, mark: item.records.deletion, .ofCommand) else { return nil }
        return try store.asset(key, .ofCommand)
    }

    private func take(_ item: CleanupPlan.Item, _ asset: StoredAsset?) throws(StoreFailure) {
        do throws(CleanupStop) { try judge.take(item, asset) } catch {
            throw StoreFailure(.refused, item.uri, error.detail)
        }
    }

    private func readPackets() throws(CleanupStop) {
        do throws(Failure) {
            let map = try CleanupPlanCommand.map(of: path, archive)
            do throws(CleanupPlanner.Failure) { try judge.read(map) } catch { throw Failure(error) }
        } catch { throw CleanupStop(error) }
    }

    func hasChanged(since look: CleanupLook) async throws(CleanupStop) -> Bool {
        let standing = try await standing()
        let size = standing.size - min(emitted, standing.size)
        let mark = rows.mark(try rows.snapshot().state)
        return standing.isWithdrawn || look.state != "\(mark)\n\(size)"
    }

    func glance(at item: CleanupPlan.Item) async throws(CleanupStop) -> RetentionRules.Reason? {
        guard !(try await standing().isWithdrawn) else { throw CleanupApproval.withdrawnMeanwhile }
        try readPackets()
        if case .stays(let reason) = try judge.verdict(on: item, now: now) { return reason }
        return try judge.promotion(of: item, try rows.snapshot().connection)
    }

    // MARK: Assets

    func delete(_ item: CleanupPlan.Item) throws(StoreFailure) -> AssetDeletion {
        let (store, key) = try place(of: item)
        return try store.delete(key, tag: item.tag, mark: item.records.deletion, .ofCommand)
    }

    func settle(_ item: CleanupPlan.Item) throws(StoreFailure) -> Bool {
        let (store, key) = try place(of: item)
        if try store.settle(key, mark: item.records.deletion, .ofCommand) { return true }
        guard try store.isEmpty(.ofCommand) else { return false }
        throw StoreFailure(
            .refused, store.name,
            "nothing at all is there, so that an asset that is gone may come back; is the disk mounted, and "
                + "the bucket the right one?")
    }

    private func place(
        of item: CleanupPlan.Item
    ) throws(StoreFailure) -> (any AssetStore, String) {
        guard let uri = AssetURI(item.uri),
            let number = settings.classes.indices.first(where: {
                settings.classes[$0].kind == item.kind && settings.classes[$0].key(of: uri) != nil
            }), let key = settings.classes[number].key(of: uri)
        else { throw StoreFailure(.refused, item.uri, "the settings no longer name its place") }
        return (stores[number], key)
    }

    // MARK: Logs

    func logged(_ ids: [UUID128]) async throws(CleanupStop) -> Set<UUID128> { try rows.logged(ids) }

    func log(_ rows: [CleanupLog]) async throws(CleanupStop) {
        func add() async throws(CleanupStop) {
            do throws(Failure) { try await logs.add(rows) } catch { throw CleanupStop(error) }
        }
        if logs.areFed { try await self.rows.changing(add) } else { try await add() }
    }

    func note(_ item: CleanupPlan.Item, _ outcome: CleanupOutcome) {
        do throws(Failure) { try print(item, outcome) } catch {
            outputFailure = outputFailure ?? error
        }
    }

    private func print(_ item: CleanupPlan.Item, _ outcome: CleanupOutcome) throws(Failure) {
        let (word, detail) = outcome.words
        guard asJSON else {
            return try Output.line(
                Output.safe(
                    "\(word.padded(to: 8)) \(item.uri)\(detail.isEmpty ? "" : "  \(detail)")"))
        }
        var json = JSONWriter()
        json.beginObject()
        json.member("outcome", word)
        json.member("uri", item.uri)
        json.member("entity_id", item.assetID)
        if !detail.isEmpty { json.member("detail", detail) }
        json.endObject()
        try Output.data(json.bytes + [0x0A])
    }
}

extension CleanupOutcome {
    fileprivate var words: (String, String) {
        switch self {
        case .decided(let until): ("decided", "may go after \(until)")
        case .deleted(let isGone): ("deleted", isGone ? "it was gone already" : "")
        case .kept(let reason), .spared(let reason): ("kept", reason)
        case .failed(let failure): ("failed", failure.description)
        }
    }
}
