internal import LedgerFormat
internal import LedgerStorage
internal import Packets

/// Asks the packets of a ledger who mentions which asset, and what clean-ups have done.
struct PacketNames {
    private(set) var next = Position(0)
    /// Assets that were deleted, by the loose forms of their names.
    private var deleted: Set<Int> = []
    /// Assets that were decided about, and when; nothing has become of them yet.
    private var decided: [Int: Timestamp] = [:]

    func isDeleted(_ uri: AssetURI) -> Bool { deleted.contains(uri.loose.hashValue) }

    /// Whether a plan that was good at the time may still delete it.
    func isDecided(_ uri: AssetURI, now: Timestamp) -> Bool {
        decided[uri.loose.hashValue].map { now < $0 + CleanupPlan.validity } ?? false
    }

    /// Reads the packets that were not read yet. One that cannot be read may name anything, so then there is no
    /// answer. Clean-ups' own packets mention nothing.
    mutating func read(
        _ ledger: LedgerMap, _ inventory: inout AssetInventory
    ) throws(CleanupPlanner.Failure) {
        var (names, unreadable): (PacketNames, Position?) = (self, nil)
        do throws(ReadFailure) {
            try ledger.walk(from: next) { record, payload in
                let position = record.entry.position
                names.next = position.next
                guard record.entry.kind == .packet else { return true }
                var parser = JSONParser()
                guard Digest.sha256(payload) == record.entry.payloadDigest,
                    (try? parser.parse(payload)) != nil
                else {
                    unreadable = position
                    return false
                }
                let bytes = [UInt8](payload)
                if names.note(bytes, record.entry.receivedAt) { return true }
                Mention.all(in: LooseText.of(bytes), inventory.limits) { mention in
                    for index in inventory.indices(of: mention) {
                        inventory.note(index, packet: position)
                    }
                }
                return true
            }
        } catch { throw .packets(error) }
        self = names
        guard let unreadable else { return }
        throw .unlikely(
            "the packet at position \(unreadable) is damaged, and might name anything; `stardust verify` "
                + "says more")
    }

    /// Takes a packet of a clean-up; false if it is none.
    private mutating func note(_ payload: [UInt8], _ received: Timestamp) -> Bool {
        guard payload.contains(UInt8(ascii: "x")), let packet = try? JSONDocument(payload),
            let lineage = packet.member("lineage", of: 0),
            let event = packet.member("event", of: lineage).flatMap({ packet.string($0) })
                .flatMap(CleanupRecord.Event.init),
            packet.member("entity_type", of: 0).flatMap({ packet.string($0) }) == event.entityType
        else { return false }
        let uri = packet.member("decision_context", of: lineage)
            .flatMap { packet.member("uri", of: $0) }.flatMap { packet.string($0) }
            .flatMap { AssetURI($0) }
        guard let name = uri?.loose.hashValue else { return true }
        switch event {
        case .decided: decided[name] = received
        case .deleted:
            decided[name] = nil
            deleted.insert(name)
        case .kept: decided[name] = nil
        case .planned, .approved, .withdrawn: break
        }
        return true
    }
}
