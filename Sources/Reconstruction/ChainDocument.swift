internal import LedgerFormat
package import Packets

/// The chain as JSON. Numbers and strings from packets are repeated exactly as sent.
extension Chain {
    /// Nil if the document is longer than `bytesMax`.
    func json(bytesMax: Int) -> [UInt8]? {
        var json = JSONWriter(bytesMax: bytesMax)
        json.reserve(min(bytesMax, 4096 + packets.count * 512 + steps.count * 1024))
        json.beginObject()
        json.member("stardust", "chain/1")
        json.key("target")
        write(request.target, &json)
        json.member("direction", request.direction.rawValue)
        json.key("limits")
        json.beginObject()
        json.member("max_depth", request.limits.depth)
        json.member("max_packets", request.limits.packets)
        json.endObject()
        json.key("as_of")
        json.beginObject()
        json.member("ledger_size", size.entries)
        if let proofs { json.member("root", proofs.root) }
        json.endObject()
        json.member("complete", isComplete)
        json.key("incomplete_because")
        json.array(reasons) { $1.string($0.rawValue) }
        json.key("counts")
        json.beginObject()
        json.member("packets", packets.count)
        json.member("edges", edges.count)
        json.member("steps", steps.count)
        json.member("evidence", evidence.count)
        json.endObject()
        json.key("packets")
        json.array(packets) { write($0, &$1) }
        json.key("edges")
        json.array(edges) { $0.write(to: &$1) }
        json.key("steps")
        json.array(steps) { write($0, &$1) }
        json.key("evidence")
        json.array(evidence) { write($0, &$1) }
        json.key("amendments")
        json.array(amendments) { write($0.amendment, isInForce: $0.isInForce, &$1) }
        json.key("conflicts")
        json.array(conflicts) { write($0, &$1) }
        json.key("cycles_cut")
        json.array(cyclesCut) { edge, json in
            json.beginObject()
            json.member("from", edge.from.value)
            json.member("to", edge.to.value)
            json.endObject()
        }
        json.key("frontier")
        json.array(frontier) { write($0, &$1) }
        writeWhatWasAskedFor(&json)
        json.endObject()
        return json.isTooLong ? nil : json.bytes
    }

    /// What only some requests ask for.
    private func writeWhatWasAskedFor(_ json: inout JSONWriter) {
        if let changed {
            json.key("changed")
            changed.write(to: &json)
        }
        if let expected {
            json.key("expected")
            expected.write(to: &json)
        }
        if let rows {
            json.key("rows")
            json.json(rows)
        }
    }

    private func write(_ target: ChainTarget, _ json: inout JSONWriter) {
        json.beginObject()
        switch target {
        case .packet(let id): json.member("packet", id)
        case .entity(let type, let id):
            json.key("entity")
            json.beginArray()
            json.string(type)
            json.string("\(id)")
            json.endArray()
        case .trace(let id): json.member("trace", id.digits)
        }
        json.endObject()
    }

    private func write(_ entry: Entry, _ json: inout JSONWriter) {
        let packet = entry.packet
        json.beginObject()
        json.member("order", entry.order)
        json.member("position", packet.position.value)
        json.member("depth", entry.depth)
        json.identity(packet)
        json.members(packet.members)
        json.key("tainted")
        if let isTainted = entry.isTainted { json.boolean(isTainted) } else { json.null() }
        json.member("standing", entry.standing.rawValue)
        if let path = proofs?.inclusion[packet.position] {
            json.key("inclusion")
            json.array(path) { $1.string($0.base64) }
        }
        json.endObject()
    }

    private func write(_ step: ChainStep, _ json: inout JSONWriter) {
        json.beginObject()
        json.member("step", step.number)
        json.key("id")
        json.string(step.owner, fragment: step.node.id.description)
        json.member("packet", step.owner)
        json.member("position", step.packet.value)
        json.member("pointer", step.node.pointer)
        json.member("kind", step.node.kind)
        json.key("parents")
        json.array(step.parents) { $1.citation($0) }
        json.member("parents_implied", step.areParentsImplied)
        json.member("outcome", step.isOutcome)
        json.members(step.node.members)
        json.endObject()
    }

    private func write(_ item: Evidence, _ json: inout JSONWriter) {
        json.beginObject()
        json.member("digest", item.digest)
        json.members(item.agreed)
        json.key("cited_by")
        json.array(item.citedBy) { $1.citation($0) }
        if item.isContested {
            json.key("statements")
            json.array(item.statements) { statement, json in
                json.beginObject()
                json.member("packet", statement.packet)
                json.members(statement.members)
                json.endObject()
            }
        }
        json.endObject()
    }

    func write(_ amendment: Amendment, isInForce: Bool, _ json: inout JSONWriter) {
        let packet = amendment.child
        json.beginObject()
        json.member("position", packet.position.value)
        json.member("relation", amendment.edge.relation)
        json.member("amends", amendment.target.value)
        json.member("in_force", isInForce)
        json.identity(packet)
        json.key("ref")
        json.json(amendment.edge.reference.source)
        if let path = proofs?.inclusion[packet.position] {
            json.key("inclusion")
            json.array(path) { $1.string($0.base64) }
        }
        json.endObject()
    }

    func write(_ conflict: ChainConflict, _ json: inout JSONWriter) {
        json.beginObject()
        json.member("kind", conflict.kind.rawValue)
        json.key("positions")
        json.array(conflict.positions) { $1.integer($0.value) }
        if let pointer = conflict.pointer { json.member("pointer", pointer) }
        json.member("detail", conflict.detail)
        json.endObject()
    }

    private func write(_ item: FrontierItem, _ json: inout JSONWriter) {
        json.beginObject()
        json.key("position")
        if let position = item.position { json.integer(position.value) } else { json.null() }
        json.key("from")
        if let from = item.from { json.integer(from.value) } else { json.null() }
        json.member("because", item.reason.rawValue)
        if let reference = item.reference {
            json.key("ref")
            json.json(reference.source)
        }
        if let later = item.later { json.member("later", later.value) }
        json.endObject()
    }
}

extension ChainEdge {
    /// Writes the edge as documents and lists show it, plus the members `more` adds.
    package func write(to json: inout JSONWriter, more: (inout JSONWriter) -> Void = { _ in }) {
        json.beginObject()
        json.member("from", from.value)
        json.key("to")
        if let to { json.integer(to.value) } else { json.null() }
        json.member("relation", relation)
        json.member("found_by", foundBy.rawValue)
        json.key("order")
        if let order { json.string(order.rawValue) } else { json.null() }
        json.member("pin", pin.rawValue)
        if to == nil {
            json.key("ref")
            json.json(reference.source)
        } else {
            json.members(reference.members)
        }
        more(&json)
        json.endObject()
    }
}

extension JSONWriter {
    mutating func members(_ members: [RepeatedMember]) {
        for member in members {
            key(member.name.text)
            json(member.source)
        }
    }

    fileprivate mutating func citation(_ citation: Citation) {
        string(citation.packet, fragment: citation.node?.description)
    }
}

extension UUID128 {
    /// 32 lower-case hexadecimal digits, the form in which trace ids are compared.
    var digits: String { "\(self)".split(separator: "-").joined() }
}
