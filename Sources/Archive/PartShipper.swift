package import LedgerFormat
internal import LedgerStorage
package import ObjectStore
internal import Platform

/// Ships what is new in the open segment, and the checkpoints made since, as parts to one store. Used
/// by one thread.
///
/// Invariants:
///  1. Every byte of the segment before `offset` is in the store, and so is every checkpoint before
///     `checkpointOffset` whose size lies in the segment.
///  2. A part that may have been written is never written again with other bytes: what the store has
///     under its name is compared, and counts.
package struct PartShipper {
    private let place: ArchivePlace
    private let source: any LedgerSource
    private let patience: Patience
    /// Where the next part begins; nil until `resume`.
    package private(set) var next: Next?

    package struct Next: Hashable, Sendable {
        package var first: Position
        package var offset: Int
        /// Where the checkpoints of this segment begin.
        package var checkpointStart: Int
        package var checkpointOffset: Int
    }

    package init(_ place: ArchivePlace, _ source: any LedgerSource, _ patience: Patience) {
        (self.place, self.source, self.patience) = (place, source, patience)
    }

    // MARK: Beginning

    /// Finds out from the store where to go on: behind the parts of the newest segment there that
    /// follow each other. The last of them must be this ledger's own, byte by byte.
    package mutating func resume(_ state: SourceState) throws(ArchiveFailure) {
        let parts = try asking { () throws(StoreFailure) in
            ArchivedParts(
                try place.store.list(place.layout.parts(.open, place.epoch), patience),
                place.layout, place.epoch)
        }
        guard let first = parts.newest, let last = parts.chain(first).last else {
            guard let newest = state.segments.last else { return }
            return try asking { () throws(StoreFailure) in
                try begin(newest.first, checkpointsFrom: 0, state)
            }
        }
        if state.segments.contains(where: { $0.first == first && $0.isArchived }) {
            return try passArchived(from: first, state)
        }
        let part = try compared(last.key, state)
        next = Next(
            first: first, offset: part.offset + part.bytes,
            checkpointStart: parts.chain(first)[0].checkpointOffset,
            checkpointOffset: part.checkpointOffset + part.checkpointBytes)
    }

    /// Goes on behind segments that have left the disk, which they do only once they are whole in every
    /// store.
    private mutating func passArchived(
        from first: Position, _ state: SourceState
    ) throws(ArchiveFailure) {
        let here = state.segments.first { $0.first >= first && !$0.isArchived }
        guard let here = here ?? state.segments.last else { return }
        try asking { () throws(StoreFailure) in
            try begin(here.first, checkpointsFrom: 0, state)
        }
    }

    /// Begins again with the segment that has a position, from its first byte on, whatever is there:
    /// what the store has is compared, and counts.
    package mutating func restart(at position: Position, _ state: SourceState)
        throws(ArchiveFailure)
    {
        let segment = state.segments.last { $0.first <= position && !$0.isArchived }
        guard let segment = segment ?? state.segments.last else { return }
        try asking { () throws(StoreFailure) in
            try begin(segment.first, checkpointsFrom: 0, state)
        }
    }

    private func part(_ key: String, _ bytes: Int) throws(StoreFailure) -> ArchivePart {
        var head: [UInt8] = []
        let count = min(bytes, ArchivePart.lineBytesMax)
        try place.store.get(key, 0..<count, version: nil, patience) { piece in
            for index in piece.indices { head.append(piece[index]) }
        }
        guard let part = ArchivePart(head), part.objectBytes == bytes else {
            throw StoreFailure(
                .damaged, "\(place.store.name)/\(key)", "the object is not a part")
        }
        return part
    }

    /// Begins a segment: its checkpoints are those with a size beyond its first position.
    private mutating func begin(
        _ first: Position, checkpointsFrom start: Int, _ state: SourceState
    ) throws(StoreFailure) {
        let file = RemoteFile(source, .checkpoints, bytes: state.checkpointBytes)
        let checkpoints = try CheckpointPlaces.first(in: file, from: start, beyond: first)
        next = Next(
            first: first, offset: 0, checkpointStart: checkpoints, checkpointOffset: checkpoints)
    }

    // MARK: Shipping

    /// Bytes that are durable and not in the store as parts, of this segment and those behind it.
    package func pending(_ state: SourceState) -> Int {
        guard let next else { return 0 }
        let segments = state.segments.filter { $0.first >= next.first && !$0.isArchived }
        let shipped = segments.first?.first == next.first ? next.offset : 0
        return segments.reduce(0) { $0 + $1.bytes } - shipped + state.checkpointBytes
            - next.checkpointOffset
    }

    /// Ships all that is pending of the current segment as one part, and goes on to the next segment
    /// once this one is whole. Returns whether there is more to do at once.
    package mutating func ship(_ state: SourceState) throws(ArchiveFailure) -> Bool {
        guard let next else { return false }
        guard let segment = state.segments.first(where: { $0.first == next.first }) else {
            throw .ledger(
                "the ledger has no segment at position \(next.first), but its archive has")
        }
        if segment.isArchived {
            try passArchived(from: segment.first, state)
            return true
        }
        guard segment.bytes >= next.offset, state.checkpointBytes >= next.checkpointOffset else {
            throw .ledger(
                "the ledger's segment at position \(next.first) is shorter than its archive: it was "
                    + "restored from an older copy")
        }
        let part = ArchivePart(
            first: next.first, offset: next.offset, bytes: segment.bytes - next.offset,
            checkpointOffset: next.checkpointOffset,
            checkpointBytes: state.checkpointBytes - next.checkpointOffset)
        if part.bytes + part.checkpointBytes > 0 { try put(part, state) }
        // What the store had under the name may have been less.
        if self.next!.offset < segment.bytes
            || self.next!.checkpointOffset < state.checkpointBytes
        {
            return true
        }
        guard segment.isSealed, segment.bytes == self.next?.offset else { return false }
        guard state.segments.contains(where: { $0.first == segment.end }) else { return false }
        do throws(StoreFailure) {
            try begin(segment.end, checkpointsFrom: next.checkpointStart, state)
        } catch { throw .store(error) }
        return true
    }

    private mutating func put(
        _ part: ArchivePart, _ state: SourceState
    ) throws(ArchiveFailure) {
        let key = place.layout.part(place.epoch, part)
        let outcome = try asking { () throws(StoreFailure) in
            try place.store.put(key, try body(of: part), patience)
        }
        let stored = outcome == .created ? part : try compared(key, state)
        next?.offset = stored.offset + stored.bytes
        next?.checkpointOffset = stored.checkpointOffset + stored.checkpointBytes
    }

    /// What the store has under a part's name, if it is the ledger's own: an earlier answer was lost.
    private func compared(_ key: String, _ state: SourceState) throws(ArchiveFailure) -> ArchivePart
    {
        let found = try asking { () throws(StoreFailure) in
            guard let bytes = try place.store.size(of: key, patience) else {
                throw StoreFailure(
                    .unreachable, "\(place.store.name)/\(key)", "the part exists, and is not there")
            }
            return try part(key, bytes)
        }
        let own = state.segments.first { $0.first == found.first }
        let isDurable =
            found.offset + found.bytes <= own?.bytes ?? 0
            && found.checkpointOffset + found.checkpointBytes <= state.checkpointBytes
        let isSame = try asking { () throws(StoreFailure) in
            guard isDurable else { return false }
            let body = try body(of: found)
            var (hasher, count) = (SHA256Hasher(), 0)
            try place.store.get(key, nil, version: nil, patience) { piece in
                hasher.update(piece)
                count += piece.count
            }
            return count == body.count && hasher.finish() == body.digest
        }
        guard isSame else {
            throw .fork(
                "\(place.store.name)/\(key)",
                "another writer of this ledger wrote this part with other bytes")
        }
        return found
    }

    private func body(of part: ArchivePart) throws(StoreFailure) -> ObjectBody {
        let (source, line) = (source, part.line)
        return try ObjectBody(count: part.objectBytes) {
            (bytes: inout [UInt8], offset: Int) throws(StoreFailure) in
            let wanted = min(bytes.count, part.objectBytes - offset)
            let found: ArraySlice<UInt8>
            if offset < line.count {
                found = line[offset...].prefix(wanted)
            } else if offset < line.count + part.bytes {
                let place = offset - line.count
                found = try source.read(
                    .segment(part.first), part.offset + place,
                    atMost: min(wanted, part.bytes - place))[...]
            } else {
                let place = offset - line.count - part.bytes
                found = try source.read(
                    .checkpoints, part.checkpointOffset + place, atMost: wanted)[...]
            }
            bytes.replaceSubrange(0..<found.count, with: found)
            return found.count
        }
    }
}
