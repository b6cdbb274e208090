package import LedgerFormat

/// Names in a ledger's folder.
package enum LedgerLayout {
    package static let identity = "identity"
    /// The private half of the ledger's first key.
    package static let key = "key"
    /// Every checkpoint that was ever published, in order.
    package static let checkpoints = "checkpoints"
    /// The newest of them.
    package static let checkpoint = "checkpoint"
    /// Why publishing stopped, if a witness has seen another history.
    package static let forkAlarm = "fork-alarm"
    package static let closeMarker = "closed"
    /// Which writer of the ledger this folder's daemon is: an `EpochNote`.
    package static let epoch = "epoch"
    /// The note of the epoch in which another machine writes the ledger: this folder is only read.
    package static let superseded = "superseded"
    /// Says that the folder came out of an archive: it is only read.
    package static let restored = "restored"
    package static let segments = "segments"
    /// What is left here of segments that are archived: a file of entries each.
    package static let archived = "archived"
    /// The next segment, prepared ahead of time.
    package static let nextSegment = "segments/next.tmp"
    /// Where each stardust_id is, derived from the sealed segments.
    package static let ids = "ids"
    /// Levels of the Merkle tree, derived from the segments.
    package static let tree = "tree"
    /// How far the tree's levels are durable.
    package static let treeState = "tree/complete"
    /// The term index, derived from the segments.
    package static let index = "index"

    package static func segment(_ first: Position) -> String {
        "\(segments)/\(twentyDigits(first)).seg"
    }

    package static func archived(_ first: Position) -> String {
        "\(archived)/\(twentyDigits(first)).entries"
    }

    /// The name of the segment of which a file of entries is left; nil for any other name.
    static func archivedSegmentName(_ name: String) -> String? {
        guard name.hasSuffix(".entries") else { return nil }
        let segment = name.dropLast("entries".count) + "seg"
        return firstPosition(inName: String(segment)) == nil ? nil : String(segment)
    }

    /// The hashes of one level of tiles, from the left.
    package static func treeLevel(_ level: Int) -> String { "\(tree)/\(level)" }

    /// The private half of a later key.
    package static func key(_ verifier: NoteVerifier) -> String {
        "key-\(verifier.keyName.keyIDText)"
    }

    package static func ids(_ first: Position) -> String { "\(ids)/\(twentyDigits(first)).ids" }

    /// Where recovery keeps the bytes that it cut from a segment.
    package static func torn(
        _ first: Position, from offset: ByteOffset, number: Int = 1
    ) -> String {
        let suffix = number == 1 ? "" : "-\(number)"
        return "\(segments)/\(twentyDigits(first))-\(offset)\(suffix).torn"
    }

    /// Where recovery keeps the bytes that it cut from the checkpoints.
    static func tornCheckpoint(at offset: ByteOffset) -> String { "\(checkpoints)-\(offset).torn" }

    /// What the names in the folder of segments say.
    package struct SegmentNames: Sendable {
        /// The segments' first positions, ascending.
        package var firsts: [Position] = []
        /// A name that ends like a segment's but is none.
        package var problem: Finding?

        package init(_ names: [String]) {
            for name in names.sorted() {
                if let first = firstPosition(inName: name) {
                    firsts.append(first)
                } else if name.hasSuffix(".seg") {
                    problem = Finding(
                        .segmentMisnamed, file: "\(segments)/\(name)",
                        "no segment has this name: 20 digits and .seg")
                }
            }
            firsts.sort()
        }
    }

    /// The first position that a segment's file name contains; nil for any other file name.
    private static func firstPosition(inName name: String) -> Position? {
        guard name.utf8.count == 24, name.hasSuffix(".seg") else { return nil }
        let digits = name.dropLast(4)
        guard digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        guard let value = UInt64(digits), value < StorageLimits.entriesMax else { return nil }
        return Position(value)
    }

    private static func twentyDigits(_ position: Position) -> String {
        let digits = String(position.value)
        return String(repeating: "0", count: 20 - digits.utf8.count) + digits
    }
}
