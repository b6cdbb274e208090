/// Limits on queries, each with its reason.
package enum QueryLimits {
    /// Bytes of a search in a body.
    package static let findBytes = 1 << 20
    /// Values of all filters together.
    package static let filterValues = 10_000
    /// Packets on one page of a list: at most, and by default.
    package static let pageMax = 1_000
    package static let pageDefault = 100
    /// Number of payload bytes after which a page of a list ends.
    package static let pageBytes = 4 << 20
    /// How long an answer on the event loop may take, since others wait for the same thread: enough
    /// for a few hundred packets.
    package static let briefTime: Duration = .milliseconds(2)
    /// Bytes of packets, or of a document built from them, in such an answer.
    package static let briefBytes = 512 << 10
    /// Packets such a query may ask for: the default page.
    package static let briefPackets = 100
    /// How long a stream may be silent before a follower gets a heartbeat.
    package static let heartbeatInterval: Duration = .seconds(15)
    /// Packets and payload bytes read ahead for a follower.
    package static let followPackets = 256
    package static let followBytes = 1 << 20
    /// How long one look-up for a follower may occupy a thread that others wait for.
    package static let followTime: Duration = .milliseconds(200)
    /// What each further follower of a user adds to the pause between two look-ups of each.
    package static let followPause: Duration = .milliseconds(1)
    package static let followPauseMax: Duration = .milliseconds(250)

    /// Bytes of the ledger's files in one answer, and how often a request that waits for more looks.
    package static let sourceBytes = 1 << 20
    package static let sourcePause: Duration = .milliseconds(50)

    package static func checkRelations() {
        precondition(pageDefault <= pageMax)
        precondition(briefPackets <= pageMax)
    }
}
