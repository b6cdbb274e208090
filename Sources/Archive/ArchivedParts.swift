package import LedgerFormat
package import ObjectStore

/// The parts that a store has of one epoch, as their names and sizes say.
package struct ArchivedParts: Sendable {
    private var bySegment: [Position: [Part]] = [:]

    package struct Part: Hashable, Sendable {
        package var key: String
        package var first: Position
        package var offset: Int
        package var checkpointOffset: Int
        package var objectBytes: Int

        /// Whether `next` begins where this one ends: the sizes fit no other end.
        fileprivate func isFollowed(by next: Part) -> Bool {
            let whole = ArchivePart(
                first: first, offset: offset, bytes: next.offset - offset,
                checkpointOffset: checkpointOffset,
                checkpointBytes: next.checkpointOffset - checkpointOffset)
            return whole.bytes >= 0 && whole.checkpointBytes >= 0
                && whole.objectBytes == objectBytes
        }
    }

    package init(
        _ objects: [StoredObject], _ layout: ArchiveLayout, _ epoch: UInt64,
        in area: ArchiveLayout.PartArea = .open
    ) {
        for object in objects {
            guard
                case .part(area, let found, let first, let offset, let checkpointOffset) =
                    layout.name(of: object.key), found == epoch
            else { continue }
            bySegment[first, default: []].append(
                Part(
                    key: object.key, first: first, offset: offset,
                    checkpointOffset: checkpointOffset, objectBytes: object.bytes))
        }
    }

    /// First positions of the segments that have parts.
    package var firsts: Dictionary<Position, [Part]>.Keys { bySegment.keys }

    /// The newest segment that has parts.
    package var newest: Position? { bySegment.keys.max() }

    /// All parts of a segment.
    package func all(_ first: Position) -> [Part] { bySegment[first] ?? [] }

    /// The parts of a segment that follow each other from its beginning on.
    package func chain(_ first: Position) -> [Part] {
        let sorted = all(first).sorted {
            ($0.offset, $0.checkpointOffset) < ($1.offset, $1.checkpointOffset)
        }
        var chain: [Part] = []
        for part in sorted {
            guard let last = chain.last else {
                guard part.offset == 0 else { break }
                chain.append(part)
                continue
            }
            // What does not fit is another's, or behind a gap.
            if last.isFollowed(by: part) { chain.append(part) }
        }
        return chain
    }
}
