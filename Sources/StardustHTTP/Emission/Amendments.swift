internal import LedgerFormat
internal import LedgerStorage
internal import Packets
internal import Reconstruction
internal import StardustCore

/// What a packet says about others: that it retracts, supersedes or revises them. A peer that may
/// append only some entity types may say so only of packets of those types, or it could taint any.
enum Amendments {
    /// The packet, if it amends others; nil if it does not.
    static func packet(_ payload: [UInt8], _ facts: PacketFacts) -> ChainPacket? {
        // It has no entry yet; these are only what references are resolved with.
        let entry = Entry(
            kind: .packet, flags: [], position: Position(.max),
            receivedAt: Timestamp(microseconds: 0),
            stardustID: facts.stardustID ?? UUID128(high: 0, low: 0),
            createdAt: Timestamp(microseconds: 0), peer: Entry.Peer(uid: 0, gid: 0),
            payloadBytes: UInt64(payload.count), payloadDigest: .sha256(payload), previous: .zero)
        guard let packet = ChainPacket(entry, entryHash: .zero, payload: payload),
            packet.parents.contains(where: \.isAmendment)
        else { return nil }
        return packet
    }

    /// The packets of a chunk that amend others, with the numbers of their lines.
    static func packets(
        in chunk: LineCutter.Chunk, _ read: (Span<UInt8>) -> PacketFacts?
    ) -> [(line: Int, packet: ChainPacket)] {
        var found: [(line: Int, packet: ChainPacket)] = []
        chunk.eachLine { line, text in
            guard case .text(let payload) = text, let facts = read(payload),
                let packet = packet([UInt8](payload), facts)
            else { return }
            found.append((line, packet))
        }
        return found
    }

    /// Why the peer may not append some of these, by the numbers of their lines. Blocks on the disk.
    static func problems(
        _ packets: [(line: Int, packet: ChainPacket)], _ grant: AccessPolicy.Grant,
        _ context: QueryContext
    ) -> [Int: BoxedProblem] {
        packets.reduce(into: [:]) { found, item in
            do throws(Problem) {
                found[item.line] = try problem(item.packet, grant, context).map(BoxedProblem.init)
            } catch { found[item.line] = BoxedProblem(error) }
        }
    }

    /// Why the peer may not append it; nil if it may. What it amends must already be in the ledger,
    /// so that its type is known. Blocks on the disk.
    static func problem(
        _ packet: ChainPacket, _ grant: AccessPolicy.Grant, _ context: QueryContext
    ) throws(Problem) -> Problem? {
        guard let map = context.ledger.map else { throw Problem(.recovering) }
        let size = map.head.size
        let source = LedgerChainSource(
            map, try context.index(reflecting: size), size: size, PacketCache(),
            until: context.deadline)
        return try context.searching { () throws(PacketSearch.Failure) in
            for reference in packet.parents where reference.isAmendment {
                let edge = try source.resolve(reference, of: packet)
                guard let position = edge.to, let amended = try source.packet(at: position) else {
                    return .forbidden(
                        amending: "a packet that is not in the ledger; send this one once that "
                            + "packet has its receipt")
                }
                guard grant.allowsAppending(amended.entityType) else {
                    return .forbidden(amending: amended.entityType)
                }
            }
            return nil
        }
    }
}

extension Problem {
    static func forbidden(amending what: String) -> Problem {
        Problem(
            .forbidden,
            "the configuration limits you to some entity types, so you may not retract, supersede or "
                + "revise \(what)")
    }
}
