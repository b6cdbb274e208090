package import LedgerFormat
internal import Packets

/// Writes the packets of a clean-up.
package struct CleanupPacket {
    static let wasGone = "it was gone already"

    /// SHA-256 of the plan's file.
    package let plan: Digest
    /// The program's version.
    package let version: String

    package init(plan: Digest, version: String) { (self.plan, self.version) = (plan, version) }

    /// The entity that the plan is, and the trace of all its packets.
    package var planID: UUID128 { .shaped(from: plan) }

    // MARK: Of the plan

    package func planned(
        _ contents: CleanupPlan, assets: Int, bytes: Int, id: UUID128
    ) -> [UInt8] {
        packet(.planned, id, planID, parents: []) { json in
            json.member("ledger_size", contents.ledgerSize)
            json.member("lsn", contents.lsn)
            json.member("objects", contents.objects)
            json.member("assets", assets)
            json.member("bytes", bytes)
            json.member("expires_at", contents.expires)
            json.key("days")
            contents.rules.write(&json)
        } chain: { json in
            json.node("plan", "proposal", "\(assets) of \(contents.objects) assets may go")
        }
    }

    /// The packet by which a user approves, or withdraws what was approved: one for each user, so that saying
    /// it again changes nothing.
    package func verdict(
        _ event: CleanupRecord.Event, by uid: UInt32, on planned: UUID128, id: UUID128? = nil
    ) -> [UInt8] {
        // Anybody can compute this one, and may have taken it; then there must be another.
        let id =
            id
            ?? UUID128.shaped(
                from: .sha256(Array("\(event.rawValue)\n\(plan.tagged)\n\(uid)".utf8)))
        return packet(event, id, planID, parents: [(planned, "informed_by")]) { _ in
        } chain: { json in
            json.node(
                "verdict", event == .approved ? "approval" : "rejection",
                "user \(uid) \(event == .approved ? "approves" : "withdraws") the plan")
        }
    }

    // MARK: Of an asset

    package func decided(
        _ item: CleanupPlan.Item, lsn: String, approval: CleanupRecord, _ rules: RetentionRules
    ) -> [UInt8] {
        packet(
            .decided, item.records.decision, item.assetID,
            parents: [(approval.id, "triggered_by")], owner: item.owner
        ) { json in
            item.describe(&json)
            json.member("lsn", lsn)
        } chain: { json in
            json.node("rule", "rule", item.finding.rawValue, item.explanation(rules))
            json.node(
                "approval", "approval", "approved by user \(approval.uid)", parent: "rule")
            json.node("decision", "commit", "the asset is to be deleted", parent: "approval")
        }
    }

    /// What became of an asset a day later or more: `reason` tells why it stays, or how it went.
    package func ended(
        _ event: CleanupRecord.Event, _ item: CleanupPlan.Item, lsn: String, reason: String,
        _ rules: RetentionRules
    ) -> [UInt8] {
        packet(
            event, item.records.deletion, item.assetID,
            parents: [(item.records.decision, "triggered_by")]
        ) { json in
            item.describe(&json)
            json.member("lsn", lsn)
            json.member("reason", reason)
        } chain: { json in
            json.node(
                "outcome", event == .deleted ? "commit" : "rejection",
                event == .deleted ? "the asset is deleted" : "the asset stays", reason)
        }
    }

    private func packet(
        _ event: CleanupRecord.Event, _ id: UUID128, _ entity: UUID128,
        parents: [(id: UUID128, relation: String)], owner: String? = nil,
        context: (inout JSONWriter) -> Void, chain: (inout ChainWriter) -> Void
    ) -> [UInt8] {
        var json = JSONWriter()
        json.beginObject()
        json.member("stardust_id", id)
        json.member("entity_type", event.entityType)
        json.member("entity_id", entity)
        json.key("lineage")
        json.beginObject()
        json.member("trace_id", planID)
        json.member("event", event.rawValue)
        json.key("_producer")
        json.beginObject()
        json.member("worker", CleanupRecord.worker)
        json.member("version", version)
        json.endObject()
        json.key("_meta_parents")
        json.beginArray()
        for parent in parents {
            json.beginObject()
            json.member("stardust_id", parent.id)
            json.member("relation", parent.relation)
            json.endObject()
        }
        if let owner, let row = Row(owner) { row.write(&json) }
        json.endArray()
        json.key("decision_context")
        json.beginObject()
        json.member("plan", plan.tagged)
        context(&json)
        json.endObject()
        json.endObject()
        var nodes = ChainWriter()
        chain(&nodes)
        nodes.write(&json)
        json.endObject()
        return json.bytes
    }

    /// A row whose packets tell where an asset came from.
    private struct Row {
        var table: String
        var id: UUID128

        init?(_ text: String) {
            guard let slash = text.firstIndex(of: "/"),
                let id = UUID128(text[text.index(after: slash)...])
            else { return nil }
            (table, self.id) = (String(text[..<slash]), id)
        }

        func write(_ json: inout JSONWriter) {
            json.beginObject()
            json.member("entity_type", table)
            json.member("entity_id", id)
            json.member("relation", "informed_by")
            json.endObject()
        }
    }

    /// The nodes of a decision chain, in order.
    struct ChainWriter {
        private var nodes:
            [(id: String, kind: String, title: String, rationale: String?, parent: String?)] = []

        mutating func node(
            _ id: String, _ kind: String, _ title: String, _ rationale: String? = nil,
            parent: String? = nil
        ) {
            nodes.append((id, kind, title, rationale, parent))
        }

        fileprivate func write(_ json: inout JSONWriter) {
            guard !nodes.isEmpty else { return }
            json.key("decision_chain")
            json.array(nodes) { node, json in
                json.beginObject()
                json.member("id", node.id)
                json.member("kind", node.kind)
                json.member("title", node.title)
                if let rationale = node.rationale { json.member("rationale", rationale) }
                if let parent = node.parent {
                    json.key("parents")
                    json.array([parent]) { $1.string($0) }
                }
                json.endObject()
            }
        }
    }
}

extension CleanupPlan.Item {
    /// The rule that lets it go, in words.
    package func explanation(_ rules: RetentionRules) -> String {
        func old(_ days: Int) -> String { "\(days + Int(daysOver)) days old; the rule is \(days)" }
        switch finding {
        case .orphan: return "no row and no packet names it, and it is \(old(rules.orphanDays))"
        case .rawExpired: return "a download of no promoted clip, \(old(rules.rawDays))"
        case .derivedExpired:
            return isWanted
                ? "made by the engine, in no use, and asked for by name"
                : "made by the engine, of no promoted clip, \(old(rules.derivedDays))"
        }
    }

    fileprivate func describe(_ json: inout JSONWriter) {
        json.member("uri", uri)
        json.member("class", kind.rawValue)
        json.member("finding", finding.rawValue)
        json.member("bytes", bytes)
        json.member("tag", tag)
        json.member("changed_at", changed)
        if let owner { json.member("owner", owner) }
    }
}
