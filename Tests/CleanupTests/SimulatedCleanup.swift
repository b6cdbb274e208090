import Cleanup
import LedgerFormat
import ObjectStore
import PipelineWorkload

/// The outside of a run in memory. Whenever a run asks something, others act first: rows and packets name
/// assets, clips are promoted, objects change or go, time passes, the process dies, another run comes between.
/// Used by one task at a time.
final class SimulatedCleanup: CleanupWorld, @unchecked Sendable {
    enum Protection: CaseIterable { case promoted, row, packet }

    /// What a wrong program would do; the checks must notice each.
    enum Mistake: CaseIterable { case neverLooksAgain, neverGlances, ignoresTags, deletesAtOnce }

    let plan: CleanupPlan
    let packet: CleanupPacket
    var generator: SeededGenerator
    var mistake: Mistake?
    /// Whether others act, and processes die.
    var isWild = true

    private(set) var now: Timestamp
    private(set) var ledger: [(record: CleanupRecord, bytes: [UInt8])] = []
    var tags: [String: String] = [:]
    var protections: [String: Set<Protection>] = [:]
    private var isWithdrawn = false
    private(set) var logs: [UUID128: CleanupLog] = [:]
    /// What the newest look, or look whether anything changed, had before it.
    private var seen: [String: Set<Protection>] = [:]
    private var version = 0
    private(set) var problems: [String] = []
    private(set) var deletedByUs: [String: Timestamp] = [:]
    private(set) var isForged = false
    /// Assets that others wrote anew.
    private(set) var remade: Set<String> = []
    private var isDead = false
    private var depth = 0
    static let planner: UInt32 = 1000
    static let approver: UInt32 = 1001

    init(seed: UInt64, assets: Int) {
        generator = SeededGenerator(seed: seed)
        now = Timestamp(rfc3339: "2026-11-01T00:00:00Z")!
        var items: [CleanupPlan.Item] = []
        for number in 0..<assets {
            let uri = "s3://assets/\(number)"
            items.append(
                CleanupPlan.Item(
                    uri: uri, kind: .raw, finding: number % 2 == 0 ? .orphan : .rawExpired,
                    bytes: 10,
                    tag: "tag-\(number)", changed: Timestamp(microseconds: 0), daysOver: 3,
                    owner: nil,
                    records: CleanupPlan.Records(using: &generator)))
            tags[uri] = "tag-\(number)"
        }
        plan = CleanupPlan(
            ledgerID: .random(using: &generator), lsn: "0/1", model: 1, ledgerSize: 0, made: now,
            objects: assets, bytes: 0, kept: [], items: items)
        packet = CleanupPacket(plan: .sha256(plan.headLine(assets: assets)), version: "test")
    }

    static let limits = {
        var limits = CleanupLimits()
        (limits.deletionsAnHour, limits.together) = (3, 4)
        return limits
    }()

    func add(_ event: CleanupRecord.Event, by uid: UInt32) {
        let id = UUID128.random(using: &generator)
        ledger.append(
            (
                CleanupRecord(
                    id: id, event: event, entity: packet.planID, plan: packet.plan,
                    position: UInt64(ledger.count), received: now, uid: uid), []
            ))
        if event == .withdrawn { isWithdrawn = true }
        version += 1
    }

    /// One process's life. Returns why it ended early; nil if it did not.
    func live() async -> CleanupStop? {
        isDead = false
        var limits = Self.limits
        if mistake == .deletesAtOnce { limits.pause = .seconds(60) }
        var run = CleanupRun(plan, packet, self, limits: limits) { $0.uid == Self.approver }
        do throws(CleanupStop) { try await run.run() } catch { return error }
        return nil
    }

    func pass(_ duration: Duration) {
        now = Timestamp(microseconds: now.microseconds + Int64(duration / .microseconds(1)))
    }

    // MARK: What others do

    private func chance(_ one: Int) -> Bool { Int.random(in: 0..<one, using: &generator) == 0 }

    private static let dead = CleanupStop(.unreachable, "the process died")

