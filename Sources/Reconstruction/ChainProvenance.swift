internal import LedgerFormat
internal import Packets

/// The chain as PROV-JSON (W3C member submission of 24 April 2013): packets and evidence are
/// entities, the actions of workers are activities, and the workers are agents.
extension Chain {
    package var provenance: [UInt8] {
        var json = JSONWriter()
        json.beginObject()
        json.key("prefix")
        json.beginObject()
        json.member("stardust", "urn:stardust:")
        json.endObject()
        json.key("entity")
        writeEntities(&json)
        json.key("activity")
        json.beginObject()
        for entry in packets {
            json.key("stardust:activity-\(entry.packet.position)")
            json.beginObject()
            json.member("prov:endTime", "\(entry.packet.createdAt)")
            json.member("prov:type", entry.packet.event ?? "act")
            json.endObject()
        }
        json.endObject()
        writeAgents(&json)
        json.key("wasGeneratedBy")
        json.beginObject()
        for entry in packets {
            json.key("_:g\(entry.packet.position)")
            json.beginObject()
            json.member("prov:entity", name(entry.packet.position))
            json.member("prov:activity", "stardust:activity-\(entry.packet.position)")
            json.endObject()
        }
        json.endObject()
        json.key("wasDerivedFrom")
        writeDerivations(&json)
        json.key("used")
        writeUses(&json)
        json.endObject()
        return json.bytes
    }

    private func name(_ position: Position) -> String { "stardust:packet-\(position)" }

    private func writeEntities(_ json: inout JSONWriter) {
        json.beginObject()
        for entry in packets {
            let packet = entry.packet
            json.key(name(packet.position))
            json.beginObject()
            json.member("stardust:position", Int(packet.position.value))
            json.member("stardust:id", "\(packet.stardustID)")
            json.member("stardust:entity", "\(packet.entityType)/\(packet.entityID)")
            json.member("stardust:entry_hash", packet.entryHash.tagged)
            json.endObject()
        }
        let walked = Set(packets.map(\.packet.position))
        var others: Set<Position> = []
        for edge in edges {
            guard let to = edge.to, !walked.contains(to), others.insert(to).inserted else {
                continue
            }
            json.key(name(to))
            json.beginObject()
            json.member("stardust:position", Int(to.value))
            json.endObject()
        }
        for (index, item) in evidence.enumerated() {
            json.key("stardust:evidence-\(index)")
            json.beginObject()
            json.member("stardust:digest", item.digest)
            json.endObject()
        }
        json.endObject()
    }

    private func writeAgents(_ json: inout JSONWriter) {
        var numbers: [String: Int] = [:]
        json.key("agent")
        json.beginObject()
        for worker in packets.compactMap(\.packet.worker) where numbers[worker] == nil {
            numbers[worker] = numbers.count
            json.key("stardust:worker-\(numbers[worker]!)")
            json.beginObject()
            json.member("stardust:name", worker)
            json.endObject()
        }
        json.endObject()
        json.key("wasAssociatedWith")
        json.beginObject()
        for entry in packets {
            guard let worker = entry.packet.worker, let number = numbers[worker] else { continue }
            json.key("_:a\(entry.packet.position)")
            json.beginObject()
            json.member("prov:activity", "stardust:activity-\(entry.packet.position)")
            json.member("prov:agent", "stardust:worker-\(number)")
            json.endObject()
        }
        json.endObject()
    }

    private func writeDerivations(_ json: inout JSONWriter) {
        json.beginObject()
        for edge in edges {
            guard let to = edge.to else { continue }
            json.key("_:d\(edge.from)-\(edge.reference.index)")
            json.beginObject()
            json.member("prov:generatedEntity", name(edge.from))
            json.member("prov:usedEntity", name(to))
            json.member("prov:type", edge.relation)
            json.endObject()
        }
        json.endObject()
    }

    /// Evidence that a packet cites was used by that packet's activity.
    private func writeUses(_ json: inout JSONWriter) {
        let positions = Dictionary(
            uniqueKeysWithValues: packets.map { ($0.packet.stardustID, $0.packet.position) })
        json.beginObject()
        for (index, item) in evidence.enumerated() {
            for citer in item.citedBy where citer.node == nil {
                guard let position = positions[citer.packet] else { continue }
                json.key("_:u\(position)-\(index)")
                json.beginObject()
                json.member("prov:activity", "stardust:activity-\(position)")
                json.member("prov:entity", "stardust:evidence-\(index)")
                json.endObject()
            }
        }
        json.endObject()
    }
}
