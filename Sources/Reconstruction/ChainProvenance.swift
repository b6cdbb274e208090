package import LedgerFormat
internal import Packets

/// The chain as PROV-JSON (W3C member submission of 24 April 2013): packets and evidence are
/// entities, the acts of workers are activities, and the workers are agents. The same thing has the
/// same name in every document of a ledger, evidence and workers in those of all ledgers, so that
/// documents can be merged. Names are XML names, too.
extension Chain {
    package func provenance(of ledger: UUID128) -> [UInt8] {
        ChainProvenance(self, ledger).document
    }
}

private struct ChainProvenance {
    private let chain: Chain
    private let ledger: UUID128
    /// The packets that were walked, and others that amend them.
    private let packets: [ChainPacket]
    private let ids: [Position: UUID128]

    init(_ chain: Chain, _ ledger: UUID128) {
        (self.chain, self.ledger) = (chain, ledger)
        packets = chain.packets.map(\.packet) + chain.amenders
        ids = Dictionary(packets.map { ($0.position, $0.stardustID) }) { first, _ in first }
    }

    private typealias Record = (name: String, write: (inout JSONWriter) -> Void)

    var document: [UInt8] {
        var json = JSONWriter()
        json.beginObject()
        json.key("prefix")
        json.beginObject()
        json.member("stardust", "urn:stardust:")
        json.member("ledger", "urn:stardust:ledger:\(ledger):")
        json.endObject()
        write("entity", [statement] + packetEntities + namedEntities + evidenceEntities, &json)
        write("activity", activities, &json)
        write("agent", agents, &json)
        write("wasAssociatedWith", associations, &json)
        write("wasGeneratedBy", generations + uses(isOutput: true), &json)
        write("used", uses(isOutput: false), &json)
        write("wasDerivedFrom", derivations, &json)
        write("wasInvalidatedBy", invalidations, &json)
        json.endObject()
        return json.bytes
    }

    private func write(_ kind: String, _ records: [Record], _ json: inout JSONWriter) {
        json.key(kind)
        json.beginObject()
        for record in records {
            json.key(record.name)
            json.beginObject()
            record.write(&json)
            json.endObject()
        }
        json.endObject()
    }

    // MARK: Names

    private func name(_ packet: UUID128) -> String { "ledger:packet-\(packet)" }
    private func act(_ packet: ChainPacket) -> String { "ledger:act-\(packet.stardustID)" }

    private func worker(_ name: String) -> String { "stardust:worker-\(Self.escaped(name))" }

    private func name(_ evidence: Chain.Evidence) -> String {
        "stardust:evidence-\(Self.escaped(evidence.digest))"
    }

    /// What an edge leads to.
    private func parent(_ edge: ChainEdge) -> String {
        if let to = edge.to {
            let id = ids[to] ?? (edge.foundBy == .id ? edge.reference.id : chain.namesOutside[to])
            return id.map(name) ?? "ledger:position-\(to)"
        }
        let reference = edge.reference
        if let id = reference.id { return name(id) }
        if case .sha256(let digest) = reference.hash {
            return "stardust:payload-sha256-\(digest.hex)"
        }
        if reference.hash == nil, let entity = reference.entity {
            return "ledger:entity-\(entity.id)-\(Self.escaped(entity.type))"
        }
        if reference.hash == nil, let uri = reference.uri {
            return "stardust:resource-\(Digest.sha256(Array(uri.utf8)).hex)"
        }
        return "ledger:reference-\(edge.from)-\(reference.index)"
    }

    /// Letters, digits and hyphens as they are, other bytes as `_` and two digits.
    private static func escaped(_ text: String) -> String {
        text.utf8.map { byte in
            let isPlain = byte &- 0x30 < 10 || byte | 0x20 &- 0x61 < 26 || byte == 0x2D
            let digits = String(byte, radix: 16, uppercase: true)
            return isPlain ? String(Unicode.Scalar(byte)) : byte < 16 ? "_0\(digits)" : "_\(digits)"
        }.joined()
    }

    // MARK: Entities

    /// What this document is: at which size of the ledger, and how much of it.
    private var statement: Record {
        let (request, limits) = (chain.request, chain.request.limits)
        let target =
            switch request.target {
            case .packet(let id): "packet/\(id)"
            case .entity(let type, let id): "entity/\(type)/\(id)"
            case .trace(let id): "trace/\(id.digits)"
            }
        let direction = request.direction.rawValue
        let key = "\(target) \(direction) \(limits.depth) \(limits.packets) \(chain.size)"
        return (
            "ledger:chain-\(Digest.sha256(Array(key.utf8)).hex)",
            { json in
                json.type("stardust:Chain")
                json.member("stardust:target", target.escapedForTerminals)
                json.member("stardust:direction", direction)
                json.member("stardust:max_depth", limits.depth)
                json.member("stardust:max_packets", limits.packets)
                json.member("stardust:ledger_size", chain.size.entries)
                if let proofs = chain.proofs { json.member("stardust:root", proofs.root) }
                json.member("stardust:complete", chain.isComplete)
                if !chain.isComplete {
                    json.key("stardust:incomplete_because")
                    json.array(chain.reasons) { $1.string($0.rawValue) }
                }
            }
        )
    }

