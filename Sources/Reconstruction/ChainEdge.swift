package import LedgerFormat

/// A parent reference with what it was found to name.
package struct ChainEdge: Sendable {
    package let from: Position
    /// Which of the child's references it is.
    package let reference: ParentReference
    package let to: Position?
    package let foundBy: FoundBy
    /// Nil where nothing was found.
    package let order: Order?
    package let pin: Pin
    /// What the reference says that does not fit together; nil where it does.
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

    /// What tells edges apart.
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
    /// Whether it stays as it is however the ledger grows: what it names came before the child, or
    /// is not a packet at all.
    package var isSettled: Bool { order == .earlier || foundBy == .uri }
}

extension ChainSource {
    package func edges(of packet: ChainPacket) throws(Failure) -> [ChainEdge] {
        try resolved(packet)
    }

    /// Finds what each of a packet's references names.
    package func resolved(_ packet: ChainPacket) throws(Failure) -> [ChainEdge] {
        var edges: [ChainEdge] = []
        edges.reserveCapacity(packet.parents.count)
        for reference in packet.parents { edges.append(try resolve(reference, of: packet)) }
        return edges
    }

    /// Finds what a reference names: by id, else by hash, else the newest packet of the entity
    /// before the child. The first that it carries decides, also where that is not in the ledger:
    /// a packet that was named is not replaced by another.
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
        // What a reference says beside the name that decided is compared with what was found.
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