    /// Something happens before each call.
    private func step() async throws(CleanupStop) {
        if isDead { throw Self.dead }
        guard isWild else { return }
        pass(.milliseconds(Int.random(in: 1...2000, using: &generator)))
        if chance(12) { act() }
        if chance(60), depth == 0 {
            // What it saw is not what this one saw.
            let seen = seen
            depth = 1
            _ = await live()
            (depth, isDead, self.seen) = (0, false, seen)
        }
        if chance(50) { try die() }
    }

    private func die() throws(CleanupStop) {
        isDead = true
        throw Self.dead
    }

    private func act() {
        version += 1
        let uri = plan.items.randomElement(using: &generator)!.uri
        switch Int.random(in: 0..<12, using: &generator) {
        case 0...3:
            protections[uri, default: []].insert(
                Protection.allCases.randomElement(using: &generator)!)
        case 4, 5:
            // What a packet says stays said.
            if let lifted = protections[uri]?.subtracting([.packet]).first {
                protections[uri]?.remove(lifted)
            }
        case 6, 7:
            remade.insert(uri)
            tags[uri] = "another-\(Int.random(in: 0..<1_000_000, using: &generator))"
        case 8: tags[uri] = nil
        case 9: pass(.seconds(Int.random(in: 30...7200, using: &generator)))
        case 10 where chance(30): add(.withdrawn, by: 7)
        case 11 where chance(60): forge()
        default: break
        }
    }

    /// Somebody who read the plan emits a record with one of its ids.
    private func forge() {
        let item = plan.items.randomElement(using: &generator)!
        let isDecision = Bool.random(using: &generator)
        let id = isDecision ? item.records.decision : item.records.deletion
        guard !ledger.contains(where: { $0.record.id == id }) else { return }
        ledger.append(
            (
                CleanupRecord(
                    id: id, event: isDecision ? .decided : .deleted, entity: item.assetID,
                    plan: packet.plan, position: UInt64(ledger.count), received: now, uid: 7), []
            ))
        isForged = true
    }

    // MARK: What a run asks

    let user: UInt32 = 0

    var isEnding: Bool { isDead || (isWild && chance(100)) }

    func records() async throws(CleanupStop) -> [CleanupRecord] {
        try await step()
        return ledger.map(\.record)
    }

    func deletions(since: Timestamp, limit: Int) async throws(CleanupStop) -> [Timestamp] {
        try await step()
        return Array(
            ledger.map(\.record).filter {
                $0.event == .deleted && $0.received >= since && $0.uid == user
            }
            .map(\.received).suffix(limit))
    }

    func look(at items: [CleanupPlan.Item]) async throws(CleanupStop) -> CleanupLook {
        try await step()
        seen = protections
        let tags = tags
        let look = CleanupLook(
            moment: now, lsn: "0/\(version)",
            verdicts: items.map { item in
                guard let tag = tags[item.uri] else { return .stays(.gone) }
                guard tag == item.tag else { return .stays(.changed) }
                return switch protections[item.uri]?.first {
                case .promoted:
                    .stays(.named(.row(table: "upload_jobs", column: "status", id: "")))
                case .row: .stays(.named(.row(table: "clips", column: "metadata", id: "")))
                case .packet: .stays(.named(.packet(Position(3))))
                case nil: .goes(item.finding, daysOver: item.daysOver)
                }
            }, isWithdrawn: isWithdrawn, state: "\(version)")
        // Rows and packets change while they are read.
        if isWild, chance(20) { pass(.seconds(Int.random(in: 1...90, using: &generator))) }
        while isWild, chance(3) { act() }
        return look
    }

    func hasChanged(since look: CleanupLook) async throws(CleanupStop) -> Bool {
        try await step()
        if mistake == .neverLooksAgain {
            return false
        }
        let hasChanged = look.state != "\(version)"
        if !hasChanged { seen = protections }
        return hasChanged
    }

    func glance(at item: CleanupPlan.Item) async throws(CleanupStop) -> RetentionRules.Reason? {
        try await step()
        if isWithdrawn { throw CleanupApproval.withdrawnMeanwhile }
        if mistake == .neverGlances { return nil }
        let protections = protections[item.uri] ?? []
        if protections.contains(.promoted) {
            return .named(.row(table: "upload_jobs", column: "status", id: ""))
        }
        return protections.contains(.packet) ? .named(.packet(Position(3))) : nil
    }

