package import LedgerFormat

/// A parent reference and the packet it resolves to.
package struct ChainEdge: Sendable {
    package let from: Position
    /// Which of the child's references it is.
    package let reference: ParentReference
    package let to: Position?
    package let foundBy: FoundBy
    /// Nil if nothing was found.
    package let order: Order?
    package let pin: Pin
    /// How the reference contradicts itself or the packet found; nil if it does not.
    let disagreement: String?

    package enum FoundBy: String, Sendable {
        case id, hash, entity, uri, none
    }

    package enum Order: String, Sendable {
        case earlier, late
        /// The packet names itself.
        case `self`
    }

    package enum Pin: String, Sendable {
        case none, match, mismatch, unsupported
    }

    var relation: String { reference.relation }

    /// Identifies an edge.
    struct Key: Hashable {
        var from: Position
        var index: Int
    }

    var key: Key { Key(from: from, index: reference.index) }

    init(
        _ reference: ParentReference, from child: Position, to parent: Position?, by: FoundBy,
        pin: Pin, disagreement: String?
    ) {
        from = child
        self.reference = reference
        to = parent
        foundBy = by
        order = parent.map { $0 < child ? .earlier : $0 == child ? .self : .late }
        self.pin = pin
        self.disagreement = disagreement
    }
}

extension ChainEdge {
    /// Whether the edge stays the same however the ledger grows: it names a packet before the
    /// child, or something that is not a packet.
    package var isSettled: Bool { order == .earlier || foundBy == .uri }
}

extension ChainSource {
    package func edges(of packet: ChainPacket) throws(Failure) -> [ChainEdge] {
        try resolved(packet)
    }

    /// Resolves each of a packet's references.
    package func resolved(_ packet: ChainPacket) throws(Failure) -> [ChainEdge] {
        var edges: [ChainEdge] = []
        edges.reserveCapacity(packet.parents.count)
        for reference in packet.parents { edges.append(try resolve(reference, of: packet)) }
        return edges
    }

    /// Resolves a reference: by id, else by hash, else to the entity's newest packet before the
    /// child. The first name it carries decides, even if that is not in the ledger: a named packet
    /// is never replaced by another.
    package func resolve(
        _ reference: ParentReference, of child: ChainPacket
    ) throws(Failure) -> ChainEdge {
        var (parent, by): (Position?, ChainEdge.FoundBy) = (nil, .none)
        if let id = reference.id {
            parent = try position(of: id)
            if parent != nil { by = .id }
        } else if let hash = reference.hash {
            if case .sha256(let digest) = hash { parent = try position(ofPayload: digest) }
            if parent != nil { by = .hash }
        } else if let entity = reference.entity {
            parent = try position(ofEntity: entity.type, entity.id, before: child.position)
            if parent != nil { by = .entity }
        } else if reference.uri != nil {
            by = .uri
        }
        // Compare the reference's other claims with the packet found.
        var packet: ChainPacket?
        let isComparable = reference.hash != nil || (by != .entity && reference.entity != nil)
        if let parent, isComparable {
            packet = parent == child.position ? child : try self.packet(at: parent)
        }
        let pin = pin(reference, packet)
        return ChainEdge(
            reference, from: child.position, to: parent, by: by, pin: pin,
            disagreement: try disagreement(reference, packet, pin))
    }

    private func pin(_ reference: ParentReference, _ packet: ChainPacket?) -> ChainEdge.Pin {
        switch reference.hash {
        case nil: .none
        case .unsupported: .unsupported
        case .sha256(let digest):
            packet.map { $0.payloadDigest == digest ? .match : .mismatch } ?? .none
        }
    }

    private func disagreement(
        _ reference: ParentReference, _ packet: ChainPacket?, _ pin: ChainEdge.Pin
    ) throws(Failure) -> String? {
        if pin == .mismatch { return "the packet that its id names has another hash" }
        if let packet, let entity = reference.entity,
            entity != EntityName(type: packet.entityType, id: packet.entityID)
        {
            return
                "it says \(entity.type)/\(entity.id), but names a packet of "
                + "\(packet.entityType)/\(packet.entityID)"
        }
        if packet == nil, reference.id != nil, case .sha256(let digest) = reference.hash,
            let other = try position(ofPayload: digest)
        {
            return "its id is not in the ledger, but its hash is that of position \(other)"
        }
        return nil
    }
}
