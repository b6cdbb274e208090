import Cleanup
import LedgerFormat
import Packets

/// Packets as a daemon would list them.
enum ListedRecord {
    struct Unreadable: Error { var packet: String }

    static func read(
        _ packet: String, _ position: UInt64, _ received: Timestamp, uid: UInt32 = 0
    ) throws -> CleanupRecord {
        let document = try JSONDocument(Array(packet.utf8))
        func text(_ name: String) -> String {
            document.member(name, of: 0).flatMap { document.string($0) } ?? ""
        }
        let listed = """
            {"position":\(position),"stardust_id":"\(text("stardust_id"))","entity_type":"\(text("entity_type"))",
             "entity_id":"\(text("entity_id"))","received_at":"\(received)","peer":{"uid":\(uid),"gid":\(uid)},
             "packet":\(packet)}
            """
        guard let record = CleanupRecord(try JSONDocument(Array(listed.utf8)), 0) else {
            throw Unreadable(packet: packet)
        }
        return record
    }
}
