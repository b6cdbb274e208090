package import LedgerFormat
internal import Logging
internal import Packets
package import Platform

/// Who read what: a JSON line for each request that needs the role `read` or `audit`. It keeps no reader waiting: of
/// what the file does not take, the number is logged.
package final class AccessLog: Sendable {
    /// Nil for the log of the daemon itself.
    private let lines: LineWriter?
    private let logger: Logger
    /// The file's path, or `journal`.
    package let target: String

    /// What a setting says for the daemon's own log.
    package static let journal = "journal"
    /// Of a search or an SQL query, so many bytes are kept.
    private static let queryBytesMax = 2048

    package struct Read {
        package var peer: PeerIdentity
        package var role: Role
        /// Method and path, with names for what varies.
        package var route: String
        /// Path and query as they came.
        package var target: String
        /// The body of a search or an SQL query; empty for others.
        package var query: [UInt8]
        package var ledgerSize: LedgerSize

        package init(
            _ peer: PeerIdentity, _ role: Role, route: String, target: String, query: [UInt8],
            ledgerSize: LedgerSize
        ) {
            (self.peer, self.role, self.route) = (peer, role, route)
            (self.target, self.query, self.ledgerSize) = (target, query, ledgerSize)
        }
    }

    /// Appends to the file `target`, which is made if it is missing. It stays open: to be rotated, it is renamed and
    /// the settings are read again.
    package init(target: String) throws(FileFailure) {
        let logger = Logger(label: "stardust") { JSONLogHandler(label: $0) }
        // Whatever level the log has, reads are not left out.
        var own = logger
        own.logLevel = .info
        self.logger = own
        self.target = target
        guard target != Self.journal else {
            lines = nil
            return
        }
        lines = try LineWriter(path: target) { count in
            logger.log(
                .accessLogLost, "the access log lacks reads", metadata: ["count": "\(count)"])
            var json = JSONWriter()
            json.beginObject()
            json.member("at", Timestamp.systemNow().description)
            json.member("event", LoggedEvent.accessLogLost.rawValue)
            json.member("count", count)
            json.endObject()
            return json.bytes + [0x0A]
        }
    }

    package func note(_ read: Read) {
        let query = String(decoding: read.query.prefix(Self.queryBytesMax), as: UTF8.self)
        guard let lines else {
            var metadata: Logger.Metadata = [
                "uid": "\(read.peer.uid)", "role": "\(read.role)", "route": "\(read.route)",
                "target": "\(read.target)", "ledger_size": "\(read.ledgerSize)",
            ]
            if !query.isEmpty { metadata["query"] = "\(query)" }
            return logger.log(.read, "read", metadata: metadata)
        }
        var json = JSONWriter()
        json.beginObject()
        json.member("at", Timestamp.systemNow().description)
        json.member("uid", Int(read.peer.uid))
        json.member("role", read.role.rawValue)
        json.member("route", read.route)
        json.member("target", read.target)
        if !query.isEmpty { json.member("query", query) }
        json.member("ledger_size", read.ledgerSize.entries)
        json.endObject()
        lines.add(json.bytes + [0x0A])
    }
}
