package import LedgerFormat
package import Packets

/// A packet that a clean-up left: of the plan's making and approval, of the decision on an asset, and of what
/// became of it. All of one plan are one trace, whose id the plan's digest gives.
package struct CleanupRecord: Hashable, Sendable {
    package var id: UUID128
    package var event: Event
    /// The asset, or the plan.
    package var entity: UUID128
    package var plan: Digest
    package var position: UInt64
    package var received: Timestamp
    package var uid: UInt32
    package var gid: UInt32
    /// Why an asset stays.
    package var reason: String

    package enum Event: String, Sendable, CaseIterable {
        case planned = "cleanup.planned"
        case approved = "cleanup.approved"
        case withdrawn = "cleanup.withdrawn"
        case decided = "asset.deletion_decided"
        case deleted = "asset.deleted"
        case kept = "asset.kept"
    }

    package static let worker = "stardust-cleanup"
    package static let assets = "x_assets"
    package static let plans = "x_cleanups"

    package init(
        id: UUID128, event: Event, entity: UUID128, plan: Digest, position: UInt64,
        received: Timestamp, uid: UInt32, gid: UInt32 = 0, reason: String = ""
    ) {
        (self.id, self.event, self.entity, self.plan) = (id, event, entity, plan)
        (self.position, self.received, self.reason) = (position, received, reason)
        (self.uid, self.gid) = (uid, gid)
    }

    /// Reads a packet as the daemon lists it; nil if it is of something else.
    package init?(_ document: JSONDocument, _ listed: Int) {
        func member(_ path: String...) -> Int? {
            path.reduce(listed) { found, name in found.flatMap { document.member(name, of: $0) } }
        }
        func text(_ value: Int?) -> String? { value.flatMap { document.string($0) } }
        func number(_ value: Int?) -> UInt64? {
            value.flatMap { UInt64(String(decoding: document.source($0), as: UTF8.self)) }
        }
        let context = member("packet", "lineage", "decision_context")
        func stated(_ name: String) -> String? {
            context.flatMap { text(document.member(name, of: $0)) }
        }
        guard let id = text(member("stardust_id")).flatMap({ UUID128($0[...]) }),
            let event = text(member("packet", "lineage", "event")).flatMap(Event.init),
            let entity = text(member("entity_id")).flatMap({ UUID128($0[...]) }),
            let plan = stated("plan").flatMap({ Digest(tagged: $0) }),
            let position = number(member("position")),
            let received = text(member("received_at")).flatMap({ Timestamp(rfc3339: $0) }),
            let uid = number(member("peer", "uid")), let gid = number(member("peer", "gid")),
            text(member("entity_type")) == event.entityType
        else { return nil }
        self.init(
            id: id, event: event, entity: entity, plan: plan, position: position,
            received: received, uid: UInt32(truncatingIfNeeded: uid),
            gid: UInt32(truncatingIfNeeded: gid), reason: stated("reason") ?? "")
    }
}

extension CleanupRecord.Event {
    package var entityType: String {
        switch self {
        case .planned, .approved, .withdrawn: CleanupRecord.plans
        case .decided, .deleted, .kept: CleanupRecord.assets
        }
    }
}

extension Digest {
    /// Reads `sha256:` and 64 digits.
    init?(tagged text: String) {
        guard text.hasPrefix("sha256:") else { return nil }
        self.init(hex: text.dropFirst("sha256:".count))
    }
}

extension UUID128 {
    /// The first 16 bytes of a digest with the bits of a UUIDv4 (RFC 9562 section 5.4).
    package static func shaped(from digest: Digest) -> UUID128 {
        var bytes = [UInt8](repeating: 0, count: Digest.byteCount)
        var span = bytes.mutableSpan
        digest.store(in: &span, at: 0)
        return UUID128(bytes.span, at: 0).shapedAsVersion4
    }
}
