package import LedgerFormat
package import Platform

/// How far a segment's file is durable. Bytes before `bytes` never change again.
package struct SegmentExtent: Hashable, Sendable {
    package var first: Position
    /// The position after the segment's last entry.
    package var end: Position
    /// Up to the end of a batch, without what was allocated ahead.
    package var bytes: Int
    /// Nothing more is added to it.
    package var isSealed: Bool
    /// Its file has left the disk.
    package var isArchived = false
}

extension LedgerMap {
    /// The segments in order. Of a damaged ledger, the damaged ones may be longer than what can be
    /// read of them.
    package var extents: [SegmentExtent] {
        update { state in
            var extents = state.sealed.map { segment in
                SegmentExtent(
                    first: segment.header.firstPosition, end: segment.end, bytes: segment.bytes,
                    isSealed: true, isArchived: segment.isArchived)
            }
            if let open = state.open {
                extents.append(
                    SegmentExtent(
                        first: open.header.firstPosition, end: Position(state.head.size.entries),
                        bytes: open.bytes, isSealed: false))
            }
            return extents
        }
    }

    /// The extent of the segment that begins at a position; nil if none does.
    package func extent(from first: Position) -> SegmentExtent? {
        extents.first { $0.first == first }
    }

    /// Durable bytes of a segment's file; fewer than asked for if the file ends. Blocks on the disk.
    package func bytes(
        _ range: Range<Int>, of segment: SegmentExtent
    ) throws(FileFailure) -> [UInt8] {
        let file = try volume.open(LedgerLayout.segment(segment.first), .read)
        var bytes = [UInt8](repeating: 0, count: range.clamped(to: 0..<segment.bytes).count)
        let count = try file.read(into: &bytes, 0..<bytes.count, at: range.lowerBound)
        return Array(bytes.prefix(count))
    }
}
