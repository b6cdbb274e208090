/// Bounds of queries, each with its reason.
package enum QueryLimits {
    /// Packets of one page of a list, and unless the request says otherwise.
    package static let pageMax = 1_000
    package static let pageDefault = 100
    /// Payload bytes after which a page of a list ends.
    package static let pageBytes = 4 << 20
    /// How long an answer on the event loop may take, where others wait for the same thread: a few
    /// hundred packets.
    package static let briefTime: Duration = .milliseconds(2)
    /// Bytes of packets, or of a document made of them, in such an answer.
    package static let briefBytes = 512 << 10
    /// Packets that such an answer may ask for: the usual page.
    package static let briefPackets = 100
    /// How often a follower hears that nothing came.
    package static let heartbeatInterval: Duration = .seconds(15)
    /// Packets and payload bytes that are read for a follower before it has taken them.
    package static let followPackets = 256
    package static let followBytes = 1 << 20
    /// How long one look for a follower's packets may keep a thread: others wait for it.
    package static let followTime: Duration = .milliseconds(200)

    package static func checkRelations() {
        precondition(pageDefault <= pageMax)
        precondition(briefPackets <= pageMax)
    }
}
