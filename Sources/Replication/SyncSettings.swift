package import ReadModel

/// What a read model follows, and how.
package struct SyncSettings: Hashable, Sendable {
    /// A URL or a list of libpq settings.
    package var source: String
    package var slot = "stardust"
    package var publication = "stardust"
    /// The schema that holds the engine's tables.
    package var schema = "public"
    /// Whether the publication and the slot may be created.
    package var creates = false
    /// Bytes of write-ahead log that the slot may hold back before a warning.
    package var retainedBytesWarning = ReplicationLimits.retainedBytes
    /// Whether to start with a new copy.
    package var resyncs = false
    /// Whether to end once everything the source had when we connected is applied.
    package var endsWhenCaughtUp = false

    package init(source: String) { self.source = source }

    /// Why a name is not valid; nil if all are.
    package var obstacle: String? {
        let isPlain = slot.utf8.allSatisfy {
            (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x5F
        }
        guard isPlain, (1...63).contains(slot.utf8.count) else {
            return "\(slot) is not a valid slot name: use 1 to 63 lower-case letters, digits and "
                + "underscores"
        }
        guard (1...63).contains(publication.utf8.count), (1...63).contains(schema.utf8.count) else {
            return "the names of publication and schema must have 1 to 63 bytes"
        }
        return nil
    }
}

/// Receives progress reports. Called from the thread that applies changes.
package protocol SyncObserver: Sendable {
    func applied(_ rows: Int, _ state: ModelState)
    /// A copy cannot begin until others have ended what `reason` names; nil once it can.
    func waits(for reason: String?)
    func failed(_ failure: ReplicationFailure, willRetryIn: Duration?)
}
