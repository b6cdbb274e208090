import LedgerFormat
import Packets
import Reconstruction

/// A ledger in plain memory: every look-up reads all packets.
package final class MemorySource: ChainSource {
    /// Memory does not fail.
    package enum Failure: Error {}

    package static let ledger = UUID128(high: 0x5000, low: 1)

    package var packets: [ChainPacket] = []
    package var size: LedgerSize { LedgerSize(UInt64(packets.count)) }
    package var isPartlyUnindexed = false

    package init() {}

    /// Appends a packet and gives the SHA-256 of its payload.
    @discardableResult
    package func append(
        _ id: UUID128, type: String = "clips", entity: UUID128, lineage: String,
        chain: String = "null", created: Int64 = 0
    ) -> Digest {
        let payload = Array(
            """
            {"stardust_id":"\(id)","entity_type":"\(type)","entity_id":"\(entity)","lineage":\
            {"trace_id":"7d3f0a52-6f0d-4f6e-8c1b-1a2b3c4d5e6f",\(lineage)},"decision_chain":\(chain)}
            """.utf8)
        let entry = Entry(
            kind: .packet, flags: [], position: Position(size.entries),
            receivedAt: Timestamp(microseconds: 0), stardustID: id,
            createdAt: Timestamp(microseconds: created), peer: Entry.Peer(uid: 0, gid: 0),
            payloadBytes: UInt64(payload.count), payloadDigest: .sha256(payload), previous: .zero)
        packets.append(ChainPacket(entry, entryHash: .zero, payload: payload)!)
        return .sha256(payload)
    }

    /// Makes a packet's time of creation one that the ledger assigned.
    package func assignCreation(ofPacket number: Int) {
        let packet = packets[number]
        var entry = packet.entry
        entry.flags = [.createdAtAssigned]
        packets[number] = ChainPacket(entry, entryHash: .zero, payload: packet.payload)!
    }

    /// Work that was told of.
    package private(set) var spent = 0

    package func spend(_ work: Int) { spent += work }

    package func packet(at position: Position) -> ChainPacket? {
        size.contains(position) ? packets[Int(position.value)] : nil
    }

    package func mayRetract() -> Bool {
        packets.contains { $0.parents.contains { $0.relation == "retracts" } }
    }

    package func position(of id: UUID128) -> Position? {
        packets.first { $0.stardustID == id }?.position
    }

    package func position(ofPayload digest: Digest) -> Position? {
        packets.first { $0.payloadDigest == digest }?.position
    }

    package func position(ofEntity type: String, _ id: UUID128, before: Position) -> Position? {
        packets.last { $0.entityType == type && $0.entityID == id && $0.position < before }?
            .position
    }

    package func each(of target: ChainTarget, _ body: (Position) throws(Failure) -> Bool)
        throws(Failure)
    {
        for packet in packets {
            let isMember =
                switch target {
                case .packet(let id): packet.stardustID == id
                case .entity(let type, let id): packet.entityType == type && packet.entityID == id
                case .trace(let id): packet.traceID == id
                }
            if isMember, try !body(packet.position) { return }
        }
    }

    package func eachChild(of packet: ChainPacket, _ body: (Position) throws(Failure) -> Bool)
        throws(Failure)
    {
        for candidate in packets {
            if try !body(candidate.position) { return }
        }
    }

    package func eachAmendment(of packet: ChainPacket, _ body: (Position) throws(Failure) -> Bool)
        throws(Failure)
    {
        for candidate in packets {
            if try !body(candidate.position) { return }
        }
    }
}
