internal import LedgerFormat
internal import LedgerStorage
internal import Packets

/// Asks the packets of a ledger who names which asset.
struct PacketNames {
    private let ledger: LedgerMap
    private let scanner: NameScanner

    init(_ ledger: LedgerMap, _ scanner: NameScanner) {
        (self.ledger, self.scanner) = (ledger, scanner)
    }

    /// Notes the names in all packets from a position on. A packet that cannot be read may name anything, so
    /// then there is no answer. Clean-ups' own packets do not count. Returns the position that comes next.
    func note(
        in inventory: inout AssetInventory, from first: Position
    ) throws(CleanupPlanner.Failure) -> Position {
        var (next, unreadable): (Position, Position?) = (first, nil)
        do throws(ReadFailure) {
            try ledger.walk(from: first) { record, payload in
                let position = record.entry.position
                next = position.next
                guard record.entry.kind == .packet else { return true }
                var parser = JSONParser()
                guard Digest.sha256(payload) == record.entry.payloadDigest,
                    (try? parser.parse(payload)) != nil
                else {
                    unreadable = position
                    return false
                }
                var found: [AssetURI] = []
                scanner.scan(payload, parser.tokens) { uri in
                    if !inventory.indices(of: uri).isEmpty { found.append(uri) }
                }
                guard !found.isEmpty, !Self.isOfCleanup(payload) else { return true }
                for uri in found { inventory.note(uri, packet: position) }
                return true
            }
        } catch { throw .packets(error) }
        guard let unreadable else { return next }
        throw .unlikely(
            "the packet at position \(unreadable) is damaged, and might name anything; `stardust verify` "
                + "says more")
    }

    private static func isOfCleanup(_ payload: Span<UInt8>) -> Bool {
        guard let packet = try? JSONDocument([UInt8](payload)) else { return false }
        let type = packet.member("entity_type", of: 0).flatMap { packet.string($0) }
        let event = packet.member("lineage", of: 0).flatMap { packet.member("event", of: $0) }
            .flatMap { packet.string($0) }.flatMap(CleanupRecord.Event.init)
        return event != nil && event?.entityType == type
    }
}