    private var packetEntities: [Record] {
        packets.map { packet in
            (
                name(packet.stardustID),
                { json in
                    json.type("stardust:Packet")
                    json.member("stardust:position", packet.position.value)
                    json.member("stardust:entity_type", packet.entityType.escapedForTerminals)
                    json.member("stardust:entity_id", packet.entityID)
                    json.member("stardust:entry_hash", packet.entryHash)
                    json.member("stardust:payload_sha256", packet.payloadDigest)
                }
            )
        }
    }

    /// What edges lead to that was not walked: packets, missing ones, and other things.
    private var namedEntities: [Record] {
        var seen: Set<String> = []
        return chain.edges.compactMap { edge in
            if let to = edge.to, ids[to] != nil { return nil }
            let name = parent(edge)
            guard seen.insert(name).inserted else { return nil }
            return (
                name,
                { json in
                    if let to = edge.to {
                        json.type("stardust:Packet")
                        json.member("stardust:position", to.value)
                    } else if edge.foundBy == .uri, let uri = edge.reference.uri {
                        json.location([uri])
                    } else {
                        json.type("stardust:Packet")
                        json.member("stardust:missing_at_ledger_size", chain.size.entries)
                    }
                }
            )
        }
    }

    private var evidenceEntities: [Record] {
        chain.evidence.map { item in
            (
                name(item),
                { json in
                    json.type("stardust:Evidence")
                    json.member("stardust:digest", item.digest)
                    var uris: [String] = []
                    for case let uri? in item.statements.map({ $0.members.text(.uri) })
                    where !uris.contains(uri) { uris.append(uri) }
                    json.location(uris)
                }
            )
        }
    }

    // MARK: Acts

    private var activities: [Record] {
        packets.map { packet in
            (
                act(packet),
                { json in
                    json.member("prov:endTime", "\(packet.createdAt)")
                    json.type("stardust:Act")
                    if let event = packet.event {
                        json.member("stardust:event", event.escapedForTerminals)
                    }
                }
            )
        }
    }

    private var agents: [Record] {
        var seen: Set<ExactText> = []
        return packets.compactMap(\.worker).filter { seen.insert(ExactText($0)).inserted }.map {
            worker in
            (
                self.worker(worker),
                { json in
                    json.type("prov:SoftwareAgent")
                    json.member("stardust:name", worker.escapedForTerminals)
                }
            )
        }
    }

    private var associations: [Record] {
        packets.compactMap { packet in
            packet.worker.map { worker in
                (
                    "_:a\(packet.position)",
                    { json in
                        json.member("prov:activity", act(packet))
                        json.member("prov:agent", self.worker(worker))
                    }
                )
            }
        }
    }

    private var generations: [Record] {
        packets.map { packet in
            (
                "_:g\(packet.position)",
                { json in
                    json.member("prov:entity", name(packet.stardustID))
                    json.member("prov:activity", act(packet))
                }
            )
        }
    }

    /// Evidence that an act used, or made.
    private func uses(isOutput: Bool) -> [Record] {
        let acts = Dictionary(packets.map { ($0.stardustID, $0) }) { first, _ in first }
        return chain.evidence.enumerated().flatMap { number, item in
            item.statements.enumerated().compactMap { place, statement -> Record? in
                let role = statement.members.text(.role)
                guard let packet = acts[statement.packet], (role == "output") == isOutput else {
                    return nil
                }
                return (
                    "_:\(isOutput ? "m" : "u")\(number)-\(place)",
                    { json in
                        json.member("prov:activity", act(packet))
                        json.member("prov:entity", name(item))
                        if let role { json.member("prov:role", role.escapedForTerminals) }
                        for name in [MemberName.uri, .mediaType, .bytes, .retainUntil] {
                            guard let text = statement.members.text(name) else { continue }
                            json.member("stardust:" + "\(name.text)", text.escapedForTerminals)
                        }
                    }
                )
            }
        }
    }

    private var derivations: [Record] {
        chain.edges.compactMap { edge in
            guard let child = ids[edge.from] else { return nil }
            return (
                "_:d\(edge.from)-\(edge.reference.index)",
                { json in
                    json.member("prov:generatedEntity", name(child))
                    json.member("prov:usedEntity", parent(edge))
                    if ["revision_of", "supersedes"].contains(edge.relation) {
                        json.type("prov:Revision")
                    }
                    json.member("stardust:relation", edge.relation.escapedForTerminals)
                    if let why = edge.reference.why {
                        json.member("stardust:why", why.escapedForTerminals)
                    }
                }
            )
        }
    }

    /// What retracts in force.
    private var invalidations: [Record] {
        chain.amendments.enumerated().compactMap { number, item in
            let amendment = item.amendment
            guard item.isInForce, amendment.state == .retracted,
                let target = ids[amendment.target]
            else { return nil }
            return (
                "_:i\(number)",
                { json in
                    json.member("prov:entity", name(target))
                    json.member("prov:activity", act(amendment.child))
                    json.member("prov:time", "\(amendment.child.createdAt)")
                }
            )
        }
    }
}

extension JSONWriter {
    fileprivate mutating func type(_ name: String) {
        key("prov:type")
        beginObject()
        member("$", name)
        member("type", "prov:QUALIFIED_NAME")
        endObject()
    }

    /// Nothing if there are none.
    fileprivate mutating func location(_ uris: [String]) {
        guard !uris.isEmpty else { return }
        key("prov:location")
        array(uris) { $1.string($0.escapedForTerminals) }
    }
}
