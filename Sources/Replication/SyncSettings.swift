package import ReadModel

/// What a read model follows, and how.
package struct SyncSettings: Hashable, Sendable {
    /// A URL or list of settings of libpq's.
    package var source: String
    package var slot = "stardust"
    package var publication = "stardust"
    /// Where the engine's tables are.
    package var schema = "public"
    /// Whether publication and slot may be made.
    package var creates = false
    /// Write-ahead log that the slot may hold back before somebody is warned.
    package var retainedBytesWarning = ReplicationLimits.retainedBytes
    /// Whether to begin with a new copy.
    package var resyncs = false
    /// Whether to end when everything is applied that the source had when we came.
    package var endsWhenCaughtUp = false

    package init(source: String) { self.source = source }

    /// Why a name cannot be one; nil where it can.
    package var obstacle: String? {
        let isPlain = slot.utf8.allSatisfy {
            (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x5F
        }
        guard isPlain, (1...63).contains(slot.utf8.count) else {
            return "\(slot) cannot name a slot: 1 to 63 lower-case letters, digits and underscores"
        }
        guard (1...63).contains(publication.utf8.count), (1...63).contains(schema.utf8.count) else {
            return "publication and schema need 1 to 63 bytes"
        }
        return nil
    }
}

/// Who wants to know how it goes. Called from the thread that applies.
package protocol SyncObserver: Sendable {
    func applied(_ rows: Int, _ state: ModelState)
    func failed(_ failure: ReplicationFailure, willRetryIn: Duration?)
}