    func emit(_ packet: [UInt8]) async throws(CleanupStop) -> CleanupReceipt? {
        try await step()
        let text = String(decoding: packet, as: UTF8.self)
        guard let record = try? ListedRecord.read(text, UInt64(ledger.count), now) else {
            throw CleanupStop(.inputOutput, "no record of a clean-up: \(text)")
        }
        if let first = ledger.first(where: { $0.record.id == record.id }) {
            guard first.bytes == packet else { return nil }
            return CleanupReceipt(position: first.record.position, received: first.record.received)
        }
        ledger.append((record, packet))
        if record.event == .kept,
            let item = plan.items.first(where: { $0.assetID == record.entity }),
            deletedByUs[item.uri] != nil, !remade.contains(item.uri)
        {
            problems.append("\(item.uri): said to be kept, and deleted")
        }
        if isWild, chance(40) { try die() }
        return CleanupReceipt(position: record.position, received: record.received)
    }

    func delete(_ item: CleanupPlan.Item) throws(StoreFailure) -> AssetDeletion {
        if isDead || (isWild && chance(30)) {
            throw StoreFailure(.unreachable, item.uri, "the store does not answer")
        }
        guard let tag = tags[item.uri] else { return .gone }
        guard tag == item.tag || mistake == .ignoresTags else { return .changed }
        check(item, tag)
        tags[item.uri] = nil
        deletedByUs[item.uri] = now
        if isWild, chance(20) {
            isDead = true
            throw StoreFailure(.unreachable, item.uri, "the answer was lost, and the process died")
        }
        return .deleted
    }

    /// What must be true whenever something is deleted.
    private func check(_ item: CleanupPlan.Item, _ tag: String) {
        if tag != item.tag { problems.append("\(item.uri): another object was deleted") }
        // A row that comes to name it while rows are read for the last time is not seen; all else is.
        let now = protections[item.uri] ?? []
        if now.contains(.promoted) || now.contains(.packet)
            || seen[item.uri]?.contains(.row) == true
        {
            problems.append("\(item.uri): deleted though \(now)")
        }
        if deletedByUs[item.uri] != nil { problems.append("\(item.uri): deleted twice") }
        let decision = ledger.first { $0.record.id == item.records.decision }?.record
        let day = Int64(86_400_000_000)
        guard let decision, self.now.microseconds - decision.received.microseconds >= day else {
            return problems.append("\(item.uri): deleted less than a day after the decision")
        }
        let approval = ledger.first {
            $0.record.event == .approved && $0.record.uid == Self.approver
        }
        if approval.map({ $0.record.position < decision.position }) != true {
            problems.append("\(item.uri): decided without an approval")
        }
        let hour = Int64(3_600_000_000)
        let recent = ledger.map(\.record).filter {
            $0.event == .deleted && self.now.microseconds - $0.received.microseconds < hour
        }
        if recent.count >= Self.limits.deletionsAnHour, depth == 0, !isWild {
            problems.append("\(item.uri): the \(recent.count + 1)th deletion in an hour")
        }
        if self.now >= plan.expires { problems.append("\(item.uri): the plan was too old") }
    }

    func settle(_ item: CleanupPlan.Item) throws(StoreFailure) -> Bool {
        if isDead || (isWild && chance(30)) {
            throw StoreFailure(.unreachable, item.uri, "the store does not answer")
        }
        return tags[item.uri] != nil
    }

    func logged(_ ids: [UUID128]) async throws(CleanupStop) -> Set<UUID128> {
        try await step()
        return Set(ids).intersection(logs.keys)
    }

    func log(_ rows: [CleanupLog]) async throws(CleanupStop) {
        for row in rows {
            try await step()
            if let known = logs[row.id], known != row {
                problems.append("\(row.uri): two log rows of one id")
            }
            logs[row.id] = row
        }
    }

    func note(_ item: CleanupPlan.Item, _ outcome: CleanupOutcome) {}

}
