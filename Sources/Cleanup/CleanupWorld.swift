package import LedgerFormat
package import ObjectStore

/// What a run asks and does outside of itself. Every call may fail, and may be the last that this process
/// makes.
package protocol CleanupWorld: AnyObject {
    var now: Timestamp { get }

    /// Somebody asked this process to end.
    var isEnding: Bool { get }

    /// All packets of the plan's trace that clean-ups leave, in ledger order.
    func records() async throws(CleanupStop) -> [CleanupRecord]

    /// The user whom the entries of this process name.
    var user: UInt32 { get }

    /// When this user's runs deleted assets since a time, by any plan; the newest `limit` of them, oldest
    /// first.
    func deletions(since: Timestamp, limit: Int) async throws(CleanupStop) -> [Timestamp]

    /// Judges assets by all rows and packets of this moment.
    func look(at items: [CleanupPlan.Item]) async throws(CleanupStop) -> CleanupLook

    /// Whether a row or packet came since, or the plan was withdrawn.
    func hasChanged(since look: CleanupLook) async throws(CleanupStop) -> Bool

    /// Looks once more, as quickly as can be, at what promotes an asset and at new packets. Nil if nothing
    /// keeps it.
    func glance(at item: CleanupPlan.Item) async throws(CleanupStop) -> RetentionRules.Reason?

    /// Makes a packet durable. Nil if its id stands with other content.
    func emit(_ packet: [UInt8]) async throws(CleanupStop) -> CleanupReceipt?

    /// Deletes the asset, if it is what was judged.
    func delete(_ item: CleanupPlan.Item) throws(StoreFailure) -> AssetDeletion

    /// Undoes a deletion of the asset that was cut short, and tells whether it is there. Fails if its whole place
    /// is empty, as where a disk is not mounted.
    func settle(_ item: CleanupPlan.Item) throws(StoreFailure) -> Bool

    /// Which of the ids are log rows already.
    func logged(_ ids: [UUID128]) async throws(CleanupStop) -> Set<UUID128>

    /// Adds log rows durably; those that stand are left alone.
    func log(_ rows: [CleanupLog]) async throws(CleanupStop)

    /// Told of each asset's outcome, and of what failed.
    func note(_ item: CleanupPlan.Item, _ outcome: CleanupOutcome)
}

/// Where and when a packet became durable.
package struct CleanupReceipt: Hashable, Sendable {
    package var position: UInt64
    package var received: Timestamp

    package init(position: UInt64, received: Timestamp) {
        (self.position, self.received) = (position, received)
    }
}

/// What rows and packets said of assets at one moment.
package struct CleanupLook: Sendable {
    /// When it began.
    package var moment: Timestamp
    /// The rows' position.
    package var lsn: String
    /// Of each asset that was asked for, in order.
    package var verdicts: [RetentionRules.Verdict]
    /// Somebody withdrew the plan.
    package var isWithdrawn: Bool
    /// Tells these rows and packets from later ones.
    package var state: String

    package init(
        moment: Timestamp, lsn: String, verdicts: [RetentionRules.Verdict], isWithdrawn: Bool,
        state: String
    ) {
        (self.moment, self.lsn, self.verdicts) = (moment, lsn, verdicts)
        (self.isWithdrawn, self.state) = (isWithdrawn, state)
    }

    /// Nothing is decided or deleted by what is older.
    package static let validity = Duration.seconds(60)
}

/// Why a run ends before its end.
package struct CleanupStop: Error, Hashable, CustomStringConvertible {
    package var kind: Kind
    package var detail: String

    package enum Kind: Hashable, Sendable {
        /// The plan, or what it is judged by, is not what it must be.
        case refused
        /// Nobody has approved it who may, or this user may not do something.
        case notPermitted
        /// A store or the daemon does not answer, or goes on failing.
        case unreachable
        /// Something on this machine could not be read or written.
        case inputOutput
    }

    package init(_ kind: Kind, _ detail: String) { (self.kind, self.detail) = (kind, detail) }

    package var description: String { detail }
}

/// What a run did about an asset.
package enum CleanupOutcome: Hashable, Sendable {
    /// It will be deleted at the next run after this time.
    case decided(until: Timestamp)
    case deleted(isGone: Bool)
    /// It stays for good, as far as this plan goes.
    case kept(String)
    /// It stays for now; nothing was decided.
    case spared(String)
    case failed(StoreFailure)
}

/// A row of the engine's logs.
package struct CleanupLog: Hashable, Sendable {
    package var id: UUID128
    package var level: String
    package var message: String
    package var uri: String
    package var asset: UUID128
    package var record: UUID128
    package var time: Timestamp

    package static let source = CleanupRecord.worker

    /// Always the same for the same record.
    package init(_ item: CleanupPlan.Item, _ record: CleanupRecord) {
        let isDeleted = record.event == .deleted
        id = item.records.log
        level = isDeleted ? "INFO" : "WARN"
        message = "\(isDeleted ? "deleted" : "kept") \(item.uri): \(record.reason)"
        (uri, asset) = (item.uri, item.assetID)
        (self.record, time) = (record.id, record.received)
    }
}
